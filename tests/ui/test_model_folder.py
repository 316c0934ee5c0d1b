"""A model folder that is missing, not Stable Diffusion, or truncated."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest

from loop_studio import model_folder
from loop_studio.errors import Invalid
from loop_studio.ui.model_check import check_model, is_on_hub


def safetensors(file: Path, numbers: int = 4) -> None:
    header = {"__metadata__": {}, "w": {"dtype": "F32", "shape": [numbers]}}
    header["w"]["data_offsets"] = [0, numbers * 4]
    text = json.dumps(header).encode()
    file.write_bytes(struct.pack("<Q", len(text)) + text + bytes(numbers * 4))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with every part of a Stable Diffusion model, its tensors tiny."""
    home = tmp_path / "model"
    for part, stem in (
        ("unet", "diffusion_pytorch_model"),
        ("vae", "diffusion_pytorch_model"),
        ("text_encoder", "model"),
    ):
        (home / part).mkdir(parents=True)
        (home / part / "config.json").write_text("{}")
        safetensors(home / part / f"{stem}.safetensors")
    (home / "scheduler").mkdir()
    (home / "scheduler" / "scheduler_config.json").write_text("{}")
    (home / "tokenizer").mkdir()
    (home / "tokenizer" / "tokenizer.json").write_text("{}")
    index = {"_class_name": "StableDiffusionPipeline"}
    (home / "model_index.json").write_text(json.dumps(index))
    return home


def refused(folder: Path) -> str:
    with pytest.raises(Invalid) as error:
        check_model(str(folder))
    assert str(error.value).count("\n") == 0
    return error.value.detail


def test_a_whole_folder_is_accepted(folder):
    assert model_folder.fault(folder) is None
    check_model(str(folder))
    assert not is_on_hub(str(folder))


def test_a_missing_folder_is_refused(tmp_path):
    assert "There is no model" in refused(tmp_path / "nowhere")
    assert model_folder.fault(tmp_path / "nowhere") is not None


def test_another_kind_of_model_is_refused_by_name(folder):
    (folder / "model_index.json").write_text('{"_class_name": "FluxPipeline"}')
    assert "FluxPipeline" in refused(folder)


@pytest.mark.parametrize("text", ["", "[]", "{", "\ud800".encode("utf-16", "surrogatepass")])
def test_a_damaged_index_is_refused(folder, text):
    (folder / "model_index.json").write_bytes(text if isinstance(text, bytes) else text.encode())
    assert "model_index.json" in refused(folder)


@pytest.mark.parametrize("part", ["unet", "vae", "text_encoder", "scheduler", "tokenizer"])
def test_a_missing_part_is_named(folder, part):
    for file in (folder / part).iterdir():
        file.unlink()
    assert part in refused(folder)


@pytest.mark.parametrize("part", ["unet", "vae", "text_encoder"])
@pytest.mark.parametrize("keep", [0, 4, 8, 20, -1])
def test_truncated_weights_are_refused(folder, part, keep):
    file = next((folder / part).glob("*.safetensors"))
    file.write_bytes(file.read_bytes()[:keep])
    assert "truncated" in refused(folder)


def test_weights_with_a_longer_tail_are_refused(folder):
    file = next((folder / "unet").glob("*.safetensors"))
    file.write_bytes(file.read_bytes() + b"\0")
    assert "truncated" in refused(folder)


def test_a_header_that_is_no_object_is_refused(folder):
    file = next((folder / "unet").glob("*.safetensors"))
    for header in (b"[]", b"12", b'{"w": 3}', b'{"w": {"data_offsets": ["a", "b"]}}', b"\xff\xff"):
        file.write_bytes(struct.pack("<Q", len(header)) + header)
        assert "truncated" in refused(folder)


def test_pickled_weights_are_refused_with_the_way_out(folder):
    file = next((folder / "unet").glob("*.safetensors"))
    file.unlink()
    (folder / "unet" / "diffusion_pytorch_model.bin").write_bytes(b"pickle")
    assert "safetensors" in refused(folder)


def test_shards_are_followed_and_a_missing_one_is_refused(folder):
    stem = "diffusion_pytorch_model"
    (folder / "unet" / f"{stem}.safetensors").unlink()
    names = [f"{stem}-0000{part}-of-00002.safetensors" for part in (1, 2)]
    index = {"weight_map": {"a": names[0], "b": names[1]}}
    (folder / "unet" / f"{stem}.safetensors.index.json").write_text(json.dumps(index))
    for name in names:
        safetensors(folder / "unet" / name)
    assert model_folder.fault(folder) is None
    (folder / "unet" / names[1]).unlink()
    assert names[1] in refused(folder)


def test_hub_ids_are_left_to_the_worker():
    check_model("stable-diffusion-v1-5/stable-diffusion-v1-5")
    assert is_on_hub("stable-diffusion-v1-5/stable-diffusion-v1-5")
    for revision in ("main", "v1.0", "refs/pr/3", "0123456789abcdef0123456789abcdef01234567"):
        check_model(f"owner/name@{revision}")
        assert is_on_hub(f"owner/name@{revision}")


@pytest.mark.parametrize(
    "model",
    [
        "",
        "nothing",
        "a/b/c",
        "../..x/y",
        "/nowhere/at/all",
        "a/b\x00",
        "x" * 5000,
        "a b/c",
        "a/b@",
        "a/b@../../c",
        "a/b@c d",
    ],
)
def test_other_names_are_refused(model):
    with pytest.raises(Invalid, match="There is no model"):
        check_model(model)
