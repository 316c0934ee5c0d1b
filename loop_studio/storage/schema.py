"""The tables. Ids are opaque strings; numbers count per project; times are UTC; JSON is JSON.

Nothing here is ever deleted but files and their keys. Ratings and update inputs only grow.
"""

from loop_studio.storage.columns import ACTIVE, JOB_KINDS, STATES, Base, UtcDateTime, new_id, now
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
from loop_studio.storage.tables_work import (
    Job,
    Lease,
    Schedule,
    Update,
    UpdateGroup,
    UpdateInput,
    Worker,
)

__all__ = [
    "ACTIVE",
    "JOB_KINDS",
    "STATES",
    "Assignment",
    "Base",
    "Favourite",
    "Group",
    "Image",
    "Job",
    "Lease",
    "Project",
    "Prompt",
    "Rater",
    "Rating",
    "Remark",
    "Reward",
    "Samples",
    "Schedule",
    "Score",
    "SettingsRevision",
    "Update",
    "UpdateGroup",
    "UpdateInput",
    "UtcDateTime",
    "Version",
    "VersionFile",
    "Worker",
    "new_id",
    "now",
]
