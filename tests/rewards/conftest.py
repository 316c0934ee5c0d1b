"""Settings of a studio whose weights of rewards are put there by a test."""

from __future__ import annotations

from pathlib import Path

import pytest

from loop_studio.settings import Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data=tmp_path / "data", device="cpu")
