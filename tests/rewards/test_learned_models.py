"""Rewards with weights: the real loading code on tiny models of the same classes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from PIL import Image, ImageOps
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers import BlipConfig

from loop_studio.errors import ModelUnusable, Refused
from loop_studio.rewards import aesthetic, blip_vqa, hps, image_reward, two_towers, weights
from loop_studio.rewards.catalogue import (
    AESTHETIC,
    CLIP_H,
    CLIP_L,
    HPS,
    IMAGE_REWARD,
    PICK_SCORE,
    entry,
)
from loop_studio.rewards.model import RewardModels
from loop_studio.settings import Settings
from tests.rewards import tiny_rewards as tiny

PROMPTS = ["a red fish", "a blue star", "a fish"]


def cosines(model: nn.Module, images: list[Image.Image], prompts: list[str]) -> list[float]:
    """By hand, one pair at a time: features of each, made length 1."""
    tokenizer = tiny.tiny.tokenizer()
    processor = tiny.CLIPImageProcessorPil(
        size={"shortest_edge": tiny.SIDE}, crop_size={"height": tiny.SIDE, "width": tiny.SIDE}
    )
    found = []
    with torch.no_grad():
        for image, prompt in zip(images, prompts, strict=True):
            tokens = tokenizer([prompt], return_tensors="pt")
            seen = model.visual_projection(
                model.vision_model(
                    processor(images=[image], return_tensors="pt").pixel_values
                ).pooler_output
            )
            read = model.text_projection(model.text_model(tokens.input_ids).pooler_output)
            found.append(float(nn.functional.cosine_similarity(seen, read)))
    return found


def own(settings: Settings, model: str) -> Path:
    folder = weights.own_folder(settings, model)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


class TestClipScore:
    def test_it_is_a_hundred_times_the_cosine(self, settings: Settings, tmp_path: Path) -> None:
        folder = str(tiny.clip_folder(tmp_path / "clip"))
        images = tiny.pictures(3)
        found = RewardModels(settings).score("clip_score", {"model": folder}, images, PROMPTS)
        wanted = [100 * one for one in cosines(tiny.clip(), images, PROMPTS)]
        assert found == pytest.approx(wanted, abs=1e-3)
        assert len({round(one, 3) for one in found}) == 3

    def test_a_siglip_reads_texts_padded_as_it_was_taught(
        self, settings: Settings, tmp_path: Path
    ) -> None:
        folder = str(tiny.siglip_folder(tmp_path / "siglip"))
        rewards = RewardModels(settings)
        images = tiny.pictures(3)
        together = rewards.score("clip_score", {"model": folder}, images, PROMPTS)
        alone = [
            rewards.score("clip_score", {"model": folder}, [image], [prompt])[0]
            for image, prompt in zip(images, PROMPTS, strict=True)
        ]
        assert together == pytest.approx(alone, abs=1e-3)
        assert all(-100 <= one <= 100 for one in together)

    def test_another_model_is_another_version_and_the_same_one_is_not(
        self, settings: Settings, tmp_path: Path
    ) -> None:
        clip = str(tiny.clip_folder(tmp_path / "clip"))
        copy = str(tiny.clip_folder(tmp_path / "copy"))
        siglip = str(tiny.siglip_folder(tmp_path / "siglip"))
        rewards = RewardModels(settings)
        versions = [
            rewards.load("clip_score", {"model": name}).version
            for name in (clip, copy, siglip, "starter")
        ]
        assert versions[0] == versions[1]
        assert len(set(versions)) == 3

    def test_the_starters_own_tells_a_fitting_caption_from_another(
        self, settings: Settings
    ) -> None:
        picture = Image.new("RGB", (64, 64), "white")
        picture.paste("red", (20, 20, 44, 44))
        captions = ["a red square", "a blue moon"]
        fits, not_ = RewardModels(settings).score("clip_score", {}, [picture] * 2, captions)
        assert fits > not_

    def test_a_folder_of_something_else_is_named(self, settings: Settings, tmp_path: Path) -> None:
        folder = str(tiny.blip_folder(tmp_path / "blip"))
        with pytest.raises(ModelUnusable, match="holds a blip; choose a CLIP or a SigLIP"):
            RewardModels(settings).load("clip_score", {"model": folder})

    def test_weights_in_a_pickle_are_not_read(self, settings: Settings, tmp_path: Path) -> None:
        folder = tiny.clip_folder(tmp_path / "clip")
        (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
        with pytest.raises(ModelUnusable, match="read as safetensors only"):
            RewardModels(settings).load("clip_score", {"model": str(folder)})

    def test_a_folders_own_python_is_not_run_and_nobody_is_asked_to(
        self, settings: Settings, tmp_path: Path
    ) -> None:
        folder, proof = tiny.clip_folder(tmp_path / "clip"), tmp_path / "ran"
        (folder / "theirs.py").write_text(f"open({str(proof)!r}, 'w')\n")
        config = json.loads((folder / "config.json").read_text())
        theirs = {"AutoConfig": "theirs.Config", "AutoModel": "theirs.Model"}
        told = config | {"model_type": "theirs", "auto_map": theirs}
        (folder / "config.json").write_text(json.dumps(told))
        with pytest.raises(ModelUnusable, match="could not be loaded as a CLIP or SigLIP"):
            two_towers.load(folder, "cpu")
        assert not proof.exists()


def test_weights_that_cannot_be_fetched_are_named_with_their_folder(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_network(*_: object, **__: object) -> str:
        raise OSError("no route")

    monkeypatch.setattr(weights, "snapshot_download", no_network)
    pick = entry("pick_score")
    assert pick is not None
    folder = weights.own_folder(settings, PICK_SCORE)
    assert folder == settings.data / "rewards" / "yuvalkirstain--PickScore_v1"
    assert str(folder) in pick.note(settings, {})
    with pytest.raises(ModelUnusable) as told:
        RewardModels(settings).load("pick_score", {})
    assert PICK_SCORE in told.value.detail
    assert str(folder) in told.value.detail


def test_pick_score_is_the_models_own_scale_times_the_cosine(settings: Settings) -> None:
    model = tiny.clip()
    model.save_pretrained(own(settings, PICK_SCORE))
    tiny.beside(own(settings, CLIP_H))
    images = tiny.pictures(3)
    found = RewardModels(settings).score("pick_score", {}, images, PROMPTS)
    scale = float(model.logit_scale.detach().exp())
    wanted = [scale * one for one in cosines(model, images, PROMPTS)]
    assert found == pytest.approx(wanted, abs=1e-4)


def open_clip_state(model: nn.Module) -> dict[str, Tensor]:
    """The weights of a CLIP as open_clip names and stores them."""
    own_state = model.state_dict()
    found = {
        "logit_scale": own_state["logit_scale"],
        "visual.class_embedding": own_state["vision_model.embeddings.class_embedding"],
        "visual.positional_embedding": own_state[
            "vision_model.embeddings.position_embedding.weight"
        ],
        "visual.conv1.weight": own_state["vision_model.embeddings.patch_embedding.weight"],
        "visual.proj": own_state["visual_projection.weight"].T,
        "token_embedding.weight": own_state["text_model.embeddings.token_embedding.weight"],
        "positional_embedding": own_state["text_model.embeddings.position_embedding.weight"],
        "text_projection": own_state["text_projection.weight"].T,
    }
    for theirs, ours in (
        ("visual.ln_pre", "vision_model.pre_layrnorm"),
        ("visual.ln_post", "vision_model.post_layernorm"),
        ("ln_final", "text_model.final_layer_norm"),
    ):
        for kind in ("weight", "bias"):
            found[f"{theirs}.{kind}"] = own_state[f"{ours}.{kind}"]
    for theirs, ours in (("visual.transformer", "vision_model"), ("transformer", "text_model")):
        for layer in range(2):
            block, there = f"{theirs}.resblocks.{layer}", f"{ours}.encoder.layers.{layer}"
            for kind in ("weight", "bias"):
                found[f"{block}.attn.in_proj_{kind}"] = torch.cat(
                    [own_state[f"{there}.self_attn.{part}_proj.{kind}"] for part in "qkv"]
                )
                for name, known in (
                    ("attn.out_proj", "self_attn.out_proj"),
                    ("ln_1", "layer_norm1"),
                    ("ln_2", "layer_norm2"),
                    ("mlp.c_fc", "mlp.fc1"),
                    ("mlp.c_proj", "mlp.fc2"),
                ):
                    found[f"{block}.{name}.{kind}"] = own_state[f"{there}.{known}.{kind}"]
    return {name: tensor.contiguous().clone() for name, tensor in found.items()}


class TestHps:
    def test_it_is_the_cosine_of_the_whole_picture_padded_with_black(
        self, settings: Settings
    ) -> None:
        model = tiny.clip()
        save_file(open_clip_state(model), own(settings, HPS) / "model.safetensors")
        model.config.save_pretrained(tiny.beside(own(settings, CLIP_H)))
        images = tiny.pictures(3, (24, 40))
        found = RewardModels(settings).score("hps_v2", {}, images, PROMPTS)
        padded = [ImageOps.pad(image, (tiny.SIDE,) * 2, color="black") for image in images]
        assert found == pytest.approx(cosines(model, padded, PROMPTS), abs=1e-5)

    def test_without_converted_weights_it_says_where_they_belong(self, settings: Settings) -> None:
        with pytest.raises(Refused, match="in a form that is never read here") as told:
            RewardModels(settings).load("hps_v2", {})
        assert str(weights.own_folder(settings, HPS)) in told.value.detail
        assert "docs/rewards.md" in told.value.detail

    def test_a_file_of_something_else_is_named(self, tmp_path: Path) -> None:
        beside = tiny.beside(tmp_path)
        tiny.clip().config.save_pretrained(beside)
        save_file({"visual.proj": torch.zeros(2, 2)}, tmp_path / "other.safetensors")
        with pytest.raises(ModelUnusable, match="so it is not HPS"):
            hps.load(tmp_path / "other.safetensors", beside, "cpu")


def published_head(width: int, prefix: str = "layers.") -> dict[str, Tensor]:
    """Random weights under the published names; dropout takes the places 1, 3 and 5."""
    generator = torch.Generator().manual_seed(6)
    state = {}
    sizes = (width, *aesthetic.WIDTHS)
    for place, before, after in zip((0, 2, 4, 6, 7), sizes, sizes[1:], strict=False):
        shape = (after, before)
        state[f"{prefix}{place}.weight"] = torch.randn(shape, generator=generator) * before**-0.5
        state[f"{prefix}{place}.bias"] = torch.randn(after, generator=generator)
    return state


def through(state: dict[str, Tensor], features: Tensor, prefix: str = "layers.") -> Tensor:
    for place in (0, 2, 4, 6, 7):
        features = features @ state[f"{prefix}{place}.weight"].T + state[f"{prefix}{place}.bias"]
    return features.squeeze(-1)


class TestAesthetic:
    def test_it_is_the_head_on_the_pictures_direction(self, settings: Settings) -> None:
        model = tiny.clip()
        tiny.clip_folder(own(settings, CLIP_L))
        state = published_head(model.config.projection_dim)
        save_file(state, own(settings, AESTHETIC) / "model.safetensors")
        images = tiny.pictures(3)
        found = RewardModels(settings).score("aesthetic", {}, images, PROMPTS)
        with torch.no_grad():
            pixels = tiny.CLIPImageProcessorPil(
                size={"shortest_edge": tiny.SIDE},
                crop_size={"height": tiny.SIDE, "width": tiny.SIDE},
            )(images=images, return_tensors="pt").pixel_values
            seen = model.visual_projection(model.vision_model(pixels).pooler_output)
            wanted = through(state, seen / seen.norm(dim=-1, keepdim=True))
        assert found == pytest.approx(wanted.tolist(), abs=1e-4)
        assert len({round(one, 4) for one in found}) == 3

    def test_a_head_of_another_shape_is_refused(self, settings: Settings) -> None:
        tiny.clip_folder(own(settings, CLIP_L))
        save_file(published_head(7), own(settings, AESTHETIC) / "model.safetensors")
        with pytest.raises(ModelUnusable, match="not the published ones"):
            RewardModels(settings).load("aesthetic", {})


def blip_state(model: nn.Module) -> dict[str, Tensor]:
    """Both encoders of a BLIP as its own repository names their weights."""
    names = (
        ("embeddings.class_embedding", "cls_token"),
        ("embeddings.position_embedding", "pos_embed"),
        ("embeddings.patch_embedding", "patch_embed.proj"),
        ("post_layernorm", "norm"),
        ("encoder.layers", "blocks"),
        ("self_attn.projection", "attn.proj"),
        ("self_attn.qkv", "attn.qkv"),
        ("layer_norm", "norm"),
    )
    found = {}
    for name, tensor in model.vision_model.state_dict().items():
        for ours, theirs in names:
            name = name.replace(ours, theirs)
        found[f"blip.visual_encoder.{name}"] = tensor
    for name, tensor in model.text_encoder.state_dict().items():
        found[f"blip.text_encoder.{name}"] = tensor
    return {name: tensor.clone() for name, tensor in found.items()}


class TestImageReward:
    @pytest.fixture
    def file(self, tmp_path: Path) -> Path:
        state = blip_state(tiny.blip()) | published_head(
            tiny.BLIP_TEXT["hidden_size"], "mlp.layers."
        )
        state["blip.text_encoder.embeddings.position_ids"] = torch.arange(40)[None]
        save_file(state, tmp_path / "model.safetensors")
        tiny.words().save_pretrained(tmp_path)
        return tmp_path / "model.safetensors"

    def test_it_reads_the_prompt_while_looking_at_the_picture(self, file: Path) -> None:
        config = BlipConfig(text_config=tiny.BLIP_TEXT, vision_config=tiny.VISION)
        model = image_reward.load(file, file.parent, config)
        image, other = tiny.pictures(2)
        found = model.score([image, image, other], ["a red fish", "a blue star", "a red fish"])
        assert len({round(one, 4) for one in found}) == 3
        blip, state = tiny.blip(), published_head(tiny.BLIP_TEXT["hidden_size"], "mlp.layers.")
        with torch.no_grad():
            pixels = image_reward._prepare(tiny.SIDE)([image])
            seen = blip.vision_model(pixels).last_hidden_state
            tokens = tiny.words()(["a red fish"], return_tensors="pt")
            read = blip.text_encoder(
                input_ids=tokens.input_ids,
                attention_mask=tokens.attention_mask,
                encoder_hidden_states=seen,
            ).last_hidden_state[:, 0]
            wanted = (float(through(state, read, "mlp.layers.")) - 0.16717) / 1.03334
        assert found[0] == pytest.approx(wanted, abs=1e-3)

    def test_the_published_shape_is_a_large_vision_transformer(self) -> None:
        vision, text = image_reward.CONFIG.vision_config, image_reward.CONFIG.text_config
        assert (vision.hidden_size, vision.num_hidden_layers, vision.image_size) == (1024, 24, 224)
        assert (text.hidden_size, text.encoder_hidden_size) == (768, 1024)

    def test_it_is_loaded_from_its_folder_or_says_how(self, settings: Settings) -> None:
        with pytest.raises(Refused, match="in a form that is never read here") as told:
            RewardModels(settings).load("image_reward", {})
        assert str(weights.own_folder(settings, IMAGE_REWARD)) in told.value.detail


class TestAttributeBinding:
    @pytest.mark.parametrize(
        ("prompt", "phrases"),
        [
            ("a red fish", ["a red fish"]),
            ("a striped red star left of a blue fish", ["a striped red star", "a blue fish"]),
            ("a tree above a house", ["a tree", "a house"]),
            ("A bathroom with green tile and a red shower curtain",
             ["a bathroom", "green tile", "a red shower curtain"]),
            ("a man riding a brown horse, two dogs", ["a man", "a brown horse", "two dogs"]),
            ("a cat on the left side of a tall building", ["a cat", "a tall building"]),
            ("a lamp next to the bed", ["a lamp", "the bed"]),
            ("three hearts", ["three hearts"]),
            ("", []),
            ("on the left", []),
        ],
    )  # fmt: skip
    def test_the_things_of_a_prompt_are_told_apart(self, prompt: str, phrases: list[str]) -> None:
        assert blip_vqa.noun_phrases(prompt) == phrases

    def test_at_most_eight_things_are_asked_of(self) -> None:
        assert len(blip_vqa.noun_phrases(", ".join(["a fish"] * 20))) == 8

    def test_two_things_are_there_by_the_product_of_their_chances(
        self, settings: Settings, tmp_path: Path
    ) -> None:
        values = {"model": str(tiny.blip_folder(tmp_path / "blip"))}
        (image,) = tiny.pictures(1)
        prompts = ["a red fish", "a blue star", "a red fish and a blue star", ""]
        fish, star, both, none = RewardModels(settings).score(
            "blip_vqa", values, [image] * 4, prompts
        )
        assert both == pytest.approx(fish * star, rel=1e-4)
        assert none == 1.0
        assert 0 < fish < 1
        assert fish != pytest.approx(star, rel=1e-3)

    def test_a_model_without_yes_and_no_is_refused(
        self, settings: Settings, tmp_path: Path
    ) -> None:
        folder = tiny.blip_folder(tmp_path / "blip")
        file = folder / "tokenizer.json"
        file.write_text(file.read_text().replace('"yes"', '"oui"'))
        with pytest.raises(ModelUnusable, match="no words for yes and no"):
            RewardModels(settings).load("blip_vqa", {"model": str(folder)})
