"""A small network, small images and a short recipe for the tests of training."""

import torch
from torch import nn

from cnnlib.images.datasets import Images
from cnnlib.training.evaluation import seeded
from cnnlib.training.recipe import PiecewiseLinear, Recipe


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def toy(n=90, classes=3, seed=0):
    """Images whose class is the brightest of three stripes."""
    draw = generator(seed)
    y = torch.randint(classes, (n,), generator=draw)
    x = torch.rand(n, 1, 6, 6, generator=draw) * 0.6
    for i, label in enumerate(y):
        x[i, 0, 2 * label : 2 * label + 2] += 0.4
    return Images(x, y, tuple("abc"))


def small(norm=True):
    with seeded(1):
        layers = [
            nn.Conv2d(1, 4, 3),
            nn.BatchNorm2d(4) if norm else nn.Identity(),
            nn.ReLU(),
            nn.Dropout(0.1),
        ]
        return nn.Sequential(*layers, nn.Flatten(), nn.Linear(64, 3))


RECIPE = Recipe(epochs=4, lr=PiecewiseLinear((0, 1), (0.1, 0.01)), batch=16)


def row_values(rows):
    return [(r.epoch, r.train_loss, r.train_acc, r.valid_loss, r.valid_acc, r.lr) for r in rows]
