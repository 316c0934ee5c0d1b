"""Models of the real classes with random weights, as folders that `from_pretrained` reads."""

from __future__ import annotations

import random
from pathlib import Path

import torch
from PIL import Image
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from torch import nn
from transformers import (
    BlipConfig,
    BlipForQuestionAnswering,
    CLIPConfig,
    CLIPModel,
    PreTrainedTokenizerFast,
    SiglipConfig,
    SiglipModel,
)
from transformers.models.blip.image_processing_pil_blip import BlipImageProcessorPil
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

from tests import tiny

SIDE = 16  # pixels that the tiny towers see
_LAYERS = {"intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2}
VISION = {
    "hidden_size": 16,
    "image_size": SIDE,
    "patch_size": 8,
    "projection_dim": 12,  # as CLIP's own folders say it, for the vision tower alone
    **_LAYERS,
}
TEXT = {
    "hidden_size": 16,
    "vocab_size": 258,
    "max_position_embeddings": 24,
    "bos_token_id": 0,
    "eos_token_id": 1,
    "pad_token_id": 1,
    **_LAYERS,
}
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "yes", "no", "a", "red", "blue", "fish", "star", "?"]
BLIP_TEXT = {
    "hidden_size": 16,
    "encoder_hidden_size": 16,
    "vocab_size": len(WORDS) + 2,  # and BLIP's own [DEC] and [ENC]
    "max_position_embeddings": 40,
    "bos_token_id": len(WORDS),
    "pad_token_id": 0,
    "sep_token_id": 3,
    "eos_token_id": 3,
    **_LAYERS,
}


def clip() -> CLIPModel:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return spread(
            CLIPModel(CLIPConfig(text_config=TEXT, vision_config=VISION, projection_dim=12))
        )


def siglip() -> SiglipModel:
    with torch.random.fork_rng():
        torch.manual_seed(2)
        return spread(SiglipModel(SiglipConfig(text_config=TEXT, vision_config=VISION)))


def blip() -> BlipForQuestionAnswering:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        return spread(
            BlipForQuestionAnswering(BlipConfig(text_config=BLIP_TEXT, vision_config=VISION))
        )


def spread(model: nn.Module) -> nn.Module:
    """Weights large enough that pictures and texts differ, as initial ones are not."""
    generator = torch.Generator().manual_seed(4)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.3)
    return model.eval()


def clip_folder(folder: Path) -> Path:
    clip().save_pretrained(folder)
    return beside(folder)


def beside(folder: Path) -> Path:
    """The tokenizer and picture settings of a CLIP, without weights."""
    tiny.tokenizer().save_pretrained(folder)
    processor = CLIPImageProcessorPil(
        size={"shortest_edge": SIDE}, crop_size={"height": SIDE, "width": SIDE}
    )
    processor.save_pretrained(folder)
    return folder


def siglip_folder(folder: Path) -> Path:
    siglip().save_pretrained(folder)
    tiny.tokenizer().save_pretrained(folder)
    SiglipImageProcessorPil(size={"height": SIDE, "width": SIDE}).save_pretrained(folder)
    return folder


def blip_folder(folder: Path) -> Path:
    blip().save_pretrained(folder)
    words().save_pretrained(folder)
    BlipImageProcessorPil(size={"height": SIDE, "width": SIDE}).save_pretrained(folder)
    return folder


def words() -> PreTrainedTokenizerFast:
    """A tokenizer of whole words, as BERT's but short."""
    built = Tokenizer(
        models.WordLevel({word: place for place, word in enumerate(WORDS)}, unk_token="[UNK]")
    )
    built.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    built.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=built,
        unk_token="[UNK]",
        pad_token="[PAD]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        model_max_length=40,
    )


def pictures(count: int, size: tuple[int, int] = (SIDE, SIDE)) -> list[Image.Image]:
    """Noise of its own colour each."""
    draw = random.Random(5)
    return [
        Image.frombytes("RGB", size, draw.randbytes(3 * size[0] * size[1])) for _ in range(count)
    ]
