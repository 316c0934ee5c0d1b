"""Ratings from files: whatever is in them, a line is a rating or a sentence, in little memory."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loop_studio.errors import Invalid
from loop_studio.exchange.formats import export
from loop_studio.exchange.rating_lists import FACTS, ratings

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


def test_the_command_line_writes_a_file_whole(settings, db, files, project, tmp_path) -> None:
    out = tmp_path / "ratings.csv"
    told = command(settings, project.id, out)
    assert told.returncode == 0, told.stderr
    assert out.read_bytes() == b"".join(export(db, files, project.id, "csv"))
    told = command(settings, "nowhere", tmp_path / "other.csv")
    assert (told.returncode, told.stderr) == (1, "loop-studio: There is no project nowhere.\n")
    told = command(settings, project.id, tmp_path / "missing" / "ratings.csv")
    assert "cannot be written (No such file or directory)." in told.stderr
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["ratings.csv"]


def command(settings, project_id: str, out: Path) -> subprocess.CompletedProcess[str]:
    url = {"LOOP_STUDIO_DATABASE_URL": settings.database_url} if settings.database_url else {}
    return subprocess.run(
        [
            sys.executable,
            "app.py",
            "ratings",
            "--project",
            project_id,
            "--format",
            "csv",
            "--out",
            out,
        ],
        cwd=ROOT,
        env={**os.environ, "LOOP_STUDIO_DATA": str(settings.data), **url},
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
print(report.wrong, len(report.errors), peak)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "lines", [20_000, pytest.param(1_000_000, marks=pytest.mark.soak)], ids=str
)
def test_a_long_file_of_wrong_ratings_is_read_in_little_memory(
    settings, db, files, project, tmp_path, lines
) -> None:
    first = b"".join(export(db, files, project.id, "jsonl")).splitlines(keepends=True)[0]
    wrong = first.replace(b'"group_id": "', b'"group_id": "x')
    with (tmp_path / "ratings.jsonl").open("wb") as file:
        file.writelines(wrong for _ in range(lines))
    url = str(settings.database_url or "")
    told = subprocess.run(
        [sys.executable, "-c", MEASURE, settings.data, project.id, url, tmp_path / "ratings.jsonl"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=3000,
    )
    assert told.returncode == 0, told.stderr
    wrong_lines, kept, peak = map(int, told.stdout.split())
    assert (wrong_lines, kept) == (lines, 1000)
    assert peak < 300
