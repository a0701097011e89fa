"""ZFNet's change of the first layers, at a small scale."""

from __future__ import annotations

from functools import partial

from cnnlib.experiments.experiment import Experiment, Side
from cnnlib.images import fashion_mnist
from cnnlib.models import zfnet
from cnnlib.training import Recipe

EXPERIMENTS = {
    "zfnet-start": Experiment(
        "Smaller windows and steps at the start, the same maps afterwards: does ZFNet's change pay at 28 pixels?",
        fashion_mnist,
        1500,
        {
            "small and dense": Side(partial(zfnet.small, kernel=5, strides=(1, 2))),
            "large and dense": Side(partial(zfnet.small, kernel=9, strides=(1, 2))),
            "large and coarse": Side(partial(zfnet.small, kernel=9, strides=(2, 1))),
        },
        (
            ("small and dense", "large and dense"),
            ("large and dense", "large and coarse"),
            ("small and dense", "large and coarse"),
        ),
        Recipe(epochs=10, batch=32),
        rates=(0.01, 0.03, 0.1),
        unequal="a larger window costs more and a longer step less; all see the same images equally often",
    ),
}
