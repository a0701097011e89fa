"""What the registry knows of a network."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from torch import nn

DIGIT = (1, 28, 28)
CIFAR = (3, 32, 32)
IMAGENET = (3, 224, 224)


class Entry(NamedTuple):
    """How to build a network, and the images it is for."""

    build: Callable[..., nn.Module]
    image: tuple[int, int, int]  # (C, H, W) that it was designed for
    smallest: int = 1  # pixels a side
    largest: int | None = None  # pixels a side, where a linear layer counts them
