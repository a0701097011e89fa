"""A network of the book: its layers in order, the images that it takes, and its entry in the registry."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor, nn

DIGIT = (1, 28, 28)
CIFAR = (3, 32, 32)
IMAGENET = (3, 224, 224)


class Entry(NamedTuple):
    """How to build a network, and the images it is for."""

    build: Callable[..., nn.Module]
    image: tuple[int, int, int]  # (C, H, W) that it was designed for
    smallest: int = 1  # pixels a side
    largest: int | None = None  # pixels a side, where a linear layer counts them


class WrongImageError(ValueError):
    """A batch of images that a network cannot take."""


@dataclass(frozen=True)
class ImageLimits:
    """The images that a network was built for."""

    name: str  # of the network
    channels: int
    smallest: int  # pixels a side
    largest: int | None

    def mismatch(self, shape: tuple[int, ...]) -> str | None:
        """What is wrong with a batch of this shape, in a sentence; None if it should fit."""
        if len(shape) != 4 or shape[1] != self.channels:
            need = f"a batch (N, {self.channels}, H, W)"
        elif min(shape[2:]) < self.smallest or (self.largest and max(shape[2:]) > self.largest):
            span = f"{self.smallest} to {self.largest}" if self.largest else f"at least {self.smallest}"
            need = f"images of {span} pixels a side"
        else:
            return None
        return f"{self.name} got {tuple(shape)}: need {need}"


class Network(nn.Sequential):
    """A network of the book: its layers in order. (N, C, H, W) -> (N, num_classes), where no layer was replaced.

    Where PyTorch cannot run it on a batch, and the images are not those it was built for, the error says which
    it needs. Nothing else is refused: with another head, say, a network takes what its new layers take.
    """

    image_limits: ImageLimits | None = None  # a slice, ``net[:3]``, has no rule

    def forward(self, x: Tensor) -> Tensor:
        """Through all layers. Raises ``WrongImageError`` for images that do not fit."""
        if x.ndim == 4 or not self.image_limits:  # some layers would take a single image for something else
            try:
                return super().forward(x)
            except RuntimeError:
                if not self.image_limits or not self.image_limits.mismatch(x.shape):
                    raise
        raise WrongImageError(self.image_limits.mismatch(x.shape))
