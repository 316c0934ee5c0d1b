"""Every format that ratings leave in, by name, for the API and the command line alike."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from loop_studio.errors import NotFound
from loop_studio.exchange import datasets, pick_a_pic, tables
from loop_studio.exchange.datasets import Picture
from loop_studio.storage import exporting, projects
from loop_studio.storage.database import Database
from loop_studio.storage.exporting import ExportedImage
from loop_studio.storage.files import FileStore


@dataclass(frozen=True)
class Format:
    """How a format is called and made; `write(db, project_id, picture)` gives its bytes."""

    ending: str  # of the file's name
    media_type: str
    write: Callable[[Database, str, Picture | None], Iterator[bytes]]


def export(
    db: Database, files: FileStore, project_id: str, format: str, images: bool = False
) -> Iterator[bytes]:
    """The ratings of a project in one of FORMATS, a piece at a time.

    `images` asks for the pictures too, where the format can hold them. Raises NotFound at once.
    """
    projects.get(db, project_id)
    return FORMATS[format].write(db, project_id, partial(_picture, files) if images else None)


def _picture(files: FileStore, image: ExportedImage) -> bytes | None:
    try:
        if image.withheld is not None:
            return None
        with files.open(image.key) as file:
            return file.read()
    except NotFound:
        return None


def _json_lines(db: Database, project_id: str, _: Picture | None) -> Iterator[bytes]:
    return tables.json_lines(exporting.rows(db, project_id))


def _comma_separated(db: Database, project_id: str, _: Picture | None) -> Iterator[bytes]:
    rows = exporting.rows(db, project_id)
    return tables.comma_separated(rows, exporting.widest(db, project_id))


def _parquet(db: Database, project_id: str, _: Picture | None) -> Iterator[bytes]:
    return datasets.ratings_parquet(exporting.rows(db, project_id))


def _pick_a_pic(db: Database, project_id: str, picture: Picture | None) -> Iterator[bytes]:
    return pick_a_pic.preset(
        lambda: exporting.rows(db, project_id),
        projects.get(db, project_id).model,
        exporting.rater_numbers(db, project_id),
        picture,
    )


def _folder(db: Database, project_id: str, picture: Picture | None) -> Iterator[bytes]:
    rows = exporting.rows(db, project_id)
    return datasets.folder(rows, projects.get(db, project_id).name, picture)


_PARQUET = "application/vnd.apache.parquet"
FORMATS = {
    "jsonl": Format("ratings.jsonl", "application/x-ndjson", _json_lines),
    "csv": Format("ratings.csv", "text/csv; charset=utf-8", _comma_separated),
    "parquet": Format("ratings.parquet", _PARQUET, _parquet),
    "pickapic": Format("pickapic.parquet", _PARQUET, _pick_a_pic),
    "dataset": Format("dataset.zip", "application/zip", _folder),
}
