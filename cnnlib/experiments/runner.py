"""Experiments run and stored, run by run, in one process or several; interrupted, they go on where they were."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import torch

from cnnlib.experiments import search
from cnnlib.experiments.experiment import Experiment
from cnnlib.experiments.job import Job, do, images_of, spreads, step_bytes
from cnnlib.experiments.record import Record, store_answers
from cnnlib.experiments.registry import named
from cnnlib.training import find_device, seeded

MORE_SEEDS = 10  # as soon as one run fails


@dataclass(frozen=True)
class Draw:
    """One making of an experiment: where it is stored, and the first seeds of its search and of its runs."""

    folder: str
    search_seed: int
    seed: int


FIRST, SECOND = Draw("", 1000, 0), Draw("second", 2000, 100)


def _results(jobs: Sequence[Job], processes: int) -> Iterator[tuple[Job, dict]]:
    """Each job with its outcome, as they come."""
    if processes == 1:
        yield from ((job, do(job)) for job in jobs)
        return
    context = get_context("spawn")
    with ProcessPoolExecutor(processes, context, torch.set_num_threads, (torch.get_num_threads(),)) as pool:
        waiting = {pool.submit(do, job): job for job in jobs}
        try:
            for done in as_completed(waiting):
                yield waiting[done], done.result()
        except BrokenProcessPool:
            raise ValueError(
                f"one of jobs={processes} processes was killed, perhaps for want of memory: lower jobs, and start "
                "the same command again, as the runs that ended are kept"
            ) from None
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


@contextmanager
def _one_thread(device: torch.device) -> Iterator[None]:
    """On a CPU a sum depends on how many threads share it; one is the number that every machine has."""
    before = torch.get_num_threads()
    if device.type == "cpu":
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


class _Making:
    """An experiment on its way into a record."""

    def __init__(self, experiment: Experiment, record: Record, draw: Draw, devices: list, jobs: int) -> None:
        self.experiment, self.record, self.draw = experiment, record, draw
        self.devices, self.jobs = devices, jobs
        self.epochs = experiment.epochs()

    def job(self, label: str, peak: float, seed: int, searching: bool, turn: int = 0) -> Job:
        device = self.devices[turn % len(self.devices)]
        return Job(self.experiment, label, self.epochs[label], peak, seed, searching, device)

    def make(self, key: str, wanted: Iterable[tuple[str, float, int]]) -> None:
        """What is wanted, (side, peak, seed), less what the record has."""
        have = {
            (e["net"], e["peak"] if key == "search" else None, e["seed"]) for e in self.record.content[key]
        }
        left = [w for w in wanted if (w[0], w[1] if key == "search" else None, w[2]) not in have]
        jobs = [self.job(*w, key == "search", turn) for turn, w in enumerate(left)]
        for job, done in _results(jobs, self.jobs):
            value = job.value(done)
            if key == "search":
                done = {"net": job.label, "peak": job.peak, "seed": job.seed, "value": value}
            self.record.add(key, done)
            what = f"{job.label}, seed {job.seed}, peak rate {job.peak:g}: {value}"
            print(what + (f" ({done['failed']})" if done.get("failed") else ""), flush=True)

    def about_sides(self) -> None:
        """The memory of a step, and how each side starts."""
        for label in self.experiment.sides:
            if label not in self.record.content["start"]:
                job = self.job(label, self.experiment.rates[0], self.draw.search_seed, True)
                self.record.content["step_bytes"][label] = step_bytes(job)
                with seeded(0):
                    self.record.content["start"][label] = spreads(job.net(), job.images()[0].x[:256])

    def search(self) -> None:
        """Try the grid, and let it grow until every side's best lies inside."""
        seeds = range(self.draw.search_seed, self.draw.search_seed + search.SEEDS)
        labels, content = list(self.experiment.sides), self.record.content
        grid, before = self.experiment.rates, ()
        while grid != before:
            self.make("search", [(label, peak, seed) for label in labels for peak in grid for seed in seeds])
            better = self.experiment.metric.more_is_better
            choices = {x: search.choose(search.values(content["search"], x), better) for x in labels}
            grid, before = search.grown(grid, choices.values(), self.experiment.rates), grid
        content["rates"] = {label: choice.rate for label, choice in choices.items()}

    def runs(self, seeds: int) -> None:
        """The runs that count; more of them where one can fail."""
        rates, first = self.record.content["rates"], self.draw.seed
        self.make(
            "runs",
            [(x, rates[x], seed) for seed in range(first, first + seeds) for x in self.experiment.sides],
        )
        if self.record.content["failed"] and seeds < MORE_SEEDS:
            self.runs(MORE_SEEDS)


def run(
    name: str,
    seeds: int = 5,
    device: str = "cpu",
    root: str | os.PathLike[str] = ".",
    jobs: int = 1,
    second: bool = False,
) -> Path:
    """Run an experiment and store it as data/runs/NAME.json under ``root``; prints a line after each training run.

    ``jobs``: how many runs at once, each in a process of its own; several GPUs take turns. ``NAME-full`` takes all
    images of the set. ``second``: make it once more, with other seeds and a search of its own, as
    data/runs/second/NAME.json. Until it is complete it lives in _build/runs/, from where an interrupted experiment
    goes on.
    """
    experiment, draw = named(name), SECOND if second else FIRST
    if seeds < 5:
        raise ValueError(f"seeds={seeds}: need at least 5, fewer cannot be compared")
    if jobs < 1:
        raise ValueError(f"jobs={jobs}: need at least 1")
    chosen = find_device(device)
    count = torch.cuda.device_count() if device == "cuda" and jobs > 1 else 1
    devices = [torch.device("cuda", i) for i in range(count)] if count > 1 else [chosen]
    record = Record(name, experiment, chosen, Path(root, "_build", "runs", draw.folder, f"{name}.json"))
    record.content["script"] = f"cnnlib run {name} --seeds {seeds}" + " --second" * second
    making = _Making(experiment, record, draw, devices, jobs)
    with _one_thread(chosen):
        making.about_sides()
        making.search()
        making.runs(seeds)
    stored = Path(root, "data", "runs", draw.folder, f"{name}.json")
    stored.parent.mkdir(parents=True, exist_ok=True)
    if experiment.views:
        _, judge = images_of(experiment.data, chosen)
        store_answers(stored.with_suffix(".npz"), record.content["runs"], len(judge.classes))
    record.save()
    os.replace(record.path, stored)
    return stored
