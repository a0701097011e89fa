"""Every experiment by its name: those of the chapters, and the league of all families on one budget."""

from __future__ import annotations

from dataclasses import replace
from difflib import get_close_matches
from functools import partial

import torch

from cnnlib import models
from cnnlib.experiments import after_2014, before_2014, in_2014
from cnnlib.experiments.experiment import Experiment, Side, steady
from cnnlib.experiments.search import VALIDATION
from cnnlib.images import fashion_mnist
from cnnlib.training import Recipe

# Training images of the sets of which a part is shipped, less those that choose the rate.
WHOLE = {"mnist": 60_000 - VALIDATION, "fashion_mnist": 60_000 - VALIDATION}


def _league() -> Experiment:
    """Every family's small network, each against an elder one that it answers."""
    elders = {
        "alexnet": "lenet", "zfnet": "alexnet", "vgg": "alexnet", "nin": "alexnet", "googlenet": "vgg",
        "resnet": "vgg", "senet": "resnet", "preresnet": "resnet", "wrn": "resnet", "resnext": "resnet",
        "fractalnet": "resnet", "densenet": "resnet", "squeezenet": "alexnet", "inception": "googlenet",
        "stochastic": "resnet",
    }  # fmt: skip
    names = [name for name in models.list_models() if name.endswith("_small")]
    return Experiment(
        "A quarter of a million parameters and the same arithmetic for each: which network learns most from it?",
        fashion_mnist,
        4500,
        {name: Side(partial(steady, name)) for name in names},
        tuple((f"{a}_small", f"{b}_small") for a, b in elders.items() if f"{a}_small" in names),
        # In so few steps SGD left nin_small at chance at every rate tried; Adam (arXiv:1412.6980) sets it going.
        Recipe(epochs=4, batch=16, optimiser=torch.optim.Adam, channels_last=True),
        rates=(0.0003, 0.001, 0.003),
        equal_macs=True,
    )


EXPERIMENTS: dict[str, Experiment] = {
    **before_2014.EXPERIMENTS,
    **in_2014.EXPERIMENTS,
    **after_2014.EXPERIMENTS,
    "league": _league(),
}


def named(name: str) -> Experiment:
    """The experiment of this name; with ``-full`` behind it, on all images of its set."""
    short = name.removesuffix("-full")
    if short != name and short in EXPERIMENTS:
        small = EXPERIMENTS[short]
        if small.data.__name__ not in WHOLE:
            raise ValueError(f"{short} has all its images already: run it by that name")
        return replace(small, data=partial(small.data, full=True), images=WHOLE[small.data.__name__])
    if name in EXPERIMENTS:
        return EXPERIMENTS[name]
    near = get_close_matches(name, EXPERIMENTS, n=3)
    hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(EXPERIMENTS)}"
    raise ValueError(f"no experiment is called {name!r}: {hint}")
