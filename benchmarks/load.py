"""Many raters at once while the worker trains: is anything lost, and how long does an answer take?

    python -m benchmarks.load                   fifty raters for three minutes
    python -m benchmarks.load --kill            a hundred for five; the web process dies halfway
    python -m benchmarks.load --kill --data DIR the same; the pool stays, an interrupted run goes on

The real studio makes a pool of groups first. Then every rater asks for the next group, loads its
pictures and judges it, once every two seconds, while updates run one after the other. What is
judged lies in the rater's outbox until the studio has acknowledged it. With `--kill` web and worker
are processes of their own, and halfway the web process is killed without warning and started again.

Printed are the 50th, 95th and 99th percentile of each kind of request; a run with `--kill` is kept
under benchmarks/results/load/. Goals: at least 89 % of the judgements that the pace allows, none
lost or doubled, every outbox empty, 95 % of the ratings stored within 250 ms, no refusal.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import random
import secrets
import statistics
import tempfile
import time
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from benchmarks.studio import Studio, archive_starter, stop
from loop_studio.starter.prompts import STARTER_PROMPTS

RESULTS = Path(__file__).parent / "results" / "load"
NAME = "Load"
P95_MS = 250.0
DRAIN_S = 60.0
LEAST_SHARE = 4_000 / 4_500  # of the judgements that the pace allows


@dataclass
class Tally:
    """What the raters saw."""

    milliseconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    statuses: Counter[int] = field(default_factory=Counter)
    unanswered: int = 0  # requests that met no server
    made: list[str] = field(default_factory=list)  # event ids
    stored: list[str] = field(default_factory=list)  # those answered with 200
    waiting: int = 0  # in outboxes at the end
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


class Parted(Studio):
    """Web and worker as processes of their own."""

    command = ("web",)

    def __enter__(self) -> Parted:
        archive_starter(self.data)
        self.worker = self.start("worker")
        super().__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        super().__exit__(*error)
        stop(self.worker)

    async def kill_web(self, after_s: float) -> None:
        """Kill the web process without warning, and start another a second later."""
        await asyncio.sleep(after_s)
        self.process.kill()
        self.process.wait()
        await asyncio.sleep(1)
        self.process = self.start(*self.command)


def run(
    data: Path, *, groups: int, raters: int, seconds: float, every: float, kill: bool = False
) -> dict[str, Any]:
    """The pool, the load, and what is in the database afterwards."""
    with Parted(data, threads=1) if kill else Studio(data, threads=1) as studio:
        project = _pool(studio, groups, raters)
        load = _load(studio, project, raters, seconds, every)
        with ThreadPoolExecutor(1) as thread:  # the caller may have an event loop of its own
            tally = thread.submit(asyncio.run, load).result()
        made = set(tally.made)
        rows = [row for row in _rows(studio, project) if row["event_id"] in made]
    kept = [row for row in rows if row["status"] == "active"]
    return {
        "groups": groups,
        "raters": raters,
        "judgements": len(tally.stored),
        "possible": round(raters * seconds / every),
        "lost": len(set(tally.stored) - {row["event_id"] for row in kept}),
        "doubled": len(kept) - len({(row["rater"], row["group_id"]) for row in kept}),
        "left_in_outboxes": tally.waiting,
        "web_killed": kill,
        "unanswered": tally.unanswered,
        "statuses": {str(status): count for status, count in sorted(tally.statuses.items())},
        "updates": tally.updates,
        "milliseconds": tally.percentiles(),
    }


def _pool(studio: Studio, groups: int, raters: int) -> str:
    """The project with its groups; what an earlier run has made is not made again."""
    known = [one["id"] for one in studio.get("projects")["projects"] if one["name"] == NAME]
    project = known[0] if known else _new_project(studio, groups, raters)
    studio.next_group(project, "the first")  # a visit has groups made
    studio.wait(lambda: _ready(studio, project) >= groups, 3600, every=2.0)
    return project


def _new_project(studio: Studio, groups: int, raters: int) -> str:
    settings = {
        "num_inference_steps": 4,  # quick to make: the load is the web's
        "overlap": raters,
        "buffer_groups": groups,
        "auto_update_groups": None,
        "min_groups": 2,
        "max_groups_per_update": 16,
    }
    body = {"name": NAME, "prompts": list(STARTER_PROMPTS), "settings": settings}
    return str(studio.post("/projects", body)["id"])


def _ready(studio: Studio, project: str) -> int:
    return int(studio.get(f"projects/{project}/status")["ready_groups"])


def _rows(studio: Studio, project: str) -> list[dict[str, Any]]:
    answer = studio.client.get(f"projects/{project}/ratings.jsonl").raise_for_status()
    return [json.loads(line) for line in answer.text.splitlines()]


async def _load(studio: Studio, project: str, raters: int, seconds: float, every: float) -> Tally:
    tally, run_id = Tally(), secrets.token_hex(3)
    end = time.monotonic() + seconds
    limits = httpx.Limits(max_connections=2 * raters)
    base = f"http://127.0.0.1:{studio.port}/api/v1/"
    async with httpx.AsyncClient(base_url=base, timeout=60, limits=limits) as client:
        people = [Rater(client, project, f"{run_id}-{n}", tally) for n in range(raters)]
        work = [one.rate(end, every) for one in people]
        if isinstance(studio, Parted):
            work.append(studio.kill_web(seconds / 2))
        await asyncio.gather(_train(client, project, end, tally), *work)
        await asyncio.gather(*(one.drain(DRAIN_S) for one in people))
    tally.waiting = sum(len(one.outbox) for one in people)
    return tally


class Rater:
    """A person at the Rate page: whatever is judged stays in the outbox until it is stored."""

    def __init__(self, client: httpx.AsyncClient, project: str, name: str, tally: Tally) -> None:
        self.outbox: list[dict[str, Any]] = []
        self._client, self._project, self._name, self._tally = client, project, name, tally
        self._draw = random.Random(name)

    async def rate(self, end: float, every: float) -> None:
        """Judge a group every so often."""
        due = time.monotonic() + self._draw.uniform(0, every)
        while due < end:
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            due += every
            await self._judge()
            await self._send()

    async def drain(self, seconds: float) -> None:
        """Send what is left."""
        end = time.monotonic() + seconds
        while self.outbox and time.monotonic() < end:
            await self._send()
            await asyncio.sleep(0.2 if self.outbox else 0)

    async def _judge(self) -> None:
        asking = {"rater": self._name, "kinds": "group,repeat,pair"}  # as the Rate page does
        asking["exclude"] = [body["group_id"] for body in self.outbox]
        path = f"projects/{self._project}/groups/next"
        asked = await self._timed("next", "GET", path, params=asking)
        if asked is None or asked.status_code != 200:
            return
        images = [image["id"] for image in asked.json()["images"]]
        for image in images:
            await self._timed("image", "GET", f"images/{image}")
        best = self._draw.choice(images)
        body = {
            "event_id": f"{self._name}-{len(self._tally.made)}",
            "group_id": asked.json()["id"],
            "rater": self._name,
            "mode": "best",
            "judgement": {image: float(image == best) for image in images},
            "elapsed_ms": 900,
        }
        self._tally.made.append(body["event_id"])
        self.outbox.append(body)

    async def _send(self) -> None:
        while self.outbox:
            answer = await self._timed("rating", "POST", "ratings", json=self.outbox[0])
            if answer is None or answer.status_code != 200:
                return
            self._tally.stored.append(self.outbox.pop(0)["event_id"])

    async def _timed(
        self, kind: str, method: str, path: str, **options: Any
    ) -> httpx.Response | None:
        started = time.perf_counter()
        try:
            answer = await self._client.request(method, path, **options)
        except httpx.TransportError:
            self._tally.unanswered += 1
            return None
        self._tally.milliseconds[kind].append(1000 * (time.perf_counter() - started))
        self._tally.statuses[answer.status_code] += 1
        return answer


async def _train(client: httpx.AsyncClient, project: str, end: float, tally: Tally) -> None:
    """Updates one after the other, as soon as enough is judged."""
    while time.monotonic() < end:
        with contextlib.suppress(httpx.TransportError):  # while there is no web process
            status = (await client.get(f"projects/{project}/status")).json()
            if status["can_update"] and status["active_update_id"] is None:
                answer = await client.post(f"projects/{project}/updates", json={})
                tally.updates += answer.status_code == 202
        await asyncio.sleep(1)


def main() -> None:
    """Run once and print one JSON; a run with `--kill` that is done is not done again."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kill", action="store_true")
    parser.add_argument("--data", type=Path, help="data folder that is kept")
    parser.add_argument("--groups", type=int, default=500)
    parser.add_argument("--raters", type=int)
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--every", type=float, default=2)
    chosen = vars(parser.parse_args())
    for name, usual, killed in (("raters", 50, 100), ("seconds", 180.0, 300.0)):
        chosen[name] = chosen[name] or (killed if chosen["kill"] else usual)
    data, kill = chosen.pop("data"), chosen["kill"]
    result = RESULTS / f"killed-{chosen['raters']}-for-{chosen['seconds']:g}s.json"
    if kill and result.exists():
        print(result.read_text(), end="")
        return
    with contextlib.nullcontext(data) if data else tempfile.TemporaryDirectory() as folder:
        told = json.dumps(run(Path(folder) / "data", **chosen), indent=1)
    print(told)
    if kill:
        RESULTS.mkdir(parents=True, exist_ok=True)
        result.write_text(told + "\n")


if __name__ == "__main__":
    main()
