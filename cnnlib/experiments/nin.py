"""What NiN changed: small perceptrons in place of single layers, and means in place of connected layers."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from torch import nn

from cnnlib.experiments.experiment import Experiment, Side
from cnnlib.experiments.starts import suited
from cnnlib.images import fashion_14
from cnnlib.models import chain, nin
from cnnlib.training import Recipe


def nin_14(*head: Callable[[], nn.Module]) -> nn.Sequential:
    """NiN of two mlpconv layers, (N, 1, 14, 14) -> (N, 10); ``head``: layers in place of the global mean."""
    rows = (nin.Mlp(5, 16, 16, 16, pad=2), nin.Mlp(3, 32, 32, None, pad=1))
    net = nin.nin(rows, 10, 1)  # a map of 7 x 7 for each class
    return nn.Sequential(*net[:-2], *(make() for make in head)) if head else net


def in_place_of_layers(perceptrons: bool) -> nn.Sequential:
    """Two windows, 5 x 5 and 3 x 3, (N, 1, 14, 14) -> (N, 10), a mean and a linear layer reading the last maps.

    Each window is followed by two 1 x 1 layers (Lin and others 2013), or stands alone and has more channels, for the
    same MACs.
    """
    widths = (16, 32) if perceptrons else (24, 36)
    rows, layers, c_in = (nin.Mlp(5, *3 * (widths[0],), pad=2), nin.Mlp(3, *3 * (widths[1],), pad=1)), {}, 1
    for i, row in enumerate(rows, 1):
        window = chain(conv=nn.Conv2d(c_in, row.width, row.kernel, 1, row.pad), relu=nn.ReLU())
        layers[f"layer{i}"] = nin.mlpconv(c_in, row, row.out) if perceptrons else window
        layers[f"pool{i}"] = nn.MaxPool2d(3, 2, ceil_mode=True) if i == 1 else nn.AdaptiveAvgPool2d(1)
        c_in = row.out
    return chain(**layers, flatten=nn.Flatten(), fc=nn.Linear(c_in, 10))


def _connected() -> nn.Module:
    return nn.Linear(490, 10)


EXPERIMENTS = {
    "nin-mlpconv": Experiment(
        "A small perceptron after each window, or one wider layer for the same arithmetic: which learns more?",
        fashion_14,
        1500,
        {
            "mlpconv": Side(partial(suited, in_place_of_layers, perceptrons=True)),
            "plain, wider": Side(partial(suited, in_place_of_layers, perceptrons=False)),
        },
        (("mlpconv", "plain, wider"),),
        Recipe(epochs=30, batch=32),
        rates=(0.01, 0.03, 0.1),
    ),
    "nin-heads": Experiment(
        "The same maps, read by their means or by a fully connected layer: which head overfits less?",
        fashion_14,
        200,  # few, so that overfitting shows
        {
            "global mean": Side(partial(suited, nin_14)),
            "connected": Side(partial(suited, partial(nin_14, nn.Flatten, _connected))),
            "connected, dropout": Side(partial(suited, partial(nin_14, nn.Flatten, nn.Dropout, _connected))),
        },
        (
            ("global mean", "connected"),
            ("global mean", "connected, dropout"),
            ("connected, dropout", "connected"),
        ),
        Recipe(epochs=300, batch=20),
        rates=(0.01, 0.03, 0.1),
    ),
}
