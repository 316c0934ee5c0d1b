"""What leaves the studio: every event in every format, loss-free, and read by its usual reader."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
import zipfile
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from PIL import Image

from loop_studio.errors import NotFound
from loop_studio.exchange.formats import FORMATS, export
from loop_studio.exchange.pick_a_pic import pairs
from loop_studio.exchange.tables import guarded, unguarded
from loop_studio.storage import exporting, groups, projects
from loop_studio.storage.exporting import ExportedRating
from tests.exchange.conftest import FORMULA

ROOT = Path(__file__).parents[2]
# The columns of yuvalkirstain/pickapic_v1's card, without pandas' own.
PICK_A_PIC = [
    "are_different", "best_image_uid", "caption", "created_at", "has_label", "image_0_uid",
    "image_0_url", "image_1_uid", "image_1_url", "jpg_0", "jpg_1", "label_0", "label_1", "model_0",
    "model_1", "ranking_id", "user_id", "num_example_per_prompt",
]  # fmt: skip


def whole(db, files, project, format: str, images: bool = False) -> bytes:
    return b"".join(export(db, files, project.id, format, images))


def table(db, files, project, format: str, images: bool = False):
    return pq.read_table(io.BytesIO(whole(db, files, project, format, images)))


def rows(db, project) -> list[ExportedRating]:
    return list(exporting.rows(db, project.id))


def test_json_lines_hold_every_event_in_order_of_arrival(db, files, project) -> None:
    lines = [json.loads(line) for line in whole(db, files, project, "jsonl").splitlines()]
    assert [line["status"] for line in lines] == [
        "superseded", "active", "undone", "active", "active"
    ]  # fmt: skip
    assert lines == [row.values() for row in rows(db, project)]
    assert list(lines[0]["rewards"].values()) == [1.0, 0.0, 0.0, 0.0]


def test_csv_has_a_column_per_fact_and_runs_nobodys_formula(db, files, project) -> None:
    data = whole(db, files, project, "csv")
    assert data.startswith(b"\xef\xbb\xbfevent_id,created_at,rater,prompt,")
    lines = list(csv.DictReader(io.StringIO(data.decode("utf-8-sig"), newline="")))
    assert len(lines) == 5
    last, row = lines[-1], rows(db, project)[-1]
    assert [last[f"image_{place}"] for place in range(1, 5)] == [image.id for image in row.images]
    assert [last[f"value_{place}"] for place in range(1, 5)] == ["5.0", "3.0", "3.0", ""]
    assert [last[f"reward_{place}"] for place in range(1, 5)] == ["1.0", "0.5", "0.5", ""]
    assert last["order"].split() == row.order
    assert (last["rater"], last["event_id"]) == (f"'{FORMULA}", "'=e5")


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "'=1", "''=1"])
def test_a_formula_is_guarded_and_comes_back(text: str) -> None:
    assert guarded(text) == f"'{text}"
    assert unguarded(guarded(text)) == text


@pytest.mark.parametrize("text", ["a red fish", "'quoted'", "1 = 1", "", "a-b", "'"])
def test_other_text_is_left_alone(text: str) -> None:
    assert guarded(text) == unguarded(text) == text


def test_parquet_holds_what_the_json_lines_hold(db, files, project) -> None:
    told = table(db, files, project, "parquet").to_pylist()
    assert len(told) == 5
    for line, row in zip(told, rows(db, project), strict=True):
        judged = {one["image_id"]: one["value"] for one in line.pop("judgement")}
        assert judged == {image.id: row.judgement.get(image.id) for image in row.images}
        assert line.pop("created_at") == row.created_at
        assert line.items() <= row.values().items()


def test_a_large_parquet_is_sent_in_row_groups(db, files, many, monkeypatch) -> None:
    monkeypatch.setattr("loop_studio.exchange.streams.ROWS_AT_ONCE", 100)
    chunks = list(export(db, files, many(450).id, "parquet"))
    assert len(chunks) >= 5
    read = pq.ParquetFile(io.BytesIO(b"".join(chunks)))
    assert (read.num_row_groups, read.metadata.num_rows) == (5, 450)


def test_pick_a_pic_has_the_columns_of_its_card(db, files, project) -> None:
    without = [name for name in PICK_A_PIC if not name.startswith("jpg_")]
    assert table(db, files, project, "pickapic").column_names == without
    with_images = table(db, files, project, "pickapic", images=True)
    assert with_images.column_names == PICK_A_PIC
    types = {field.name: str(field.type) for field in with_images.schema}
    assert (types["created_at"], types["label_0"], types["jpg_0"]) == (
        "timestamp[ns]", "double", "binary"
    )  # fmt: skip


def test_pick_a_pic_pairs_follow_the_judgement(db, files, project) -> None:
    told = table(db, files, project, "pickapic", images=True).to_pylist()
    best, stars = (
        [row for row in told if row["user_id"] == number]
        for number in (1, max(row["user_id"] for row in told))
    )
    # best [0, 1, 0.5, 0.5] in six pairs, stars [5, 3, 3, null] in three
    assert [(row["label_0"], row["label_1"]) for row in best] == [
        (0.0, 1.0), (0.0, 1.0), (0.0, 1.0), (1.0, 0.0), (1.0, 0.0), (0.5, 0.5)
    ]  # fmt: skip
    assert [row["label_0"] for row in stars] == [1.0, 1.0, 0.5]
    assert {row["num_example_per_prompt"] for row in told} == {len(told)} == {9}
    for row in told:
        winner = {1.0: row["image_0_uid"], 0.0: row["image_1_uid"], 0.5: "tie"}[row["label_0"]]
        assert row["best_image_uid"] == winner
        assert row["image_0_url"] == f"/api/v1/images/{row['image_0_uid']}"
        stored = groups.image(db, row["image_1_uid"])
        assert row["jpg_1"] == files.path(stored.key).read_bytes()
        assert row["caption"] == stored.prompt
    assert FORMULA not in str(told)


def judged(mode: str, rewards: list[float | None], status: str = "active") -> ExportedRating:
    images = [exporting.ExportedImage(str(place), "", "") for place in range(len(rewards))]
    told = {str(place): reward for place, reward in enumerate(rewards)}
    return ExportedRating(
        1, "e", "p", "g", "group", "a fish", 0, "ann", "r", mode, told, None, None, False, status,
        True, "", told, None, datetime.now(UTC), images,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("mode", "rewards", "labels"),
    [
        ("best", [1.0, 0.0, 0.0], [1.0, 1.0]),  # the two not chosen were not compared
        ("best", [0.0, 0.0], []),  # none is good
        ("best", [0.5, 0.5], [0.5]),
        ("stars", [0.0, 0.0], [0.5]),
        ("good", [1.0, 0.0, 0.0], [1.0, 1.0, 0.5]),
        ("rank", [0.0, 1.0, None], [0.0]),
        ("skip", [None, None], []),
    ],
)
def test_a_pair_is_only_what_was_compared(mode, rewards, labels) -> None:
    assert [label for *_, label in pairs(judged(mode, rewards))] == labels
    assert not list(pairs(judged(mode, rewards, "superseded")))
    assert not list(pairs(judged(mode, rewards, "undone")))


def unpacked(db, files, project, tmp_path: Path, images: bool) -> Path:
    data = io.BytesIO(whole(db, files, project, "dataset", images))
    with zipfile.ZipFile(data) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["data/train-00000.parquet", "README.md"]
        archive.extractall(tmp_path / "folder")
    return tmp_path / "folder"


LOAD = """
import json, sys
from datasets import load_dataset
data = load_dataset(sys.argv[1], cache_dir=sys.argv[2])["train"]
row = data[1]
print(json.dumps({
    "rows": len(data), "image": row["image"].size, "kind": type(data.features["image"]).__name__,
    "value": row["value"], "prompt": row["prompt"], "columns": data.column_names,
}))
"""


def test_hugging_face_datasets_loads_the_folder(db, files, project, tmp_path) -> None:
    folder = unpacked(db, files, project, tmp_path, images=True)
    told = subprocess.run(
        [sys.executable, "-c", LOAD, folder, tmp_path / "cache"],
        env={**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "home")},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert told.returncode == 0, told.stderr
    read = json.loads(told.stdout)
    assert (read["rows"], read["image"], read["kind"]) == (20, [1, 1], "Image")
    assert (read["value"], read["prompt"]) == (0.0, "a red fish")
    assert read["columns"][0] == "image"


def test_the_folder_without_pictures_has_no_image_column(db, files, project, tmp_path) -> None:
    projects.change(db, project.id, name='fish"\n---\n# {evil}')
    folder = unpacked(db, files, project, tmp_path, images=False)
    read = pq.read_table(folder / "data" / "train-00000.parquet")
    told = json.loads(read.schema.metadata[b"huggingface"])["info"]["features"]
    assert "image" not in read.column_names
    assert list(told) == read.column_names
    assert told["reward"] == {"dtype": "float64", "_type": "Value"}
    card = (folder / "README.md").read_text()
    assert 'pretty_name: "fish\\"\\n---\\n# {evil}"\n' in card
    assert "5 rating events of 20 images" in card


def test_a_picture_whose_file_is_gone_is_left_empty(db, files, project) -> None:
    row = rows(db, project)[0]
    files.delete(row.images[0].key)
    told = table(db, files, project, "pickapic", images=True).to_pylist()
    gone = [one for one in told if one["image_0_uid"] == row.images[0].id]
    assert gone
    assert all(one["jpg_0"] is None for one in gone)
    Image.open(io.BytesIO(gone[0]["jpg_1"])).verify()


@pytest.mark.parametrize("format", FORMATS)
def test_an_unknown_project_is_refused_before_a_byte_is_sent(db, files, format) -> None:
    with pytest.raises(NotFound):
        export(db, files, "nowhere", format)


@pytest.mark.parametrize("format", FORMATS)
def test_a_project_without_ratings_makes_a_file_that_readers_open(db, files, format) -> None:
    empty = projects.create(db, "Empty", "starter", [("a fish", [])], {})
    data = whole(db, files, empty, format)
    if format.endswith(("parquet", "pickapic")):
        assert pq.read_table(io.BytesIO(data)).num_rows == 0
    elif format == "csv":
        assert len(data.splitlines()) == 1
    elif format == "dataset":
        assert zipfile.ZipFile(io.BytesIO(data)).testzip() is None
    else:
        assert data == b""


# VmHWM, because ru_maxrss begins with what the parent had.
MEASURE = """
import sys
from pathlib import Path
from loop_studio.exchange.formats import export
from loop_studio.settings import Settings
from loop_studio.storage.database import Database
from loop_studio.storage.files import FileStore
settings = Settings(data=Path(sys.argv[1]), database_url=sys.argv[3] or None)
db = Database(settings.resolved_database_url)
for format in sys.argv[4:]:
    sent = sum(map(len, export(db, FileStore(settings.files), sys.argv[2], format, images=True)))
    peak = int(Path('/proc/self/status').read_text().split('VmHWM:')[1].split()[0]) // 1024
    print(format, sent, peak)
"""


def megabytes(settings, project) -> list[tuple[str, int]]:
    """The peak memory of a fresh process after each format."""
    url = settings.database_url or ""
    told = subprocess.run(
        [sys.executable, "-c", MEASURE, settings.data, project.id, str(url), *FORMATS],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=3000,  # others may use the machine too
    )
    assert told.returncode == 0, told.stderr
    lines = [line.split() for line in told.stdout.splitlines()]
    return [(format, int(peak)) for format, _, peak in lines]


@pytest.mark.slow
def test_ten_thousand_ratings_leave_in_little_memory(settings, many) -> None:
    peaks = megabytes(settings, many(10_000))
    assert max(peak for _, peak in peaks) < 300, peaks


@pytest.mark.soak
def test_a_hundred_thousand_ratings_leave_in_little_memory(settings, many) -> None:
    peaks = megabytes(settings, many(100_000))
    assert max(peak for _, peak in peaks) < 300, peaks
    assert all(later - earlier < 100 for (_, earlier), (_, later) in pairwise(peaks)), peaks
