"""All families on one budget."""

from __future__ import annotations

from functools import partial

import torch

from cnnlib import models
from cnnlib.experiments.experiment import Experiment, Side
from cnnlib.experiments.starts import steady
from cnnlib.images import fashion_mnist
from cnnlib.training import Recipe


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


EXPERIMENTS = {
    "league": _league(),
}
