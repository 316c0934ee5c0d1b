"""From a key to the next group on screen, and from `python app.py` to the first group.

The real studio in a real Chromium: 100 presses at 2 per second, first while the studio is idle,
then while an update runs; each time from `keydown` to the frame after `img.decode()`. Goals: 95 %
within 100 ms and 150 ms. Then three starts, from the command to the first group that process made
on screen: a median of at most 15 s. Run with: python -m benchmarks.key_to_paint
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from benchmarks.studio import Studio

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PROJECT = "starter"
EVERY_S = 0.5
MEASURE = "performance.getEntriesByName('loop:key-to-paint').map(entry => entry.duration)"


def main() -> None:
    """Measure and print one JSON line per reading."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--presses", type=int, default=100)
    options.add_argument("--starts", type=int, default=3)
    chosen = options.parse_args()
    chromium = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, BROWSERS)))
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.set_default_timeout(120_000)
        with Studio(Path(folder) / "keys", starter=True) as studio:
            for name, waits in _keys(page, studio, chosen.presses).items():
                _print(name, waits)
        starts = [
            _first_group_s(page, Path(folder) / f"start{n}") for n in range(chosen.starts + 1)
        ]
        print(json.dumps({"start_to_first_group_s": _rounded(starts[1:])}), flush=True)
        browser.close()


def _keys(page: Page, studio: Studio, presses: int) -> dict[str, list[float]]:
    """Waits in milliseconds, idle and during an update."""
    settings = {
        "buffer_groups": min(200, presses + 20),
        "auto_update_groups": None,
        "min_groups": 1,
        "max_groups_per_update": presses,
    }
    studio.client.patch(f"/projects/{PROJECT}", json={"settings": settings}).raise_for_status()
    _arrive(page, studio)
    _fill(studio, presses)
    idle = _press(page, presses)
    _fill(studio, presses)
    studio.post(f"projects/{PROJECT}/updates")
    _wait_for_training(studio)
    training = _press(page, presses, lambda: _status(studio)["active_update_id"] is not None)
    return {"idle": idle, "during an update": training}


def _status(studio: Studio) -> dict[str, object]:
    answer: dict[str, object] = studio.get(f"projects/{PROJECT}/status")
    return answer


def _fill(studio: Studio, groups: int) -> None:
    studio.wait(lambda: int(str(_status(studio)["ready_groups"])) >= groups, 900, every=1.0)


def _wait_for_training(studio: Studio) -> None:
    def steps() -> int:
        active = _status(studio)["active_update_id"]
        return int(studio.get(f"updates/{active}")["steps"]) if active else 1

    studio.wait(lambda: steps() > 0, 120)


def _press(page: Page, presses: int, go_on: object = None) -> list[float]:
    """Press at an even pace while `go_on()`; the waits in milliseconds."""
    page.evaluate("performance.clearMeasures()")
    due = time.monotonic()
    for number in range(presses):
        if callable(go_on) and not go_on():
            break
        page.wait_for_timeout(max(0.0, (due - time.monotonic()) * 1000))
        due = max(due, time.monotonic()) + EVERY_S
        page.keyboard.press(str(number % 4 + 1))
    page.wait_for_selector("loop-rater[data-state='painted']")
    waits: list[float] = page.evaluate(MEASURE)
    return waits


def _arrive(page: Page, studio: Studio) -> None:
    page.goto(f"http://127.0.0.1:{studio.port}/rate?project={PROJECT}")
    name = page.get_by_label("Your name")
    name.fill("Ada")
    name.press("Enter")
    page.wait_for_selector("loop-rater[data-state='painted']")


def _first_group_s(page: Page, data: Path) -> float:
    """Seconds from the command to the first group on screen; nothing is made beforehand."""
    started = time.monotonic()
    with Studio(data, starter=True) as studio:
        _arrive(page, studio)
        return time.monotonic() - started


def _print(name: str, waits: Sequence[float]) -> None:
    ordered = sorted(waits)
    share = {f"p{p}_ms": ordered[min(len(ordered) - 1, len(ordered) * p // 100)] for p in (50, 95)}
    line = {"key_to_paint": name, "presses": len(ordered), **share, "max_ms": ordered[-1]}
    print(json.dumps({key: _short(value) for key, value in line.items()}), flush=True)


def _short(value: object) -> object:
    return round(value, 1) if isinstance(value, float) else value


def _rounded(values: Sequence[float]) -> dict[str, object]:
    return {"median": round(statistics.median(values), 1), "all": [round(v, 1) for v in values]}


if __name__ == "__main__":
    main()
