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

from cnnlib.images.stream import Transform


def to_rgb(image: Image.Image) -> Image.Image:
    """The image with three bytes a pixel. Greys of 16 bits are scaled down, where PIL alone would make most white.

    Raises ``ValueError`` for greys that have no fixed white: floats, and whole numbers above 16 bits.
    """
    if image.mode[0] not in "IF":
        return image.convert("RGB")
    greys = np.asarray(image)
    if image.mode == "F" or greys.size and not 0 <= greys.min() <= greys.max() < 2**16:
        raise ValueError("its greys are floats or have more than 16 bits: store it with 8 or 16 bits")
    return Image.fromarray(np.round(greys / 257).astype(np.uint8)).convert("RGB")


def _tensor(image: Image.Image) -> Tensor:
    return torch.from_numpy(np.array(image)).permute(2, 0, 1).float().div_(255)


def _resized(image: Image.Image, short: int) -> Image.Image:
    """The shorter side becomes ``short`` pixels."""
    image, scale = to_rgb(image), short / min(image.size)
    return image.resize([max(short, round(side * scale)) for side in image.size], Image.Resampling.BILINEAR)


def _between(low: int, high: int, generator: Generator) -> int:
    return int(torch.randint(low, high + 1, (), generator=generator))


def _random_scale_crop(
    image: Image.Image, generator: Generator, min_side: int, max_side: int, size: int
) -> Tensor:
    image = _resized(image, _between(min_side, max_side, generator))
    left, top = (_between(0, side - size, generator) for side in image.size)
    x = _tensor(image.crop((left, top, left + size, top + size)))
    return x.flip(2) if torch.rand((), generator=generator) < 0.5 else x


def random_scale_crop(min_side: int, max_side: int, size: int) -> Transform:
    """Scale augmentation: the shorter side resized to a random length, a random crop of ``size``, mirrored or not.

    Simonyan & Zisserman 2015, sec. 3.1; He et al. 2016, sec. 3.4, with 256, 480 and 224.
    """
    if not 0 < size <= min_side <= max_side:
        raise ValueError(
            f"min_side={min_side}, max_side={max_side}, size={size}: need size <= min_side <= max_side"
        )
    return partial(_random_scale_crop, min_side=min_side, max_side=max_side, size=size)


def _centre_crop(image: Image.Image, generator: Generator, short_side: int, size: int) -> Tensor:
    image = _resized(image, short_side)
    left, top = ((side - size) // 2 for side in image.size)
    return _tensor(image.crop((left, top, left + size, top + size)))


def centre_crop(short_side: int, size: int) -> Transform:
    """The shorter side resized to ``short_side``, and the middle ``size`` x ``size`` of it; nothing random."""
    if not 0 < size <= short_side:
        raise ValueError(f"short_side={short_side}, size={size}: need size <= short_side")
    return partial(_centre_crop, short_side=short_side, size=size)


def _from_torchvision(
    image: Image.Image, generator: Generator, transform: Callable[[Image.Image], Tensor]
) -> Tensor:
    if generator is None:
        return transform(to_rgb(image))
    with torch.random.fork_rng([]):  # torchvision draws from torch's own numbers
        torch.manual_seed(generator.initial_seed())
        return transform(to_rgb(image))


def from_torchvision(transform: Callable[[Image.Image], Tensor]) -> Transform:
    """A transform of torchvision, or several by its ``Compose``, from an image (PIL) to float32 (3, H, W).

    What is random in it follows from the seed of the run, the epoch and the image, as in our own.
    """
    return partial(_from_torchvision, transform=transform)
