"""Fifty raters at once while the worker trains: is anything lost, and how long does an answer take?

python -m benchmarks.load [--groups 500] [--raters 50] [--seconds 180] [--every 2]

The real studio makes a pool of groups first. Then every rater asks for the next group, loads its
pictures and judges it, once every two seconds, while updates run one after the other. Printed are
the 50th, 95th and 99th percentile of each kind of request. Goals: at least 89 % of the judgements
that the pace allows, none lost or doubled, 95 % of the ratings stored within 250 ms, no refusal.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import statistics
import tempfile
import time
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from benchmarks.studio import Studio
from loop_studio.starter.prompts import STARTER_PROMPTS

P95_MS = 250.0
LEAST_SHARE = 4_000 / 4_500  # of the judgements that the pace allows


@dataclass
class Tally:
    """What the raters saw."""

    milliseconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    statuses: Counter[int] = field(default_factory=Counter)
    stored: list[str] = field(default_factory=list)  # event ids answered with 200
    updates: int = 0

    def percentiles(self) -> dict[str, dict[str, float]]:
        """p50, p95 and p99 of each kind of request, in milliseconds."""
        return {
            kind: dict(zip(("p50", "p95", "p99"), _at(taken, (50, 95, 99)), strict=True))
            for kind, taken in self.milliseconds.items()
        }


def _at(values: list[float], shares: tuple[int, ...]) -> list[float]:
    cuts = statistics.quantiles(values, n=100, method="inclusive")
    return [round(cuts[share - 1], 1) for share in shares]


def run(data: Path, *, groups: int, raters: int, seconds: float, every: float) -> dict[str, Any]:
    """The pool, the load, and what is in the database afterwards."""
    with Studio(data, threads=1) as studio:
        project = _pool(studio, groups, raters)
        load = _load(studio, project, raters, seconds, every)
        with ThreadPoolExecutor(1) as thread:  # the caller may have an event loop of its own
            tally = thread.submit(asyncio.run, load).result()
        kept = [row["event_id"] for row in _rows(studio, project) if row["status"] == "active"]
    return {
        "groups": groups,
        "raters": raters,
        "judgements": len(tally.stored),
        "possible": round(raters * seconds / every),
        "lost": len(set(tally.stored) - set(kept)),
        "doubled": len(kept) - len(set(kept)),
        "statuses": {str(status): count for status, count in sorted(tally.statuses.items())},
        "updates": tally.updates,
        "milliseconds": tally.percentiles(),
    }


def _pool(studio: Studio, groups: int, raters: int) -> str:
    settings = {
        "num_inference_steps": 4,  # quick to make: the load is the web's
        "overlap": raters,
        "buffer_groups": groups,
        "auto_update_groups": None,
        "min_groups": 2,
        "max_groups_per_update": 16,
    }
    # Or its buffer would be filled first.
    studio.client.patch("/projects/starter", json={"archived": True}).raise_for_status()
    body = {"name": "Load", "prompts": list(STARTER_PROMPTS), "settings": settings}
    project: str = studio.post("/projects", body)["id"]
    studio.next_group(project, "the first")  # a visit has groups made
    studio.wait(lambda: _ready(studio, project) >= groups, 3600, every=2.0)
    return project


def _ready(studio: Studio, project: str) -> int:
    return int(studio.get(f"projects/{project}/status")["ready_groups"])


def _rows(studio: Studio, project: str) -> list[dict[str, Any]]:
    answer = studio.client.get(f"projects/{project}/ratings.jsonl").raise_for_status()
    return [json.loads(line) for line in answer.text.splitlines()]


async def _load(studio: Studio, project: str, raters: int, seconds: float, every: float) -> Tally:
    tally = Tally()
    end = time.monotonic() + seconds
    limits = httpx.Limits(max_connections=2 * raters)
    base = f"http://127.0.0.1:{studio.port}/api/v1/"
    async with httpx.AsyncClient(base_url=base, timeout=60, limits=limits) as client:
        people = [_rate(client, project, n, end, every, tally) for n in range(raters)]
        await asyncio.gather(_train(client, project, end, tally), *people)
    return tally


async def _rate(
    client: httpx.AsyncClient, project: str, number: int, end: float, every: float, tally: Tally
) -> None:
    draw, name = random.Random(number), f"rater {number}"
    due = time.monotonic() + draw.uniform(0, every)
    while due < end:
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        due += every
        asked = await _timed(
            client, tally, "next", "GET", f"projects/{project}/groups/next", params={"rater": name}
        )
        if asked.status_code != 200:
            continue
        images = [image["id"] for image in asked.json()["images"]]
        for image in images:
            await _timed(client, tally, "image", "GET", f"images/{image}")
        best = draw.choice(images)
        body = {
            "event_id": f"{number}-{draw.getrandbits(64):x}",
            "group_id": asked.json()["id"],
            "rater": name,
            "mode": "best",
            "judgement": {image: float(image == best) for image in images},
            "elapsed_ms": 900,
        }
        answer = await _timed(client, tally, "rating", "POST", "ratings", json=body)
        if answer.status_code == 200:
            tally.stored.append(body["event_id"])


async def _train(client: httpx.AsyncClient, project: str, end: float, tally: Tally) -> None:
    """Updates one after the other, as soon as enough is judged."""
    while time.monotonic() < end:
        status = (await client.get(f"projects/{project}/status")).json()
        if status["can_update"] and status["active_update_id"] is None:
            answer = await client.post(f"projects/{project}/updates", json={})
            tally.updates += answer.status_code == 202
        await asyncio.sleep(1)


async def _timed(
    client: httpx.AsyncClient, tally: Tally, kind: str, method: str, path: str, **options: Any
) -> httpx.Response:
    started = time.perf_counter()
    answer = await client.request(method, path, **options)
    tally.milliseconds[kind].append(1000 * (time.perf_counter() - started))
    tally.statuses[answer.status_code] += 1
    return answer


def main() -> None:
    """Run once and print one JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--groups", type=int, default=500)
    parser.add_argument("--raters", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=180)
    parser.add_argument("--every", type=float, default=2)
    chosen = vars(parser.parse_args())
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(run(Path(folder) / "data", **chosen), indent=1))


if __name__ == "__main__":
    main()
