"""A vision-language model as a judge, behind any endpoint that speaks OpenAI's chat completions."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from io import BytesIO
from typing import Any

import httpx
from PIL.Image import Image

from loop_studio.errors import RewardFailed
from loop_studio.settings import Settings

LOWEST, HIGHEST = 0.0, 10.0
AT_ONCE = 4
TIMEOUT_S = 60.0
ATTEMPTS = 2
_FORM = 'Answer with JSON alone, {"score": NUMBER}, a number from 0 to 10.'
_SCORE = re.compile(r'["\']?score["\']?\s*[:=]\s*(-?\d+(?:\.\d+)?)', re.IGNORECASE)


class Judge:
    """One picture a request, a few at a time."""

    def __init__(self, client: httpx.Client, model: str, rubric: str) -> None:
        self._client = client
        self._model = model
        self._rubric = rubric
        told = json.dumps([str(client.base_url), model, rubric, _FORM])
        self.version = sha256(told.encode()).hexdigest()[:12]

    def score(self, images: list[Image], prompts: list[str]) -> list[float]:
        """0 to 10. Raises RewardFailed where the endpoint is down, slow, or answers prose."""
        with ThreadPoolExecutor(AT_ONCE) as threads:
            return list(threads.map(self._one, images, prompts))

    def _one(self, image: Image, prompt: str) -> float:
        said = ""
        for _ in range(ATTEMPTS):
            said = self._ask(image, prompt)
            found = read_score(said)
            if found is not None:
                return found
        raise RewardFailed(
            f"The judge {self._model} answered {said.strip()[:80]!r}, where a score from 0 to 10 "
            "was asked for. Choose a model that follows the rubric's form, or another rubric.",
            "judge_prose",
            lasting=False,
        )

    def _ask(self, image: Image, prompt: str) -> str:
        try:
            answer = self._client.post("chat/completions", json=self._request(image, prompt))
            answer.raise_for_status()
            content = answer.json()["choices"][0]["message"]["content"]
        except httpx.TimeoutException as error:
            raise self._failed(f"did not answer within {TIMEOUT_S:g} seconds") from error
        except httpx.HTTPStatusError as error:
            raise self._failed(f"answered with status {error.response.status_code}") from error
        except httpx.HTTPError as error:
            raise self._failed("cannot be reached") from error
        except (ValueError, LookupError, TypeError) as error:
            raise self._failed("does not speak the chat-completions protocol") from error
        return content if isinstance(content, str) else ""

    def _failed(self, how: str) -> RewardFailed:
        return RewardFailed(
            f"The judge at {self._client.base_url} {how}. Start it or mend its address on the "
            "Rewards page; the groups wait meanwhile.",
            "judge_unreachable",
        )

    def _request(self, image: Image, prompt: str) -> dict[str, Any]:
        buffer = BytesIO()
        image.convert("RGB").save(buffer, "PNG")
        url = f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"
        shown = [
            {"type": "text", "text": f"Prompt: {prompt}"},
            {"type": "image_url", "image_url": {"url": url}},
        ]
        return {
            "model": self._model,
            "temperature": 0,
            "max_tokens": 200,
            "messages": [
                {"role": "system", "content": f"{self._rubric}\n{_FORM}"},
                {"role": "user", "content": shown},
            ],
        }


def read_score(said: str) -> float | None:
    """The score in an answer: JSON, a bare number, or `score: 7` in a sentence; None without one.

    A number beyond 0 to 10 is none.
    """
    found = _SCORE.findall(said)
    text = found[-1] if found else said.strip()
    try:
        value = float(text)
    except ValueError:
        return None
    return value if LOWEST <= value <= HIGHEST else None


def build(name: str, settings: Settings, values: Mapping[str, str], device: str) -> Judge:
    """What the catalogue's `judge` loads. The key goes to the administrator's endpoint alone."""
    url = values["url"] or settings.judge_url
    key = settings.judge_secret if url == settings.judge_url else None
    client = httpx.Client(
        base_url=f"{url.rstrip('/')}/",
        headers={"Authorization": f"Bearer {key}"} if key else {},
        timeout=TIMEOUT_S,
    )
    return Judge(client, values["model"], values["rubric"])
