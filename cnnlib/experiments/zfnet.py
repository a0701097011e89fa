"""ZFNet's change of the first layers, at a small scale."""

from __future__ import annotations

from functools import partial

from cnnlib import datasets
from cnnlib.arch import zfnet
from cnnlib.experiment import Experiment, Side
from cnnlib.train import Recipe

EXPERIMENTS = {
    "zfnet-start": Experiment(
        "Smaller windows and steps at the start, the same maps afterwards: does ZFNet's change pay at 28 pixels?",
        datasets.fashion_mnist,
        1500,
        {
            "small and dense": Side(zfnet.small),
            "large and coarse": Side(partial(zfnet.small, kernel=9, strides=(2, 1))),
        },
        (("small and dense", "large and coarse"),),
        Recipe(epochs=8, batch=32),
        rates=(0.01, 0.03, 0.06),
    ),
    "zfnet-window-or-step": Experiment(
        "Window and step of the start changed one at a time: which of the two decides at 28 pixels?",
        datasets.fashion_mnist,
        1500,
        {
            "5, late step": Side(zfnet.small),
            "9, late step": Side(partial(zfnet.small, kernel=9)),
            "5, early step": Side(partial(zfnet.small, strides=(2, 1))),
            "9, early step": Side(partial(zfnet.small, kernel=9, strides=(2, 1))),
        },
        (
            ("9, late step", "5, late step"),
            ("9, early step", "5, early step"),
            ("5, early step", "5, late step"),
            ("9, early step", "9, late step"),
        ),
        Recipe(epochs=8, batch=32),
        rates=(0.01, 0.03, 0.06),
        unequal="one thing changes at a time, and a large window on a fine map costs more",
    ),
}
