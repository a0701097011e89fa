"""One run of an experiment: the network, the images and the recipe of one side, at one rate, with one seed."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import cache

import torch
from torch import Generator, Tensor, nn

from cnnlib.experiments import record
from cnnlib.experiments.experiment import Experiment
from cnnlib.experiments.search import VALIDATION
from cnnlib.images import Split
from cnnlib.measuring import NOT_AVAILABLE, energy_meter, peak_memory
from cnnlib.training import Diverged, PiecewiseLinear, Recipe, Step, World, predict, seeded, train

ROWS = 60  # epochs that are kept of a longer run, evenly spaced, the last one among them
LEARNED = 0.1  # of the way from guessing to all right: a network that learned less than this has failed


@dataclass(frozen=True)
class Job:
    """One run to make. ``search``: the rate is tried, judged on images held out for that."""

    experiment: Experiment
    label: str
    epochs: float
    peak: float
    seed: int
    search: bool
    device: torch.device

    def recipe(self) -> Recipe:
        """The experiment's, with what this run has of its own."""
        lr = PiecewiseLinear((0, 0.2, 1), (0, self.peak, 0))
        augment = self.experiment.sides[self.label].augment
        return replace(self.experiment.recipe, epochs=self.epochs, lr=lr, augment=augment, seed=self.seed)

    def net(self) -> nn.Module:
        """A fresh network on its device."""
        with seeded(self.seed):
            return self.experiment.sides[self.label].build().to(self.device)

    def images(self) -> Split:
        """What to learn from and what to be judged on."""
        learn, judge = images_of(self.experiment.data, self.device)
        if self.experiment.images > len(learn) - VALIDATION:
            raise ValueError(
                f"images={self.experiment.images}: of {len(learn)} training images {VALIDATION} choose the "
                f"rate, so at most {len(learn) - VALIDATION} can be learned from"
            )
        held_out = learn[len(learn) - VALIDATION :]
        return learn.head(self.experiment.images), held_out if self.search else judge

    def value(self, done: dict) -> float | None:
        """What the run is judged by; None if it diverged."""
        return float(f"{self.experiment.metric.of(done):.5g}") if done["rows"] else None


@cache
def images_of(data: Callable[[], Split], device: torch.device) -> Split:
    """Training and test images on a device; made once a process."""
    learn, judge = data()
    return learn.to(device), judge.to(device)


def _failure(rows: list[dict] | None, classes: int) -> str | None:
    """Why a run counts as failed: it diverged, or it ended where guessing would."""
    if not rows:
        return "diverged"
    guessing = 1 / classes
    return "at chance" if rows[-1]["train_acc"] < guessing + LEARNED * (1 - guessing) else None


def spaced(rows: list[dict]) -> list[dict]:
    """At most ``ROWS`` of them, every second or third or so, counted from the last."""
    return rows[::-1][:: -(-len(rows) // ROWS) or 1][::-1]


def do(job: Job) -> dict:
    """Make one run: net, seed, rows, and the seconds it took, of the clock and of this process; joules, if told."""
    began, busy, energy = time.perf_counter(), time.process_time(), energy_meter(job.device)
    net, images = job.net(), job.images()
    try:
        rows = [asdict(row) for row in train(net, *images, job.recipe())]
    except Diverged:
        rows = []
    short = [
        {k: v if isinstance(v, int) else float(f"{v:.5g}") for k, v in row.items()} for row in spaced(rows)
    ]
    joules, failure = energy(), _failure(rows, len(images[0].classes))
    looks = {} if job.search else job.experiment.views
    answers = {view: record.packed(look(net, images[1])) for view, look in looks.items()}
    right = {}
    if rows and not job.search and job.experiment.metric.on_test:
        right = {"right": record.bits(predict(net, images[1]).argmax(1) == images[1].y)}
    return {
        "net": job.label, "seed": job.seed, "rows": short,
        "wall_s": round(time.perf_counter() - began, 1), "cpu_s": round(time.process_time() - busy, 1),
        **({"failed": failure} if failure else {}), **right,
        **({"answers": answers} if answers else {}),
        **({} if joules == NOT_AVAILABLE else {"joules": round(joules, 1)}),
    }  # fmt: skip


def step_bytes(job: Job) -> int | str:
    """The most that one training step holds beside the weights and the images."""
    net, recipe = job.net().train(), job.recipe()
    if recipe.channels_last:
        net.to(memory_format=torch.channels_last)
    images = job.images()[0].head(recipe.batch)
    step, generator = Step(net, recipe, World()), Generator().manual_seed(0)
    with seeded(0):
        return peak_memory(lambda: step(images.x, images.y, 0.0, recipe.batch, generator), job.device)


def spreads(net: nn.Module, x: Tensor) -> list[float]:
    """Standard deviation of what each convolution and linear layer puts out for images ``x``, before any training.

    In training mode and in the order of the run; frozen layers are left out.
    """
    found: list[float] = []
    layers = [m for m in net.modules() if isinstance(m, nn.Conv2d | nn.Linear) and m.weight.requires_grad]
    hooks = [m.register_forward_hook(lambda m, args, out: found.append(out.std().item())) for m in layers]
    try:
        with torch.no_grad():
            net.train()(x)
    finally:
        for hook in hooks:
            hook.remove()
    return [float(f"{value:.3g}") for value in found]
