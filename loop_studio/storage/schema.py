"""The tables. Ids are opaque strings; numbers count per project; times are UTC; JSON is JSON.

Nothing of a project is ever deleted but files and their keys: ratings and update inputs only grow,
until the project is deleted as a whole, or a rater asks for their data to be removed.
"""

from loop_studio.storage.columns import ACTIVE, JOB_KINDS, STATES, Base, UtcDateTime, new_id, now
from loop_studio.storage.tables_access import (
    ApiToken,
    Guest,
    GuestLink,
    Invitation,
    User,
    UserSession,
)
from loop_studio.storage.tables_care import AuditEntry, Room
from loop_studio.storage.tables_content import Consent, ConsentText, Report
from loop_studio.storage.tables_judging import (
    Assignment,
    Favourite,
    Group,
    Image,
    Rater,
    Rating,
    Remark,
    Reward,
    Samples,
    Score,
)
from loop_studio.storage.tables_projects import (
    Project,
    Prompt,
    SettingsRevision,
    Version,
    VersionFile,
)
from loop_studio.storage.tables_rewards import Autopilot, ImageFeatures, RewardFit
from loop_studio.storage.tables_watching import ClientFigure
from loop_studio.storage.tables_work import (
    Job,
    Lease,
    Retraining,
    Schedule,
    Update,
    UpdateCurves,
    UpdateGroup,
    UpdateInput,
    UpdateLog,
    Worker,
)

__all__ = [
    "ACTIVE",
    "JOB_KINDS",
    "STATES",
    "ApiToken",
    "Assignment",
    "AuditEntry",
    "Autopilot",
    "Base",
    "ClientFigure",
    "Consent",
    "ConsentText",
    "Favourite",
    "Group",
    "Guest",
    "GuestLink",
    "Image",
    "ImageFeatures",
    "Invitation",
    "Job",
    "Lease",
    "Project",
    "Prompt",
    "Rater",
    "Rating",
    "Remark",
    "Report",
    "Retraining",
    "Reward",
    "RewardFit",
    "Room",
    "Samples",
    "Schedule",
    "Score",
    "SettingsRevision",
    "Update",
    "UpdateCurves",
    "UpdateGroup",
    "UpdateInput",
    "UpdateLog",
    "User",
    "UserSession",
    "UtcDateTime",
    "Version",
    "VersionFile",
    "Worker",
    "new_id",
    "now",
]
