"""The safety checker's verdicts on pictures that were stored before it looked at them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from sqlalchemy import select

from loop_studio.content import withheld
from loop_studio.storage.content import weigh_anew
from loop_studio.storage.database import Database, found
from loop_studio.storage.projects import outdated_reason, revision_of
from loop_studio.storage.schema import Image, Project


def record(db: Database, project_id: str, verdicts: Mapping[str, bool]) -> None:
    """Store what the checker says of these images, and let the project's setting follow it."""
    with db.write() as session:
        project = found(session, Project, project_id, lock=True)
        rule = revision_of(session, project).config.content
        affected = set()
        for image in session.scalars(select(Image).where(Image.id.in_(verdicts))):
            image.sensitive = verdicts[image.id]
            if image.withheld in {None, "unchecked"}:
                before, image.withheld = image.withheld, withheld(rule, image.sensitive)
                if image.group_id is not None and image.withheld != before:
                    affected.add(image.group_id)
        weigh_anew(session, affected, partial(outdated_reason, session, project))
