"""Names of files that leave the studio."""

from __future__ import annotations

import re


def slug(name: str) -> str:
    """The start of a file name that every system takes, whatever the project is called."""
    kept = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:60].strip("-")
    return kept or "project"
