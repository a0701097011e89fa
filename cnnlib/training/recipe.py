"""How to train, as frozen data, and what an epoch of it gave."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import partial
from math import cos, inf, pi

import torch
from torch import Tensor, nn

from cnnlib.images import Augment


class Diverged(ValueError):
    """The loss is no longer a finite number."""


# Learning rates are functions of progress: 0 at the first step of a training run, 1 at its end.


@dataclass(frozen=True)
class PiecewiseLinear:
    """Straight lines through (knot, value): ``PiecewiseLinear((0, 0.2, 1), (0, 0.1, 0))`` rises to 0.1, falls to 0.

    Raises ``ValueError`` unless the knots rise from 0 to 1 and each has one value.
    """

    knots: tuple[float, ...]
    values: tuple[float, ...]

    def __post_init__(self) -> None:
        """Check the knots."""
        rising = all(a < b for a, b in zip(self.knots, self.knots[1:], strict=False))
        if len(self.knots) < 2 or self.knots[0] != 0 or self.knots[-1] != 1 or not rising:
            raise ValueError(f"knots={self.knots}: need rising numbers from 0 to 1")
        if len(self.values) != len(self.knots):
            raise ValueError(f"values={self.values}: need one for each of {len(self.knots)} knots")

    def __call__(self, t: float) -> float:
        """Rate at progress ``t``."""
        right = next(i for i in range(1, len(self.knots)) if t <= self.knots[i] or self.knots[i] == 1)
        (t0, t1), (v0, v1) = self.knots[right - 1 : right + 1], self.values[right - 1 : right + 1]
        # At a knot its own value: the formula may miss it by a rounding, and fall below 0.
        return v1 if t == t1 else v0 + (v1 - v0) * (t - t0) / (t1 - t0)


@dataclass(frozen=True)
class StepDecay:
    """``start``, times ``factor`` as progress passes each of ``at``: the staircase of the early papers."""

    start: float
    at: tuple[float, ...]
    factor: float = 0.1

    def __call__(self, t: float) -> float:
        """Rate at progress ``t``."""
        return self.start * self.factor ** sum(t >= edge for edge in self.at)


@dataclass(frozen=True)
class Cosine:
    """Half a cosine from ``start`` down to 0 (Loshchilov & Hutter 2017, arXiv:1608.03983).

    ``warmup``: the share of the run in which the rate rises from 0 in a straight line, before the cosine begins.
    """

    start: float
    warmup: float = 0.0

    def __post_init__(self) -> None:
        """Check the share."""
        if not 0 <= self.warmup < 1:
            raise ValueError(f"warmup={self.warmup}: need at least 0 and less than 1")

    def __call__(self, t: float) -> float:
        """Rate at progress ``t``."""
        if t < self.warmup:
            return self.start * t / self.warmup
        return self.start * (1 + cos(pi * (t - self.warmup) / (1 - self.warmup))) / 2


@dataclass(frozen=True)
class Recipe:
    """How to train.

    ``lr``: the rate as a function of progress in [0, 1], such as ``PiecewiseLinear``. The optimiser is
    SGD with ``momentum`` and weight ``decay``; another one is a function ``optimiser(parameters, lr=…)``, which
    brings its own. ``augment``: functions ``(x, generator) -> x`` for training batches. ``seed`` fixes batches,
    augmentation and dropout; the first weights are the caller's (see ``seeded``). ``epochs``: passes over the
    images; with 2.5 the last pass ends half-way.

    ``clip``: the norm above which all gradients of a step together are scaled down to it, 0 for none.
    ``decay_norms=False`` spares biases and the scales of norms, all parameters of one axis, the decay.
    ``mixup``: alpha of ``images.mixup``, 0 for none. ``ema``: what the running mean of the weights keeps at a step,
    such as 0.999; the network that is validated and handed out is then that mean.

    ``accumulate``: in how many parts a step computes the gradient of its batch, each of which has to fit in memory
    alone; batch normalisation takes its statistics from a part.

    The rest changes speed, not the method, and is off unless asked for; ``tools/measure_recipes.py`` says what each
    is worth on a machine. ``channels_last`` keeps the channels of a pixel side by side in memory: on an x86 server
    with one thread three small networks took their steps 1.01 to 1.38 times as fast. ``amp`` computes in half
    precision, bf16, on GPUs without it fp16 with a scaled loss: a CPU without bf16 instructions took 5 to 10 times
    as long. ``compile`` has ``torch.compile`` write the training step; the first one waits for it.
    ``sync_norm``: on several GPUs, batch normalisation takes its statistics over all of them.
    """

    epochs: float
    lr: Callable[[float], float] = PiecewiseLinear((0, 0.2, 1), (0, 0.1, 0))
    batch: int = 128
    momentum: float = 0.9
    decay: float = 5e-4
    augment: tuple[Augment, ...] = ()
    clip: float = 0.0
    decay_norms: bool = True
    accumulate: int = 1
    label_smoothing: float = 0.0
    seed: int = 0
    optimiser: Callable[..., torch.optim.Optimizer] | None = None
    mixup: float = 0.0
    ema: float = 0.0
    channels_last: bool = False
    amp: bool = False
    compile: bool = False
    sync_norm: bool = False

    def __post_init__(self) -> None:
        """Check each value."""
        if (
            isinstance(self.epochs, bool)
            or not isinstance(self.epochs, int | float)
            or not 0 < self.epochs < inf
        ):
            raise ValueError(f"epochs={self.epochs!r}: need a number above 0")
        for name in ("batch", "accumulate"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ValueError(f"{name}={value!r}: need a whole number of at least 1")
        if not callable(self.lr):
            raise ValueError(
                f"lr={self.lr!r}: need a function of progress, such as PiecewiseLinear((0, 1), (0.1, 0))"
            )
        rates = [float(self.lr(t / 10)) for t in range(11)]
        if not all(0 <= rate < inf for rate in rates):
            raise ValueError(
                f"lr goes through {', '.join(map(str, rates))}: need finite numbers of at least 0"
            )
        if isinstance(self.seed, bool) or not isinstance(self.seed, int) or not 0 <= self.seed < 2**63:
            raise ValueError(f"seed={self.seed!r}: need a whole number from 0 to 2**63 - 1")
        for name in ("momentum", "label_smoothing", "ema"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)!r}: need at least 0 and less than 1")
        for name in ("decay", "mixup", "clip"):
            if not 0 <= getattr(self, name) < inf:
                raise ValueError(f"{name}={getattr(self, name)!r}: need at least 0")

    def make_optimiser(self, net: nn.Module) -> torch.optim.Optimizer:
        """The optimiser of the parameters that want a gradient."""
        groups = [{"params": [p for p in net.parameters() if p.requires_grad]}]
        if not self.decay_norms:
            (group,) = groups
            spared = [p for p in group["params"] if p.ndim < 2]
            groups = [
                {"params": [p for p in group["params"] if p.ndim >= 2]},
                {"params": spared, "weight_decay": 0.0},
            ]
        if self.optimiser is not None:
            return self.optimiser(groups, lr=self.lr(0))
        return torch.optim.SGD(groups, lr=self.lr(0), momentum=self.momentum, weight_decay=self.decay)

    def describe(self) -> dict[str, object]:
        """Each setting in plain values; of the rate, its course in eleven numbers."""
        described = {field.name: describe(getattr(self, field.name)) for field in fields(self)}
        return described | {"lr": [float(self.lr(t / 10)) for t in range(11)]}


def check_batch(net: nn.Module, recipe: Recipe, count: int, processes: int = 1) -> None:
    """Raises ``ValueError`` if batches of this size cannot be drawn from ``count`` images, shared out or normed."""
    batch, parts = recipe.batch, processes * recipe.accumulate
    if batch > count:
        raise ValueError(f"batch={batch}: the training set has {count} images, need at most that many")
    normed = any(isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d) for m in net.modules())
    if batch < (1 + normed) * parts:
        few = (
            "batch normalisation needs two images or more to take statistics of"
            if normed
            else "need one image"
        )
        parted = f" in each of {parts} parts, over processes and accumulate={recipe.accumulate}"
        raise ValueError(f"batch={batch}: {few}{parted if parts > 1 else ''}")


def describe(value: object) -> object:
    """A setting for a record: functions by name and arguments, tensors by a digest, numbers as they are."""
    if isinstance(value, partial):
        arguments = [str(describe(v)) for v in value.args]
        arguments += [f"{k}={describe(v)}" for k, v in value.keywords.items()]
        return f"{describe(value.func)}({', '.join(arguments)})"
    if isinstance(value, tuple):
        return [describe(v) for v in value]
    if isinstance(value, Tensor):
        return f"tensor {hashlib.sha256(value.cpu().numpy().tobytes()).hexdigest()[:12]}"
    if hasattr(value, "__qualname__"):
        return f"{value.__module__.split('.')[-1]}.{value.__qualname__}"
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return re.sub(r" at 0x[0-9a-f]+", "", str(value))  # addresses differ from run to run


@dataclass(frozen=True)
class Epoch:
    """One pass over the training images. Losses are means over images, accuracies lie in [0, 1].

    ``epoch`` counts from 1. Training figures are taken on the way, from the changing network and the augmented
    images (of mixed images, each label counts by its share); validation figures from the network at the end.
    ``lr`` is the rate of the last step.
    """

    epoch: int
    train_loss: float
    train_acc: float
    valid_loss: float
    valid_acc: float
    lr: float
    seconds: float
