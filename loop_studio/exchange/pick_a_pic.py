"""Ratings as pairs, in the columns of Pick-a-Pic (yuvalkirstain/pickapic_v1), which the code
that trains reward models and Diffusion-DPO reads.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import combinations
from pathlib import PurePath
from typing import Any

import pyarrow as pa

from loop_studio.exchange.datasets import Picture
from loop_studio.exchange.streams import parquet
from loop_studio.storage.exporting import ExportedImage, ExportedRating

TIE = "tie"  # in place of the best image's id
_COLUMNS = {
    "are_different": pa.bool_(),
    "best_image_uid": pa.string(),
    "caption": pa.string(),
    "created_at": pa.timestamp("ns"),
    "has_label": pa.bool_(),
    "image_0_uid": pa.string(),
    "image_0_url": pa.string(),
    "image_1_uid": pa.string(),
    "image_1_url": pa.string(),
    "jpg_0": pa.binary(),
    "jpg_1": pa.binary(),
    "label_0": pa.float64(),
    "label_1": pa.float64(),
    "model_0": pa.string(),
    "model_1": pa.string(),
    "ranking_id": pa.int64(),
    "user_id": pa.int64(),
    "num_example_per_prompt": pa.int64(),
}
_PICTURES = ("jpg_0", "jpg_1")

Pair = tuple[ExportedImage, ExportedImage, float]  # the label of the first: 1, 0.5 or 0


def pairs(rating: ExportedRating) -> Iterator[Pair]:
    """What one judgement says about two images at a time; nothing unless it is active.

    The better reward wins 1 to 0; equal rewards are a tie, 0.5 each. Two images that were merely
    not chosen (`best`, both 0) were not compared with each other: they make no pair. The order
    within a pair is that of the group, which knows nothing of the judgement.
    """
    if rating.status != "active":
        return
    for first, second in combinations(rating.images, 2):
        a, b = rating.rewards[first.id], rating.rewards[second.id]
        if a is None or b is None or (rating.mode in {"best", "pair"} and a == b == 0.0):
            continue
        yield first, second, 0.5 if a == b else float(a > b)


def preset(
    ratings: Callable[[], Iterable[ExportedRating]],
    model: str,
    raters: dict[str, int],
    picture: Picture | None,
) -> Iterator[bytes]:
    """A Parquet file of pairs. `ratings` is read twice: first to count the pairs of each prompt.

    `raters` gives the number that stands for a rater, so that no name leaves the studio. Without
    `picture` the columns `jpg_0` and `jpg_1` are left out, as in pickapic_v1_no_images; with it
    they hold the PNGs as they were shown (readers open either by its content).
    """
    left_out = () if picture else _PICTURES
    schema = pa.schema({name: kind for name, kind in _COLUMNS.items() if name not in left_out})
    counts: Counter[str] = Counter()
    for rating in ratings():
        counts[rating.prompt] += sum(1 for _ in pairs(rating))
    model = PurePath(model).name if PurePath(model).is_absolute() else model
    rows = (row for rating in ratings() for row in _rows(rating, model, raters, counts, picture))
    return parquet(rows, schema)


def _rows(
    rating: ExportedRating,
    model: str,
    raters: dict[str, int],
    counts: Counter[str],
    picture: Picture | None,
) -> Iterator[dict[str, Any]]:
    made_by = f"{model} version {rating.version}"
    shared = {
        "caption": rating.prompt,
        "created_at": rating.created_at.replace(tzinfo=None),  # UTC without its name, as there
        "has_label": True,
        "model_0": made_by,
        "model_1": made_by,
        "ranking_id": rating.sequence,
        "user_id": raters.get(rating.rater_id, 0),
        "num_example_per_prompt": counts[rating.prompt],
    }
    pictures = {image.id: picture(image) for image in rating.images} if picture else None
    for first, second, label in pairs(rating):
        row = shared | {
            "are_different": first.sha256 != second.sha256,
            "best_image_uid": TIE if label == 0.5 else (first if label else second).id,
            "label_0": label,
            "label_1": 1.0 - label,
        }
        for place, image in enumerate((first, second)):
            row[f"image_{place}_uid"] = image.id
            row[f"image_{place}_url"] = f"/api/v1/images/{image.id}"
            if pictures is not None:
                row[f"jpg_{place}"] = pictures[image.id]
        yield row
