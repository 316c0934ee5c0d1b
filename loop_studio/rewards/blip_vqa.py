"""Attribute binding: each thing of the prompt asked of a model that answers about pictures.

Source: BLIP-VQA of T2I-CompBench (Huang et al. 2023, Karine-Huang/T2I-CompBench): every noun phrase
becomes a question ("a red fish?"), P(yes) / (P(yes) + P(no)) of the answer's first word is its
probability, and the score their product. There spaCy finds the noun phrases; here `noun_phrases`
does, by words that begin and end them, without a model of its own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from PIL.Image import Image
from torch import Tensor
from transformers import BlipForQuestionAnswering

from loop_studio.errors import ModelUnusable
from loop_studio.rewards import weights
from loop_studio.rewards.two_towers import Preprocess, processor_of, tokenizer_of
from loop_studio.settings import Settings

MOST_QUESTIONS = 8  # as there
TOKENS = 35
_PLACES = "top|bottom|left|right|side|front|back|middle|background|foreground"
_BETWEEN = re.compile(
    r"[,;.:]|\b(?:(?:to |on |at |in )?(?:the )?(?:" + _PLACES + r") (?:side )?of|next to|close to|"
    r"and|or|with|without|on|in|at|of|by|near|beside|behind|above|below|under|over|inside|from|to|"
    r"into|onto|between|against|around|is|are|has|have|wearing|holding)\b"
)
_BEGINS = re.compile(
    r"\s+(?=(?:a|an|the|one|two|three|four|five|six|seven|eight|nine|ten|some|several)\s)"
)
_DOING = re.compile(r"\s+\w+ing$")
_ARTICLE = re.compile(r"^(?:a|an|the)\s+")


def noun_phrases(prompt: str) -> list[str]:
    """The things a prompt names, in order: "a red fish and two stars": a red fish; two stars."""
    found: list[str] = []
    for part in _BETWEEN.split(prompt.lower()):
        *doing, last = _BEGINS.split(part.strip())
        found += [_DOING.sub("", one) for one in doing] + [last]
    named = (one.strip() for one in found)
    return [one for one in named if one and not _is_place(one)][:MOST_QUESTIONS]


def _is_place(phrase: str) -> bool:
    """Whether it names a part of the picture rather than a thing, as "the left"."""
    return re.fullmatch(_PLACES, _ARTICLE.sub("", phrase)) is not None


class AttributeBinding:
    """The chance that all things of the prompt are in the picture."""

    def __init__(
        self,
        model: BlipForQuestionAnswering,
        tokenizer: Any,
        preprocess: Preprocess,
        version: str,
        device: str,
    ) -> None:
        self._model = model.to(device).eval()
        self._tokenizer, self._preprocess = tokenizer, preprocess
        self._device = device
        self._yes, self._no = tokenizer.convert_tokens_to_ids(["yes", "no"])
        if tokenizer.unk_token_id in (self._yes, self._no):
            raise ModelUnusable(f"The model {version} has no words for yes and no.")
        self.version = version

    def score(self, images: list[Image], prompts: list[str]) -> list[float]:
        """0 to 1; 1 for a prompt that names nothing."""
        return [self._product(*pair) for pair in zip(images, prompts, strict=True)]

    @torch.no_grad()
    def _product(self, image: Image, prompt: str) -> float:
        questions = [f"{phrase}?" for phrase in noun_phrases(prompt)]
        if not questions:
            return 1.0
        seen = self._model.vision_model(self._preprocess([image]).to(self._device))
        return float(self._yes_of(questions, seen.last_hidden_state).prod())

    def _yes_of(self, questions: Sequence[str], seen: Tensor) -> Tensor:
        """Probability of yes against no, (Q,), with what was seen, (1, N, D)."""
        text = self._model.config.text_config
        asked = self._tokenizer(
            list(questions), padding=True, truncation=True, max_length=TOKENS, return_tensors="pt"
        ).to(self._device)
        asked.input_ids[:, 0] = text.bos_token_id + 1  # BLIP's own [ENC], after its [DEC]
        seen = seen.expand(len(questions), -1, -1)
        read = self._model.text_encoder(
            input_ids=asked.input_ids,
            attention_mask=asked.attention_mask,
            encoder_hidden_states=seen,
            encoder_attention_mask=torch.ones(seen.shape[:-1], device=seen.device).long(),
        ).last_hidden_state
        start = torch.full((len(questions), 1), text.bos_token_id, device=seen.device)
        logits = self._model.text_decoder(
            input_ids=start,
            encoder_hidden_states=read,
            encoder_attention_mask=asked.attention_mask,
        ).logits[:, 0]
        chances: Tensor = logits[:, [self._yes, self._no]].float().softmax(-1)
        return chances[:, 0].cpu()


def load(folder: Path, device: str) -> AttributeBinding:
    """The model of a folder; raises ModelUnusable for a folder of something else."""
    try:
        model = BlipForQuestionAnswering.from_pretrained(
            folder, use_safetensors=True, dtype=torch.float32
        )
        version = weights.fingerprint_of(folder)
        return AttributeBinding(model, tokenizer_of(folder), processor_of(folder), version, device)
    except (OSError, ValueError, KeyError) as error:
        raise ModelUnusable(
            f"{folder} could not be loaded as a BLIP for questions; download it again, or choose "
            "another model."
        ) from error


def build(
    name: str, settings: Settings, values: Mapping[str, str], device: str
) -> AttributeBinding:
    """What the catalogue's `blip_vqa` loads."""
    return load(weights.folder_of(settings, values["model"]), device)
