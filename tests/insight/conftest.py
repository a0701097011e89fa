"""A small network with all that a deconvnet runs back through, and images for it."""

import pytest
import torch
from torch import nn

from cnnlib.models.layers import LocalResponseNorm
from cnnlib.training.evaluation import seeded


@pytest.fixture
def net():
    with seeded(0):
        return nn.Sequential(
            nn.Sequential(nn.Conv2d(2, 6, 5, 2, 1), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, ceil_mode=True)),
            LocalResponseNorm(), nn.Conv2d(6, 8, 3, padding=1, groups=2), nn.ReLU(), nn.Dropout(),
            nn.MaxPool2d(2, 2), nn.Flatten(), nn.Linear(32, 3),
        )  # fmt: skip


@pytest.fixture
def x():
    return torch.rand(3, 2, 18, 20, generator=torch.Generator().manual_seed(1)) - 0.3
