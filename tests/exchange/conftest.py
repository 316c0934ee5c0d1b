"""A studio with a few ratings of every kind, and with thousands where a test asks for them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import insert

from loop_studio.storage import groups, projects, prompts, raters, ratings, versions
from loop_studio.storage.database import Database
from loop_studio.storage.files import FileStore, new_key
from loop_studio.storage.schema import Group, Image, Project, Rating
from tests.storage.studio import judge, make_group, make_project, rate, skip
from tests.ui.studio import png

FORMULA = '=HYPERLINK("http://evil.example")'


@pytest.fixture
def project(db: Database, files: FileStore) -> Project:
    """Ratings: superseded, active with a tie for second, undone, a skip, and stars by a formula."""
    made = make_project(db)
    first, second = (picture_group(db, files, made, shade) for shade in (0, 10))
    rate(db, first, event_id="e1")
    judge(db, first, "best", [0.0, 1.0, 0.5, 0.5])
    ratings.undo(db, rate(db, second, rater="bob").event_id)
    skip(db, second, rater="cat")
    images = [image.id for image in groups.images(db, second.id)]
    stars = dict(zip(images, [5.0, 3.0, 3.0, None], strict=True))
    ratings.record(
        db, ratings.RatingIn("=e5", second.id, FORMULA, "stars", stars, images[::-1], 1234)
    )
    return made


def picture_group(db: Database, files: FileStore, project: Project, shade: int) -> Group:
    """A group of four pictures whose files exist."""
    current = projects.get(db, project.id)
    return groups.record(
        db,
        job=None,
        project_id=project.id,
        prompt_id=prompts.active(db, project.id)[0].id,
        version_id=versions.live(db, project.id).id,
        revision_id=current.revision_id,
        images=[
            groups.NewImage(place, place, 1, 1, files.put(new_key(".png"), png(shade + place)))
            for place in range(4)
        ],
        trajectory=files.put(new_key(".safetensors"), b"none is needed"),
    )


@pytest.fixture
def many(db: Database) -> Callable[[int], Project]:
    """Makes a project of so many ratings, four images each, by inserting rows in bulk."""

    def make(count: int) -> Project:
        made = make_project(db)
        group = make_group(db, made)
        with db.write() as session:
            rater_id = raters.named(session, made.id, "ada").id
            row = dict(group.__dict__)
            row.pop("_sa_instance_state")
            for start in range(0, count, 5_000):
                ids = [f"{made.id}-{number}" for number in range(start, min(count, start + 5_000))]
                session.execute(insert(Group), [row | {"id": id} for id in ids])
                session.execute(
                    insert(Image), [_image(id, place) for id in ids for place in "0123"]
                )
                session.execute(insert(Rating), [_rating(made, id, rater_id) for id in ids])
        return made

    return make


def _image(group_id: str, place: str) -> dict[str, object]:
    return {
        "id": f"{group_id}-{place}",
        "group_id": group_id,
        "position": int(place),
        "prompt": "a red fish",
        "seed": 1,
        "width": 64,
        "height": 64,
        "key": "aa/gone.png",
        "sha256": "0" * 64,
        "size": 10,
    }


def _rating(project: Project, group_id: str, rater_id: str) -> dict[str, object]:
    judgement = {f"{group_id}-{place}": float(place == "1") for place in "0123"}
    return {
        "event_id": group_id,
        "project_id": project.id,
        "group_id": group_id,
        "rater_id": rater_id,
        "mode": "best",
        "judgement": judgement,
        "order": list(judgement),
        "elapsed_ms": 900,
        "content_sha256": "0" * 64,
        "usable": True,
        "reason": "",
    }
