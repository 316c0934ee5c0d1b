"""A whole project as one zip: rows as JSON lines, files as they are, and a manifest with hashes.

Entries are stored, not compressed: pictures and tensors do not shrink, and what is not compressed
cannot be larger than the file that it came in.
"""

from __future__ import annotations

import hashlib
import json
import re
import zipfile
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import IO, Any, BinaryIO

from pydantic import BaseModel, ConfigDict, ValidationError

from loop_studio import __version__
from loop_studio.errors import Invalid
from loop_studio.storage import arrival, migration, project_rows
from loop_studio.storage.database import Database
from loop_studio.storage.files import FileStore, StoredFile, new_key
from loop_studio.storage.schema import Job

MANIFEST = "manifest.json"
FORMAT = "loop-studio-project"
_CHUNK = 2**20
_LONGEST_LINE = 2**24  # bytes of one row
_LONGEST_MANIFEST = 2**28
_ROWS = re.compile(r"rows/[a-z_]+\.jsonl")
_FILE = re.compile(r"files/[0-9a-f]{2}/[0-9a-f]{32}\.(png|safetensors)")
_ENCRYPTED = 1
_PNG = b"\x89PNG\r\n\x1a\n"

_FOREIGN = "This is not a project exported by LOOP Studio; choose the zip that an export made."
_CUT_OFF = "This archive is cut off or damaged; export the project again and send the whole file."
_REPACKED = "This archive was packed anew; send the zip as LOOP Studio exported it."
_NEWER = (
    "This project was exported by a newer release of LOOP Studio (schema {schema}); "
    "upgrade this studio first."
)

Done = Callable[[int, int], None]


class Manifest(BaseModel):
    """What the archive holds."""

    model_config = ConfigDict(extra="forbid", strict=True)

    format: str
    release: str
    revision: str  # of the database's schema
    name: str
    rows: dict[str, str]  # table -> sha256 of its JSON lines
    files: dict[str, str]  # key -> sha256
    missing: list[str]  # keys that rows name and whose files were gone


def entries(
    db: Database, files: FileStore, project_id: str, done: Done
) -> Iterator[tuple[str, Iterable[bytes]]]:
    """(name, content) of the whole archive; `done(step, steps)` is called between files."""
    hashes: dict[str, str] = {}
    named: dict[str, str] = {}
    name = ""
    for table, rows in project_rows.read(db, project_id):
        digest = hashlib.sha256()

        def lines(table: str = table, rows: Any = rows, digest: Any = digest) -> Iterator[bytes]:
            nonlocal name
            for row in rows:
                name = row["name"] if table == "projects" else name
                named.update(_named(table, row))
                line = json.dumps(row, default=_plain, ensure_ascii=False).encode() + b"\n"
                digest.update(line)
                yield line

        yield f"rows/{table}.jsonl", lines()
        hashes[table] = digest.hexdigest()
    missing = []
    for step, key in enumerate(named):
        done(step, len(named))
        if files.path(key).is_file():
            yield f"files/{key}", files.pieces(key, named[key])
        else:
            missing.append(key)
    told = Manifest(
        format=FORMAT,
        release=__version__,
        revision=migration.head(),
        name=name,
        rows=hashes,
        files={key: sha256 for key, sha256 in named.items() if key not in missing},
        missing=missing,
    )
    yield MANIFEST, [told.model_dump_json().encode()]


def bring_in(db: Database, files: FileStore, job: Job, file: BinaryIO, done: Done) -> str:
    """Make a new project of an archive and end the job; returns the project's id.

    Nothing is left of an archive that is refused. Raises Invalid with one sentence, and LostLease.
    """
    stored: dict[str, StoredFile | None] = {}
    try:
        archive = Archive(file)
        names = arrival.Names(db, archive.rows)
        stored = dict.fromkeys(archive.manifest.missing)
        for step, (key, sha256) in enumerate(archive.manifest.files.items()):
            done(step, len(archive.manifest.files))
            kept = files.put(new_key(f".{key.rpartition('.')[2]}"), archive.pieces(key))
            stored[key] = kept
            if kept.sha256 != sha256:
                raise Invalid(_CUT_OFF)
        return arrival.store(db, job, archive.rows, names, stored)
    except BaseException as error:
        for file_of in filter(None, stored.values()):
            files.delete(file_of.key)
        if isinstance(error, zipfile.BadZipFile | EOFError):  # met while it was read
            raise Invalid(_CUT_OFF) from error
        raise


class Archive:
    """An archive whose names, sizes and rows are what an export makes; raises Invalid if not."""

    def __init__(self, file: BinaryIO) -> None:
        try:
            self._zip = zipfile.ZipFile(file)
        except (zipfile.BadZipFile, ValueError, OSError) as error:
            file.seek(0)
            raise Invalid(_CUT_OFF if file.read(4) == b"PK\x03\x04" else _FOREIGN) from error
        self._check_entries(file.seek(0, 2))
        self.manifest = self._manifest()
        self._check_contents()

    def rows(self, table: str) -> Iterator[dict[str, Any]]:
        """The rows of a table, none for one that the archive's release did not know."""
        if table not in self.manifest.rows:
            return
        with self._zip.open(f"rows/{table}.jsonl") as lines:
            while line := lines.readline(_LONGEST_LINE):
                row = _parsed(line)
                if not isinstance(row, dict):
                    raise Invalid(_CUT_OFF)
                yield row

    def pieces(self, key: str) -> Iterator[bytes]:
        """The bytes of a file; a picture must be a PNG, since browsers will be given it."""
        first = True
        for piece in _pieces(self._zip.open(f"files/{key}")):
            if first and key.endswith(".png") and not piece.startswith(_PNG):
                raise Invalid(f"The archive's picture {key} is not a PNG.")
            first = False
            yield piece

    def _check_entries(self, size: int) -> None:
        """Only names that an export gives, none twice, none compressed, none overlapping."""
        infos = self._zip.infolist()
        names = {info.filename for info in infos}
        if MANIFEST not in names:
            raise Invalid(_FOREIGN)
        for info in infos:
            name = info.filename
            if name != MANIFEST and not _ROWS.fullmatch(name) and not _FILE.fullmatch(name):
                raise Invalid(f"The archive holds {name[:80]!r}, which no export of a project has.")
        plain = all(
            info.compress_type == zipfile.ZIP_STORED and not info.flag_bits & _ENCRYPTED
            for info in infos
        )
        if not plain or len(names) < len(infos):
            raise Invalid(_REPACKED)
        if sum(info.file_size for info in infos) > size:
            raise Invalid(_CUT_OFF)

    def _manifest(self) -> Manifest:
        with self._zip.open(MANIFEST) as file:
            told = file.read(_LONGEST_MANIFEST)
        try:
            manifest = Manifest.model_validate_json(told)
        except ValidationError as error:
            raise Invalid(_FOREIGN) from error
        if manifest.format != FORMAT:
            raise Invalid(_FOREIGN)
        if manifest.revision not in migration.revisions():
            raise Invalid(_NEWER.format(schema=manifest.revision[:20]))
        return manifest

    def _check_contents(self) -> None:
        """Manifest, entries and rows speak of the same tables and files, and of one project."""
        told, held = self.manifest, set(self._zip.namelist())
        listed = {MANIFEST, *(f"rows/{table}.jsonl" for table in told.rows)}
        listed |= {f"files/{key}" for key in told.files}
        tables = {table.name for table in project_rows.travelling()}
        if listed != held or not {"projects", "versions"} <= set(told.rows) <= tables:
            raise Invalid(_CUT_OFF)
        if any(self._hash(table) != sha256 for table, sha256 in told.rows.items()):
            raise Invalid(_CUT_OFF)
        named: dict[str, str] = {}
        for table in told.rows:
            for row in self.rows(table):
                named.update(_named(table, row))
        if set(named) != {*told.files, *told.missing} or not told.files.items() <= named.items():
            raise Invalid(_CUT_OFF)
        if sum(1 for _ in self.rows("projects")) != 1:
            raise Invalid(_CUT_OFF)

    def _hash(self, table: str) -> str:
        digest = hashlib.sha256()
        for piece in _pieces(self._zip.open(f"rows/{table}.jsonl")):
            digest.update(piece)
        return digest.hexdigest()


def _named(table: str, row: dict[str, Any]) -> dict[str, str]:
    """The file that a row names: {key: sha256}, or nothing."""
    if table not in project_rows.FILES:
        return {}
    key, sha256, _ = (row.get(column) for column in project_rows.FILES[table])
    if key is None:
        return {}
    if not isinstance(key, str) or not isinstance(sha256, str):
        raise Invalid(_CUT_OFF)
    return {key: sha256}


def _parsed(line: bytes) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError) as error:
        raise Invalid(_CUT_OFF) from error


def _pieces(file: IO[bytes]) -> Iterator[bytes]:
    with file:
        while piece := file.read(_CHUNK):
            yield piece


def _plain(value: object) -> str:
    assert isinstance(value, datetime)
    return value.isoformat()
