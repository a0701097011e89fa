"""Experiments run and stored, run by run, in one process or several; interrupted, they go on where they were."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass, replace
from functools import cache
from multiprocessing import get_context
from pathlib import Path

import torch
from torch import Generator, nn

from cnnlib.experiments import logits
from cnnlib.experiments.experiment import Experiment
from cnnlib.experiments.record import Record
from cnnlib.experiments.registry import named
from cnnlib.images import Split
from cnnlib.measuring import ABSENT, peak_memory, spent
from cnnlib.training import Diverged, PiecewiseLinear, Recipe, Step, World, seeded, train
from cnnlib.training import device as find_device

SEARCH_SEED = 1000  # of the search for each side's rate; the runs that count have seeds 0, 1, ...


@dataclass(frozen=True)
class Job:
    """One run to make. ``search``: the rate is tried, on four fifths of the images, judged on the fifth."""

    experiment: Experiment
    label: str
    epochs: float
    peak: float
    seed: int
    search: bool
    device: torch.device

    def recipe(self) -> Recipe:
        """The experiment's, with what this run has of its own."""
        lr, augment = (
            PiecewiseLinear((0, 0.2, 1), (0, self.peak, 0)),
            self.experiment.sides[self.label].augment,
        )
        return replace(self.experiment.recipe, epochs=self.epochs, lr=lr, augment=augment, seed=self.seed)

    def net(self) -> nn.Module:
        """A fresh network on its device."""
        with seeded(self.seed):
            return self.experiment.sides[self.label].build().to(self.device)

    def images(self) -> Split:
        """What to learn from and what to be judged on."""
        learn, judge = _images(self.experiment.data, self.device)
        learn, cut = learn.take(self.experiment.images), self.experiment.images * 4 // 5
        return (learn[:cut], learn[cut:]) if self.search else (learn, judge)

    def value(self, done: dict) -> float | None:
        """What the run is judged by; None if it diverged."""
        rows = done["rows"]
        return None if rows is None else float(f"{self.experiment.metric.value(rows):.5g}")


@cache
def _images(data: Callable[[], Split], device: torch.device) -> Split:
    learn, judge = data()
    return learn.to(device), judge.to(device)


def _do(job: Job) -> dict:
    """Make one run: net, seed, rows, and the seconds it took, of the clock and of this process; joules, if told."""
    began, busy, energy = time.perf_counter(), time.process_time(), spent(job.device)
    net, images = job.net(), job.images()
    try:
        rows = [asdict(row) for row in train(net, *images, job.recipe())]
    except Diverged:
        if not job.search:
            raise
        rows = None
    short = rows and [
        {k: v if isinstance(v, int) else float(f"{v:.5g}") for k, v in row.items()} for row in rows
    ]
    joules = energy()
    looks = {} if job.search else job.experiment.views
    answers = {view: logits.text(look(net, images[1])) for view, look in looks.items()}
    return {
        "net": job.label, "seed": job.seed, "rows": short,
        "wall_s": round(time.perf_counter() - began, 1), "cpu_s": round(time.process_time() - busy, 1),
        **({"answers": answers} if answers else {}),
        **({} if joules == ABSENT else {"joules": round(joules, 1)}),
    }  # fmt: skip


def _step_bytes(job: Job) -> int | str:
    """The most that one training step holds beside the weights and the images."""
    net, recipe = job.net().train(), job.recipe()
    if recipe.channels_last:
        net.to(memory_format=torch.channels_last)
    images = job.images()[0].take(recipe.batch)
    step, generator = Step(net, recipe, World()), Generator().manual_seed(0)
    with seeded(0):
        return peak_memory(lambda: step(images.x, images.y, 0.0, recipe.batch, generator), job.device)


def _results(jobs: Sequence[Job], processes: int) -> Iterator[tuple[Job, dict]]:
    """Each job with its outcome, as they come."""
    if processes == 1:
        yield from ((job, _do(job)) for job in jobs)
        return
    start = (torch.get_num_threads(),)  # as many as here, or sums would be rounded otherwise
    context = get_context("spawn")
    with ProcessPoolExecutor(processes, context, torch.set_num_threads, start) as pool:
        waiting = {pool.submit(_do, job): job for job in jobs}
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


def run(
    name: str, seeds: int = 5, device: str = "cpu", root: str | os.PathLike[str] = ".", jobs: int = 1
) -> Path:
    """Run an experiment and store it as data/runs/NAME.json under ``root``; prints a line after each training run.

    ``jobs``: how many runs at once, each in a process of its own; several GPUs take turns. ``NAME-full`` takes all
    images of the set. Until it is complete it lives in _build/runs/, from where an interrupted experiment goes on.
    """
    experiment = named(name)
    if seeds < 5:
        raise ValueError(f"seeds={seeds}: need at least 5, fewer cannot be compared")
    if jobs < 1:
        raise ValueError(f"jobs={jobs}: need at least 1")
    home = find_device(device)
    count = torch.cuda.device_count() if device == "cuda" and jobs > 1 else 1
    homes = [torch.device("cuda", i) for i in range(count)] if count > 1 else [home]
    book = Record(name, experiment, home, Path(root, "_build", "runs", f"{name}.json"))
    book.record["script"] = f"cnnlib run {name} --seeds {seeds}"
    epochs = experiment.epochs()

    def todo(key: str, wanted: list[tuple[str, float, int]]) -> list[Job]:
        """What is wanted, (side, peak, seed), less what is done."""
        done = {(e["net"], e["peak"] if key == "search" else e["seed"]) for e in book.record[key]}
        left = [w for w in wanted if (w[0], w[1] if key == "search" else w[2]) not in done]
        return [
            Job(experiment, label, epochs[label], peak, seed, key == "search", homes[i % len(homes)])
            for i, (label, peak, seed) in enumerate(left)
        ]

    sides = list(experiment.sides)
    for label in sides:
        if label not in book.record["step_bytes"]:
            job = Job(experiment, label, epochs[label], experiment.rates[0], SEARCH_SEED, False, home)
            book.record["step_bytes"][label] = _step_bytes(job)
    search = [(label, peak, SEARCH_SEED) for label in sides for peak in experiment.rates]
    for job, done in _results(todo("search", search), jobs):
        entry = {"net": job.label, "peak": job.peak, "seed": job.seed, "value": job.value(done)}
        book.add("search", entry, f"{job.label}: peak rate {job.peak:g} gives {entry['value']}")
    book.record["rates"] = {label: book.rate(label) for label in sides}
    runs = [(label, book.record["rates"][label], seed) for seed in range(seeds) for label in sides]
    for job, done in _results(todo("runs", runs), jobs):
        book.add(
            "runs", done, f"{job.label}, seed {job.seed}: {job.value(done):.2f} in {done['wall_s']:.0f} s"
        )
    stored = Path(root, "data", "runs", f"{name}.json")
    stored.parent.mkdir(parents=True, exist_ok=True)
    if experiment.views:
        _, judge = _images(experiment.data, home)
        logits.store(stored.with_suffix(".npz"), book.record["runs"], len(judge.classes))
    book.save()
    os.replace(book.path, stored)
    return stored
