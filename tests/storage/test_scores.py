from math import sqrt

import pytest

from loop_studio.storage import groups, scores
from loop_studio.storage.database import Database
from tests.storage.studio import make_group, make_project


def test_a_score_is_kept_as_it_was_first_given(db: Database) -> None:
    group = make_group(db, make_project(db))
    ids = [image.id for image in groups.images(db, group.id)]
    scores.put(db, [(ids[0], "clip", "1", 0.5), (ids[1], "clip", "1", 0.7)])
    scores.put(db, [(ids[0], "clip", "1", 9.0), (ids[0], "clip", "2", 3.0)])
    assert scores.of_images(db, ids, "clip", "1") == {ids[0]: 0.5, ids[1]: 0.7}
    assert scores.of_images(db, ids[:1], "clip", "2") == {ids[0]: 3.0}
    assert scores.of_images(db, ids, "other", "1") == {}


def test_the_pooled_sd_is_within_groups_and_needs_sixteen(db: Database) -> None:
    project = make_project(db)

    def score_group(offset: float) -> None:
        ids = [image.id for image in groups.images(db, make_group(db, project).id)]
        values = [offset, offset + 1, offset + 2, offset + 3]
        scores.put(db, [(i, "clip", "1", v) for i, v in zip(ids, values, strict=True)])

    for number in range(15):
        score_group(100.0 * number)
    assert scores.within_group_sd(db, project.id, "clip", "1") is None
    score_group(-5.0)
    assert scores.within_group_sd(db, project.id, "clip", "1") == pytest.approx(sqrt(5 / 3))
    assert scores.within_group_sd(db, project.id, "clip", "2") is None


def test_only_the_last_scored_groups_count(db: Database) -> None:
    project = make_project(db, group_size=2)
    for width in (100.0, 1.0, 1.0):
        first, second = groups.images(db, make_group(db, project).id)
        scores.put(db, [(first.id, "clip", "1", 0.0), (second.id, "clip", "1", width)])
    make_group(db, project)
    sd = scores.within_group_sd(db, project.id, "clip", "1", groups=2, least=2)
    assert sd == pytest.approx(sqrt(0.5))
