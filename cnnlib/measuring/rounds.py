"""Many networks measured in rounds: each round visits them all, so that a slow hour of the machine hits all alike.

More networks than memory holds at once can be surveyed, since each is built anew for each visit. The record is
saved after every visit; a survey that was interrupted goes on where it was. ``load`` gives the stored one back, and
``pareto_front`` picks the networks that no other beats on both of two counts.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import TypeVar

import torch
from torch import nn

from cnnlib import resources
from cnnlib.costs import Shape
from cnnlib.measuring import roofline
from cnnlib.measuring.instruments import Clock, time_call
from cnnlib.measuring.measure import Benchmark, rng_preserved, rounded, timing

ROUNDS = 3
MORE = 3  # rounds at most for the rows whose times scatter
BOUND = 0.1  # of the spread; a row above it is measured again
FORWARD = 2, 0.1, 15  # passes of a visit: at least, seconds to fill with more, at most
STEP = 1, 1.0, 3  # likewise for training steps, which are timed at the first visit only

Choice = TypeVar("Choice")
Jobs = Mapping[str, tuple[Callable[[], nn.Module], Shape]]  # label -> (function that builds, image)


def visit(benchmark: Benchmark, clock: Clock, step: bool = False) -> dict[str, list[float]]:
    """Seconds of some forward passes after one that warms up, and of training steps, one of which ran before."""
    with rng_preserved(benchmark.device):
        benchmark.net.eval()
        benchmark.forward()
        forward, steps = _times(benchmark.forward, FORWARD, benchmark.device, clock), []
        if step:
            benchmark.net.train()
            steps = _times(benchmark.step, STEP, benchmark.device, clock)
    return {"forward": forward, "step": steps}


def _times(
    call: Callable[[], None], plan: tuple[int, float, int], device: torch.device, clock: Clock
) -> list[float]:
    """Seconds of as many calls as ``plan`` asks for, to the microsecond."""
    (least, long, most), found = plan, []
    while len(found) < least or (sum(found) < long and len(found) < most):
        found.append(round(time_call(call, device, clock), 6))
    return found


def rows(visits: list[dict], fixed: Mapping[str, dict]) -> list[dict]:
    """A row of ``Measured`` for each network, of all its visits; ``by_round``: the median forward of each."""
    found = []
    for name, facts in fixed.items():
        mine = [v for v in visits if v["name"] == name]
        forward, step = (sum((v[what] for v in mine), []) for what in ("forward", "step"))
        by_round = [rounded(median(v["forward"])) for v in mine]
        found.append(facts | timing(forward, step, facts["batch"]) | {"by_round": by_round})
    return found


class Survey:
    """The state of a survey, kept in ``path``: what is there of the same ``header`` is taken up.

    ``record`` has the header, and: ``fixed`` (what each network is and needs, by name), ``visits`` (times),
    ``rounds`` (what went on during each) and ``machine``.
    """

    def __init__(self, header: dict, path: Path, save: Callable[[Path, dict], None]) -> None:
        self.path, self.save = path, save
        empty = {"fixed": {}, "visits": [], "rounds": [], "machine": None}
        self.record = json.loads(json.dumps(header)) | empty
        if path.is_file():
            before = json.loads(path.read_text(encoding="utf-8"))
            if all(before.get(key) == self.record[key] for key in header):
                self.record = before

    def round(self, number: int, jobs: Jobs, batch: int, device: torch.device, clock: Clock) -> None:
        """Visits each of ``jobs`` once, those left out that were visited in this round before."""
        record = self.record
        done = {v["name"] for v in record["visits"] if v["round"] == number}
        todo = {name: job for name, job in jobs.items() if name not in done}
        if not todo:
            return
        self._measure_machine(device, clock)
        load, wall, cpu = os.getloadavg()[0], time.perf_counter(), time.process_time()
        for name, (build, image) in todo.items():
            benchmark = Benchmark(name, build(), image, batch, device)
            first = name not in record["fixed"]
            if first:
                record["fixed"][name] = benchmark.fixed()  # a training step among it
            record["visits"].append({"name": name, "round": number} | visit(benchmark, clock, step=first))
            self.save(self.path, record)
            print(f"round {number}, {name}: {record['visits'][-1]['forward'][0]:.3g} s", flush=True)
        share = (time.process_time() - cpu) / (time.perf_counter() - wall)
        told = {"networks": len(todo), "load_before": load, "share_of_a_core": round(share, 3)}
        record["rounds"].append({"round": number} | told)
        self.save(self.path, record)

    def _measure_machine(self, device: torch.device, clock: Clock) -> None:
        """The best of all rounds: what else runs only makes a machine look worse."""
        now, before = roofline.machine(device, clock=clock), self.record["machine"]
        self.record["machine"] = asdict(now if before is None else now.best(roofline.Machine.of(before)))


def survey(
    jobs: Jobs, header: dict, path: Path, save: Callable[[Path, dict], None], *, batch: int, device: torch.device,
    clock: Clock, rounds: int = ROUNDS, more: int = MORE,
) -> dict:  # fmt: skip
    """The record of ``rounds`` rounds over ``jobs``, and of up to ``more`` over those above ``BOUND``.

    It has the header, ``bound``, ``rounds``, ``machine``, and ``rows``; ``rows`` stay in the order of ``jobs``.
    """
    state = Survey(header, path, save)
    for number in range(1, rounds + 1):
        state.round(number, jobs, batch, device, clock)
    for number in range(rounds + 1, rounds + 1 + more):
        # Who takes part in a round that was begun is settled by the rounds before it.
        earlier = [v for v in state.record["visits"] if v["round"] < number]
        again = {r["name"] for r in rows(earlier, state.record["fixed"]) if r["spread"] > BOUND}
        state.round(number, {n: job for n, job in jobs.items() if n in again}, batch, device, clock)
    record = state.record
    found = {row["name"]: row for row in rows(record["visits"], record["fixed"])}
    kept = {key: record[key] for key in (*header, "rounds", "machine")}
    return kept | {"bound": BOUND, "rows": [found[name] for name in jobs]}


def load(name: str = "measured-cpu") -> dict:
    """Stored rows, ``data/runs/NAME.json``: machine and date in the head, ``rows``, ``batches`` and ``machine``."""
    path = resources.folder() / "runs" / f"{name}.json"
    if not path.is_file():
        raise ValueError(f"{path.name} is not in {path.parent}: make it with tools/measure_networks.py")
    return json.loads(path.read_text(encoding="utf-8"))


def pareto_front(
    choices: Iterable[Choice], cost: Callable[[Choice], float], worth: Callable[[Choice], float]
) -> list[Choice]:
    """The choices to which no other is at most as dear and at least as good, and better in one; cheapest first.

    Equals stay together.
    """
    best, kept = float("-inf"), []
    for choice in sorted(choices, key=lambda c: (cost(c), -worth(c))):
        here = cost(choice), worth(choice)
        if here[1] > best or (kept and here == (cost(kept[-1]), worth(kept[-1]))):
            kept.append(choice)
            best = here[1]
    return kept
