"""What reads the last maps: their means, or a fully connected layer."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from torch import nn

from cnnlib.experiments.experiment import Experiment, Side
from cnnlib.images import fashion_14
from cnnlib.models import nin
from cnnlib.training import Recipe


def nin_14(*head: Callable[[], nn.Module]) -> nn.Sequential:
    """NiN of two mlpconv layers, (N, 1, 14, 14) -> (N, 10); ``head``: layers in place of the global mean."""
    rows = (nin.Mlp(5, 16, 16, 16, pad=2), nin.Mlp(3, 32, 32, None, pad=1))
    net = nin.nin(rows, 10, 1)  # a map of 7 x 7 for each class
    return nn.Sequential(*net[:-2], *(make() for make in head)) if head else net


def _connected() -> nn.Module:
    return nn.Linear(490, 10)


EXPERIMENTS = {
    "nin-heads": Experiment(
        "The same maps, read by their means or by a fully connected layer: which head overfits less?",
        fashion_14,
        200,  # few, so that overfitting shows
        {
            "global mean": Side(nin_14),
            "connected": Side(partial(nin_14, nn.Flatten, _connected)),
            "connected, dropout": Side(partial(nin_14, nn.Flatten, nn.Dropout, _connected)),
        },
        (
            ("global mean", "connected"),
            ("global mean", "connected, dropout"),
            ("connected, dropout", "connected"),
        ),
        Recipe(epochs=60, batch=20),
        rates=(0.02, 0.05),
    ),
}
