"""Ratings from files: whatever is in them, a line is a rating or a sentence, in little memory."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

import app
from loop_studio.errors import Invalid
from loop_studio.exchange.formats import export
from loop_studio.exchange.rating_lists import FACTS, ratings
from loop_studio.storage.schema import Rating

ROOT = Path(__file__).parents[2]
HEAD = b"event_id,group_id,rater,mode,image_1,value_1,order,elapsed_ms\n"


@given(st.sampled_from([b"", b"{", HEAD, b"\xff\xfe"]), st.binary(max_size=300))
def test_whatever_the_bytes_a_line_is_a_rating_or_a_sentence(start: bytes, data: bytes) -> None:
    with suppress(Invalid):
        for line, facts in ratings(io.BytesIO(start + data)):
            assert line.fault.endswith(".") if line.fault else set(facts) <= set(FACTS)


def test_cells_become_the_values_that_they_were() -> None:
    rows = (
        b"'=e,g,\"'@ann, b\",stars,i1,4.0,i2 i1,900\ne,g,ann,skip,i1,,,\ne,g,ann,best,i1,much,,x\n"
    )
    told = [facts for _, facts in ratings(io.BytesIO(HEAD + rows))]
    assert told == [
        {
            "event_id": "=e", "group_id": "g", "rater": "@ann, b", "mode": "stars",
            "judgement": {"i1": 4.0}, "order": ["i2", "i1"], "elapsed_ms": 900,
        },
        {"event_id": "e", "group_id": "g", "rater": "ann", "mode": "skip", "judgement": {}},
        {
            "event_id": "e", "group_id": "g", "rater": "ann", "mode": "best",
            "judgement": {"i1": "much"}, "elapsed_ms": "x",  # for the check of values to refuse
        },
    ]  # fmt: skip


def test_the_command_line_writes_a_file_whole(
    settings, db, files, project, tmp_path, monkeypatch, capsys
) -> None:
    """Once as a process of its own; what it refuses is told by the function that it runs."""
    out = tmp_path / "ratings.csv"
    told = command(settings, project.id, out)
    assert told.returncode == 0, told.stderr
    assert out.read_bytes() == b"".join(export(db, files, project.id, "csv"))
    for name, value in environment(settings).items():
        monkeypatch.setenv(name, value)
    assert app.main(arguments("nowhere", tmp_path / "other.csv")) == 1
    assert capsys.readouterr().err == "loop-studio: There is no project nowhere.\n"
    assert app.main(arguments(project.id, tmp_path / "missing" / "ratings.csv")) == 1
    assert "cannot be written (No such file or directory)." in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["ratings.csv"]


def arguments(project_id: str, out: Path) -> list[str]:
    return ["ratings", "--project", project_id, "--format", "csv", "--out", str(out)]


def environment(settings) -> dict[str, str]:
    url = {"LOOP_STUDIO_DATABASE_URL": settings.database_url} if settings.database_url else {}
    return {"LOOP_STUDIO_DATA": str(settings.data), **url}


def command(settings, project_id: str, out: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "app.py", *arguments(project_id, out)],
        cwd=ROOT,
        env={**os.environ, **environment(settings)},
        capture_output=True,
        text=True,
        timeout=120,
    )


# VmHWM, because ru_maxrss begins with what the parent had.
MEASURE = """
import sys
from pathlib import Path
from loop_studio.settings import Settings
from loop_studio.storage.database import Database
from loop_studio.ui.routes.lists import import_ratings
settings = Settings(data=Path(sys.argv[1]), database_url=sys.argv[3] or None)
db = Database(settings.resolved_database_url)
with open(sys.argv[4], "rb") as file:
    report = import_ratings(db, sys.argv[2], file)
peak = int(Path('/proc/self/status').read_text().split('VmHWM:')[1].split()[0]) // 1024
print(report.added, report.wrong, len(report.errors), peak)
"""


def long_file(db, files, project, format: str, count: int) -> Iterator[bytes]:
    """`count` lines for groups that are elsewhere, one in another encoding, and three good ones."""
    head, first = _split(b"".join(export(db, files, project.id, format)), format)
    event = b"e1," if format == "csv" else b'"e1"'
    wrong = first.replace(_group_of(db), b"elsewhere")
    yield head
    for number in range(count):
        if number in {0, count // 2, count - 1}:
            new = event.replace(b"e1", b"new%d" % number)
            yield first.replace(event, new, 1).replace(b"ann", b"rater %d" % number)
        yield b"caf\xe9" + wrong if number == 7 else wrong


def _split(data: bytes, format: str) -> tuple[bytes, bytes]:
    lines = data.splitlines(keepends=True)
    return (lines[0], lines[1]) if format == "csv" else (b"", lines[0])


def _group_of(db) -> bytes:
    """The group of the first rating."""
    with db.read() as session:
        return session.scalars(select(Rating.group_id).order_by(Rating.sequence)).first().encode()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("format", "lines"),
    [
        ("jsonl", 20_000),
        ("csv", 20_000),
        pytest.param("csv", 1_000_000, marks=pytest.mark.soak),
    ],
)
def test_of_a_long_file_the_good_ratings_are_kept_in_little_memory(
    settings, db, files, project, tmp_path, format, lines
) -> None:
    with (tmp_path / "ratings").open("wb") as file:
        file.writelines(long_file(db, files, project, format, lines))
    url = str(settings.database_url or "")
    told = subprocess.run(
        [sys.executable, "-c", MEASURE, settings.data, project.id, url, tmp_path / "ratings"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=3000,
    )
    assert told.returncode == 0, told.stderr
    added, wrong, listed, peak = map(int, told.stdout.split())
    assert (added, wrong, listed) == (3, lines, 1000)
    assert peak < 300
