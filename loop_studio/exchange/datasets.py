"""Ratings as Parquet, and as a folder that Hugging Face `datasets` loads.

The folder needs nothing of `datasets` to be written: it looks for `data/train-*.parquet`, and
reads from the file's own metadata which columns are images.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pyarrow as pa

from loop_studio.exchange.streams import parquet, zipped
from loop_studio.storage.exporting import ExportedImage, ExportedRating

Picture = Callable[[ExportedImage], bytes | None]  # the PNG; None when its file is gone

_TIME = pa.timestamp("us", tz="UTC")
_JUDGED = pa.struct([("image_id", pa.string()), ("value", pa.float64()), ("reward", pa.float64())])
_EVENT = {
    "event_id": pa.string(),
    "project_id": pa.string(),
    "group_id": pa.string(),
    "prompt": pa.string(),
    "version": pa.int32(),
    "kind": pa.string(),
    "rater": pa.string(),
    "mode": pa.string(),
    "order": pa.list_(pa.string()),
    "elapsed_ms": pa.int64(),
    "too_fast": pa.bool_(),
    "status": pa.string(),
    "usable": pa.bool_(),
    "reason": pa.string(),
    "used_by_update_id": pa.string(),
    "created_at": _TIME,
}
RATINGS = pa.schema({**_EVENT, "judgement": pa.list_(_JUDGED)})

_OF_IMAGES = {
    "prompt": pa.string(),
    "image_id": pa.string(),
    "value": pa.float64(),
    "reward": pa.float64(),
    **{name: kind for name, kind in _EVENT.items() if name not in {"prompt", "order"}},
}
_IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])

_CARD = """\
---
pretty_name: {name}
task_categories:
- text-to-image
tags:
- human-feedback
configs:
- config_name: default
  data_files:
  - split: train
    path: data/train-*.parquet
---
# People's ratings of generated images

{ratings} rating events of {images} images, exported by LOOP Studio. One row per image and event,
in order of arrival. Events that were superseded by a later one, or undone, are here too: look at
`status`.

| column | what it holds |
|---|---|
| `image` | the PNG as it was shown, where the export was asked for images |
| `prompt`, `version` | what the image was made of, and by which version of the model; 0 is the base |
| `value` | the rater's raw judgement in `mode`; null: not judged |
| `reward` | the same in [0, 1], 1 is best |
| `mode` | `best` 1 chosen, 0.5 also good, 0 not; `stars` 1 to 5; `good` 0 or 1; `rank` 1 is best; `skip` |
| `event_id`, `group_id`, `image_id` | which rating, of which group of images, which of them |
| `rater` | the name that the person gave |
"""  # noqa: E501  (a table of Markdown has a line per row)


def ratings_parquet(ratings: Iterable[ExportedRating]) -> Iterator[bytes]:
    """One row per event; `judgement` is a list of {image_id, value, reward}."""
    return parquet((_event(rating) | {"judgement": _judged(rating)} for rating in ratings), RATINGS)


def folder(
    ratings: Iterable[ExportedRating], name: str, picture: Picture | None
) -> Iterator[bytes]:
    """A zip of `data/train-00000.parquet` and a dataset card; one row per event and image.

    With `picture` there is a column `image` of the PNGs. `name` is the project's.
    """
    return zipped(_entries(ratings, name, picture))


def schema_of_images(with_pictures: bool) -> pa.Schema:
    """The columns of `folder`, with the metadata by which `datasets` knows an image."""
    columns = ({"image": _IMAGE} if with_pictures else {}) | _OF_IMAGES
    features = {
        name: {"_type": "Image"}
        if name == "image"
        else {"dtype": str(kind).replace("double", "float64"), "_type": "Value"}
        for name, kind in columns.items()
    }
    told = json.dumps({"info": {"features": features}})
    return pa.schema(columns, metadata={"huggingface": told})


def _entries(
    ratings: Iterable[ExportedRating], name: str, picture: Picture | None
) -> Iterator[tuple[str, Iterable[bytes]]]:
    counts = {"ratings": 0, "images": 0}

    def rows() -> Iterator[dict[str, Any]]:
        for rating in ratings:
            counts["ratings"] += 1
            counts["images"] += len(rating.images)
            yield from _image_rows(rating, picture)

    yield "data/train-00000.parquet", parquet(rows(), schema_of_images(picture is not None))
    # JSON is YAML, so no name can break out of its place.
    yield "README.md", [_CARD.format(name=json.dumps(name), **counts).encode()]


def _event(rating: ExportedRating) -> dict[str, Any]:
    return {name: getattr(rating, name) for name in _EVENT}


def _judged(rating: ExportedRating) -> list[dict[str, Any]]:
    return [
        {
            "image_id": image.id,
            "value": rating.judgement.get(image.id),
            "reward": rating.rewards[image.id],
        }
        for image in rating.images
    ]


def _image_rows(rating: ExportedRating, picture: Picture | None) -> Iterator[dict[str, Any]]:
    event = _event(rating)
    for image, judged in zip(rating.images, _judged(rating), strict=True):
        shown = {} if picture is None else {"image": _picture(image, picture)}
        yield shown | event | judged


def _picture(image: ExportedImage, picture: Picture) -> dict[str, Any] | None:
    data = picture(image)
    return None if data is None else {"bytes": data, "path": f"{image.id}.png"}
