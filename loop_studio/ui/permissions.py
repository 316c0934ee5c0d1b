"""The least role for every route and page. What is not listed is refused, and a test fails."""

from __future__ import annotations

from loop_studio.storage.roles import Role

_API = "/api/v1/"

# Whoever sends the request. The sign-in page and the links check what they are given.
_STRANGER = """
GET /healthz
GET /login
POST /login
GET /invitation/{secret}
POST /invitation/{secret}
GET /guest/{secret}
POST /guest/{secret}
"""
# Of their own project and their own judgements alone, see SCOPED.
_GUEST = """
GET /
GET /rate/plain
POST /logout
GET session
GET projects
GET projects/{id}
GET projects/{id}/status
GET projects/{id}/groups/next
GET groups/{id}
GET images/{id}
GET updates/{id}
POST groups/{id}/preview
POST ratings
POST ratings/{event_id:path}/undo
PUT groups/{id}/remark
GET projects/{id}/consent
POST projects/{id}/consent
POST images/{id}/report
POST figures
"""
_RATER = """
GET /api/docs
GET overview
GET projects/{id}/overview
GET projects/{id}/updates
GET projects/{id}/versions
GET projects/{id}/guard
GET projects/{id}/history
GET images/{id}/download
PUT images/{id}/favourite
GET versions/{id}/probe
GET account
POST account/password
POST account/sign-out
GET account/tokens
POST account/tokens
DELETE account/tokens/{id}
"""
_TRAINER = """
GET presets
POST projects
PATCH projects/{id}
POST projects/{id}/clone
POST projects/{id}/start-over
GET projects/{id}/prompts
PUT projects/{id}/prompts
POST projects/{id}/prompts/import
GET project-imports
POST project-imports
GET project-imports/{id}
GET projects/{id}/raters
PATCH projects/{id}/raters/{rater_id}
GET projects/{id}/agreement
GET projects/{id}/ratings.jsonl
GET projects/{id}/ratings.csv
GET projects/{id}/ratings.parquet
GET projects/{id}/pickapic.parquet
GET projects/{id}/dataset.zip
POST projects/{id}/updates
GET projects/{id}/updates/next
POST updates/{id}/cancel
POST updates/{id}/pause
POST updates/{id}/resume
POST updates/{id}/stop
GET updates/{id}/log
GET updates/{id}/curves
GET projects/{id}/curves
GET jobs
POST jobs/{id}/retry
GET projects/{id}/schedules
POST projects/{id}/schedules
GET projects/{id}/schedules/preview
PATCH schedules/{id}
DELETE schedules/{id}
GET rewards
GET projects/{id}/rewards
GET projects/{id}/reward
PUT projects/{id}/reward
GET projects/{id}/reward/scoring
GET projects/{id}/learned
POST projects/{id}/learned/fit
GET projects/{id}/autopilot
POST projects/{id}/autopilot
POST autopilots/{id}/pause
POST autopilots/{id}/resume
POST autopilots/{id}/stop
GET projects/{id}/trials/groups
POST projects/{id}/trials
POST projects/{id}/trials/picture
GET trials/{id}
POST versions/{id}/activate
POST versions/{id}/dismiss
PATCH versions/{id}
DELETE versions/{id}
GET versions/{id}/lora
GET versions/{id}/lora/digest
GET projects/{id}/provenance
GET versions/{id}/ratings
GET versions/{id}/difference
GET versions/{id}/retraining
POST versions/{id}/retraining
GET projects/{id}/imports
POST projects/{id}/imports
GET imports/{id}
POST versions/{id}/exports
GET projects/{id}/exports
POST projects/{id}/exports
GET exports/{id}
GET exports/{id}/file
POST exports/{id}/push
POST projects/{id}/samples
GET samples/{id}
POST versions/{id}/probe
GET projects/{id}/reports
PUT reports/{id}/decision
GET reports/{id}/image
GET status
POST projects/{id}/orders
GET orders/{id}
"""
# A file of ratings speaks in the names of others.
_ADMINISTRATOR = """
GET /metrics
DELETE projects/{id}
POST projects/{id}/ratings/import
GET data
GET backups
POST backups
GET audit
GET raters
DELETE raters
GET people
PATCH people/{id}
POST people/{id}/sign-out
POST people/{id}/password-link
GET invitations
POST invitations
DELETE invitations/{id}
GET guest-links
POST guest-links
DELETE guest-links/{id}
GET guest-links/{id}/code.svg
GET tokens
DELETE tokens/{id}
"""
_LISTED = {
    Role.STRANGER: _STRANGER,
    Role.GUEST: _GUEST,
    Role.RATER: _RATER,
    Role.TRAINER: _TRAINER,
    Role.ADMINISTRATOR: _ADMINISTRATOR,
}
# Where nothing is, anyone who is let in may hear so.
NOWHERE = "/api/{path:path}"
# Kinds of things whose route a guest may ask only for the project of their link. A new rating
# names its group in the body and is checked where it is stored.
SCOPED = ("projects/{", "groups/{", "images/{", "updates/{", "ratings/{")

# Pages, and what Gradio answers beside them, by the first part of the path. What is not listed is
# for administrators.
PAGES = {
    **dict.fromkeys(("", "static", "api", "logout"), Role.GUEST),  # their routes say more
    **dict.fromkeys(("rate", "history", "projects", "account"), Role.RATER),
    **dict.fromkeys(("train", "versions", "compare", "playground"), Role.TRAINER),
    **dict.fromkeys(("rewards", "settings", "status"), Role.TRAINER),
    # Gradio's own: constant markup, scripts and a queue without functions.
    **dict.fromkeys(("config", "gradio_api", "assets", "svelte", "theme.css"), Role.RATER),
    **dict.fromkeys(("favicon.ico", "robots.txt", "manifest.json", "pwa_icon"), Role.RATER),
}
_PLAIN = "/rate/plain"


def _routes() -> dict[str, Role]:
    listed = {}
    for role, block in _LISTED.items():
        for line in block.split("\n"):
            if line:
                method, _, path = line.partition(" ")
                listed[f"{method} {path if path.startswith('/') else _API + path}"] = role
    return listed


ROUTES = _routes()


def of_route(method: str, path: str) -> Role | None:
    """The least role for a route by its template; None for one that nobody may use."""
    if path == NOWHERE:
        return Role.GUEST
    return ROUTES.get(f"{'GET' if method == 'HEAD' else method} {path}")


def of_page(path: str) -> Role:
    """The least role for whatever lies at this path, before any route says more."""
    if path == _PLAIN:
        return Role.GUEST
    return PAGES.get(path.strip("/").partition("/")[0], Role.ADMINISTRATOR)


def scoped_kind(path: str) -> str | None:
    """`groups` for `/api/v1/groups/{id}`, where a guest is held to one project; else None."""
    kind = path.removeprefix(_API)
    return kind.partition("/")[0] if kind.startswith(SCOPED) else None
