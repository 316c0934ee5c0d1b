"""Training scenes on disk: rendered once, then read by every stage."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np

from loop_studio.starter.render import render_scenes

DARK_CORNER = 100  # mean of RGB; backgrounds are far below or far above


def scenes_on_disk(work: Path, count: int, seed: int) -> tuple[np.ndarray, list[str]]:
    """Pictures (count, 64, 64, 3) uint8 and captions, rendered if they are not there yet."""
    folder = work / f"scenes-{seed}-{count}"
    pictures_file, captions_file = folder / "pictures.npy", folder / "captions.json"
    if not captions_file.exists():
        folder.mkdir(parents=True, exist_ok=True)
        pictures, scenes = render_scenes(count, seed)
        np.save(pictures_file, pictures)
        partial = captions_file.with_suffix(".partial")
        partial.write_text(json.dumps([scene.caption for scene in scenes]))
        os.replace(partial, captions_file)  # last: its presence says that all is there
    return np.load(pictures_file, mmap_mode="r"), json.loads(captions_file.read_text())


def dark_rows(pictures: np.ndarray) -> np.ndarray:
    """Which of the pictures (N, 64, 64, 3) have a dark background: row numbers, ascending."""
    return np.flatnonzero(pictures[:, 0, 0].mean(-1) < DARK_CORNER)
