"""A version taken home: the zip, its card that tells the truth, and the merged pipeline."""

from __future__ import annotations

import re
import zipfile
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from diffusers import DDIMScheduler, DiffusionPipeline
from PIL import Image

import app
from loop_studio.errors import Conflict, NotFound
from loop_studio.exchange import model_card
from loop_studio.settings import Settings
from loop_studio.storage import exports, jobs, projects, references, samples, versions
from loop_studio.storage.schema import Job, Version
from tests.jobs.conftest import Desk, only
from tests.jobs.test_import_lora import trained

STEPS, GUIDANCE = 6, 3.0


def exported(desk: Desk, version: Version, format: str = "zip") -> Job:
    job = exports.create(desk.db, desk.project.id, format, version.id)
    only(desk, exports.KIND)
    return exports.get(desk.db, job.id)


def unpacked(desk: Desk, job: Job, folder: Path) -> Path:
    assert (job.state, job.error_detail) == ("succeeded", None)
    with zipfile.ZipFile(desk.files.path(exports.file(job).key)) as archive:
        assert archive.testzip() is None
        archive.extractall(folder)
    return folder


def bytes_of(desk: Desk, version: Version, kind: str) -> bytes:
    return desk.files.path(versions.file(desk.db, version.id, kind).key).read_bytes()


def front(card: str) -> dict:
    return yaml.safe_load(card.split("---\n")[1])


def code(card: str) -> str:
    [block] = re.findall(r"```py\n(.*?)```", card, re.DOTALL)
    return block


def test_a_version_leaves_as_one_zip_whose_card_tells_where_it_came_from(desk, tmp_path) -> None:
    version = trained(desk)
    job = exported(desk, version)
    folder = unpacked(desk, job, tmp_path / "taken")
    assert job.payload["name"] == "tiny-v1.zip"
    assert {path.name for path in folder.iterdir()} == {
        "README.md", "before-after.png", "pytorch_lora_weights.safetensors", "tiny-v1.safetensors"
    }  # fmt: skip
    for kind, name in (("diffusers", model_card.LORA), ("kohya", "tiny-v1.safetensors")):
        assert (folder / name).read_bytes() == bytes_of(desk, version, kind)
    card = (folder / "README.md").read_text()
    told = front(card)
    assert (told["base_model"], told["library_name"]) == ("model", "diffusers")
    assert {"lora", "text-to-image"} <= set(told["tags"])
    assert told["widget"][0] == {"text": "prompt 0", "output": {"url": "before-after.png"}}
    assert "2 ratings of 1 rater in 1 update" in card
    assert "first 4 of 6 denoising steps" in card
    assert "no group was judged by two raters" in card
    assert re.search(r"\| clip_score \| -?\d.*n = 6\) \| -?\d.*n = 6\) \|", card)
    assert all(f"- prompt {number}" in card for number in range(3))
    grid = Image.open(folder / "before-after.png")
    assert grid.width == 4 * (256 + 8) + 8


def test_the_code_of_the_card_makes_the_studios_picture(
    desk, version, tmp_path, monkeypatch
) -> None:
    """LoRA in the first steps alone, then the base."""
    folder = unpacked(desk, exported(desk, version), tmp_path)
    asked = samples.create(desk.db, desk.project.id, ["prompt 0"], [1], 1, {})
    only(desk, "samples")
    _, [image] = samples.get(desk.db, asked.id)
    studio = np.array(Image.open(desk.files.path(image.key))).astype(int)
    monkeypatch.chdir(folder)
    made: dict = {}
    exec(compile(code((folder / "README.md").read_text()), "card", "exec"), made)
    assert np.abs(studio - np.array(made["image"]).astype(int)).max() < 2
    made["pipeline"].enable_lora()
    del made["pipeline"]


def test_a_merged_pipeline_makes_what_the_lora_makes_at_every_step(desk, version, tmp_path) -> None:
    job = exported(desk, version, "merged")
    folder = unpacked(desk, job, tmp_path) / "tiny-v1-merged"
    weights = [path for path in folder.rglob("*") if path.suffix in (".bin", ".safetensors", ".pt")]
    assert {path.suffix for path in weights} == {".safetensors"}
    card = (folder / "README.md").read_text()
    assert "merged it acts in all 6" in card
    assert "lora" not in front(card)["tags"]

    def picture(pipeline: DiffusionPipeline) -> np.ndarray:
        pipeline.scheduler = DDIMScheduler.from_config(pipeline.scheduler.config)
        pipeline.set_progress_bar_config(disable=True)
        draw = torch.Generator().manual_seed(1)
        made = pipeline("prompt 0", num_inference_steps=STEPS, guidance_scale=GUIDANCE, eta=1.0,
                        generator=draw, output_type="np").images[0]  # fmt: skip
        return (made * 255).round().astype(int)

    plain = DiffusionPipeline.from_pretrained(desk.project.model)
    base = picture(plain)
    lora = desk.files.path(versions.file(desk.db, version.id, "diffusers").key)
    plain.load_lora_weights(lora.parent, weight_name=lora.name)
    with_lora = picture(plain)
    merged = picture(DiffusionPipeline.from_pretrained(folder))
    assert np.abs(merged - with_lora).max() < 2
    assert np.abs(merged - base).max() >= 2
    assert not list(desk.files.root.glob("scratch-*"))


def test_texts_of_people_cannot_break_out_of_the_card(desk, version, tmp_path) -> None:
    projects.change(desk.db, desk.project.id, name="x\n---\nlicense: mit\n# `Evil` <script>")
    folder = unpacked(desk, exported(desk, version), tmp_path)
    card = (folder / "README.md").read_text()
    assert "license" not in front(card)
    assert "<script>" not in card.replace("\\<script\\>", "")
    assert "\n# x --- license: mit" in card


def test_the_base_has_nothing_to_take_home(desk) -> None:
    base = versions.by_number(desk.db, desk.project.id, 0)
    with pytest.raises(NotFound, match="untouched base") as refusal:
        exports.create(desk.db, desk.project.id, "zip", base.id)
    assert refusal.value.code == "base_has_no_lora"


def test_five_clicks_make_one_export_and_a_new_one_replaces_its_file(desk, version) -> None:
    clicks = {exports.create(desk.db, desk.project.id, "zip", version.id).id for _ in range(5)}
    assert len(clicks) == 1
    with pytest.raises(Conflict, match="still being made"):
        exports.file(exports.get(desk.db, min(clicks)))
    only(desk, exports.KIND)
    first = exports.file(exports.get(desk.db, min(clicks)))
    assert first.key in references.keys(desk.db)
    second = exports.file(exported(desk, version))
    assert second.key in references.keys(desk.db)
    assert first.key not in references.keys(desk.db)
    with pytest.raises(NotFound, match="make it again"):
        exports.file(exports.get(desk.db, min(clicks)))


def test_a_lost_file_is_told_and_nothing_is_kept(desk, version) -> None:
    desk.files.delete(versions.file(desk.db, version.id, "kohya").key)
    job = exported(desk, version)
    assert job.state == "failed"
    assert "file" not in job.payload
    assert not list(desk.files.root.rglob("*.zip"))
    assert not list(desk.files.root.rglob(".*.partial"))


@pytest.mark.parametrize("format", ["zip", "merged"])
def test_a_file_changed_behind_the_studios_back_is_told(
    desk: Desk, version: Version, format: str
) -> None:
    path = desk.files.path(versions.file(desk.db, version.id, "diffusers").key)
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    job = exported(desk, version, format)
    assert (job.state, job.error_code) == ("failed", "file_changed")
    assert "was changed since the studio stored it" in (job.error_detail or "")
    assert not list(desk.files.root.rglob("*.zip"))


def test_a_cancelled_export_leaves_no_file(desk, version) -> None:
    job = exports.create(desk.db, desk.project.id, "merged", version.id)
    with desk.db.write() as session:
        session.get(Job, job.id).cancel_requested = True
    only(desk, exports.KIND)
    assert jobs.get(desk.db, job.id).state == "cancelled"
    assert not list(desk.files.root.rglob("*.zip"))
    assert not list(desk.files.root.glob("scratch-*"))


@pytest.mark.parametrize("format", ["zip", "merged"])
def test_the_command_line_packs_a_version(
    desk: Desk, version: Version, settings: Settings, tmp_path: Path, monkeypatch, capsys, format
) -> None:
    monkeypatch.setenv("LOOP_STUDIO_DATA", str(settings.data))
    monkeypatch.setenv("LOOP_STUDIO_DATABASE_URL", settings.resolved_database_url)
    monkeypatch.setenv("LOOP_STUDIO_DEVICE", "cpu")
    asked = ["export", "--project", desk.project.id, "--version", "1", "--out", str(tmp_path)]
    assert app.main([*asked, "--format", format]) == 0
    made = tmp_path / ("tiny-v1.zip" if format == "zip" else "tiny-v1-merged")
    assert capsys.readouterr().out.strip().endswith(str(made))
    if format == "zip":
        assert "README.md" in zipfile.ZipFile(BytesIO(made.read_bytes())).namelist()
    else:
        assert (made / "model_index.json").is_file()
