"""How an image of any size becomes a tensor of one size: random crops to learn from, the centre to be judged on.

Functions ``(image, generator) -> x``, x float32 (3, H, W) in [0, 1].
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from PIL import Image
from torch import Generator, Tensor

from cnnlib.images.stream import View


def _tensor(image: Image.Image) -> Tensor:
    return torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1).float().div_(255)


def _resized(image: Image.Image, short: int) -> Image.Image:
    """The shorter side becomes ``short`` pixels."""
    scale = short / min(image.size)
    return image.resize([max(short, round(side * scale)) for side in image.size], Image.Resampling.BILINEAR)


def _between(low: int, high: int, generator: Generator) -> int:
    return int(torch.randint(low, high + 1, (), generator=generator))


def _scale_crop(image: Image.Image, generator: Generator, low: int, high: int, size: int) -> Tensor:
    image = _resized(image, _between(low, high, generator))
    left, top = (_between(0, side - size, generator) for side in image.size)
    x = _tensor(image.crop((left, top, left + size, top + size)))
    return x.flip(2) if torch.rand((), generator=generator) < 0.5 else x


def scale_crop(low: int, high: int, size: int) -> View:
    """The shorter side resized to a random length from ``low`` to ``high``, a random crop of ``size``, mirrored or not.

    Simonyan & Zisserman 2015, sec. 3.1; He et al. 2016, sec. 3.4, with 256, 480 and 224.
    """
    if not 0 < size <= low <= high:
        raise ValueError(f"low={low}, high={high}, size={size}: need size <= low <= high")
    return partial(_scale_crop, low=low, high=high, size=size)


def _centre(image: Image.Image, generator: Generator, short: int, size: int) -> Tensor:
    image = _resized(image, short)
    left, top = ((side - size) // 2 for side in image.size)
    return _tensor(image.crop((left, top, left + size, top + size)))


def centre(short: int, size: int) -> View:
    """The shorter side resized to ``short``, and the middle ``size`` x ``size`` of it; nothing random."""
    if not 0 < size <= short:
        raise ValueError(f"short={short}, size={size}: need size <= short")
    return partial(_centre, short=short, size=size)


def _fixed(image: Image.Image, generator: Generator, transform: Callable[[Image.Image], Tensor]) -> Tensor:
    return transform(image)


def fixed(transform: Callable[[Image.Image], Tensor]) -> View:
    """A transform in which nothing is random, such as those of public weights, as a view."""
    return partial(_fixed, transform=transform)
