"""Random changes to whole batches of training images: functions ``(x, generator) -> x`` of x (N, C, H, W).

Numbers are drawn on the CPU whatever device the images are on: a seed gives the same images everywhere.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from random import Random

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

Augment = Callable[[Tensor, Generator], Tensor]


def flip(x: Tensor, generator: Generator) -> Tensor:
    """Each image is mirrored left to right with probability 1/2."""
    mirrored = torch.rand(len(x), 1, 1, 1, generator=generator) < 0.5
    return torch.where(mirrored.to(x.device), x.flip(3), x)


def _crop(x: Tensor, generator: Generator, pad: int) -> Tensor:
    n, _, h, w = x.shape
    top, left = torch.randint(2 * pad + 1, (2, n), generator=generator).to(x.device)
    # All places a window can have, as a view: (N, C, 2 pad + 1, 2 pad + 1, H, W).
    windows = F.pad(x, (pad,) * 4).unfold(2, h, 1).unfold(3, w, 1)
    return windows[torch.arange(n, device=x.device), :, top, left]


def crop(pad: int) -> Augment:
    """Each image gets a black border of ``pad`` pixels and is cut to its size again at a random place."""
    if pad < 1:
        raise ValueError(f"pad={pad}: need at least 1 pixel")
    return partial(_crop, pad=pad)


def _cutout(x: Tensor, generator: Generator, size: int) -> Tensor:
    n, _, h, w = x.shape
    row = torch.randint(h, (n, 1, 1, 1), generator=generator)
    column = torch.randint(w, (n, 1, 1, 1), generator=generator)

    def inside(length: int, centre: Tensor) -> Tensor:
        start = centre - size // 2
        at = torch.arange(length)
        return (start <= at) & (at < start + size)

    hole = inside(h, row).transpose(2, 3) & inside(w, column)  # (N, 1, H, 1) and (N, 1, 1, W)
    return x.masked_fill(hole.to(x.device), 0)


def cutout(size: int) -> Augment:
    """A black square of ``size`` pixels in each image, its centre anywhere, so that it may stick out.

    DeVries & Taylor 2017, arXiv:1708.04552.
    """
    if size < 1:
        raise ValueError(f"size={size}: need at least 1 pixel")
    return partial(_cutout, size=size)


def mixup(x: Tensor, generator: Generator, alpha: float) -> tuple[Tensor, Tensor, float]:
    """Mixup: each image times s, plus another one of the batch times 1 - s.

    Gives the images, the positions of the partners (N,), and s, one draw of Beta(``alpha``, ``alpha``) a batch.
    Labels mix alike, so this is no ``Augment`` but a setting of the recipe. Zhang et al. 2018, arXiv:1710.09412.
    """
    share = Random(int(torch.randint(2**62, (), generator=generator))).betavariate(alpha, alpha)
    partner = torch.randperm(len(x), generator=generator).to(x.device)
    return share * x + (1 - share) * x[partner], partner, share


def _add_colour(x: Tensor, generator: Generator, axes: Tensor) -> Tensor:
    amount = 0.1 * torch.randn(len(x), 3, generator=generator)
    return x + (amount @ axes).to(x.device)[:, :, None, None]


def colour_pca(images: Tensor) -> Augment:
    """AlexNet's colour change: each image is shifted along the principal axes of the colours of ``images``.

    ``images``: RGB (N, 3, H, W), the training set. An axis p with variance v among its pixels is added
    0.1 * g * sqrt(v) times, g normal and drawn once an image and axis. Krizhevsky et al. 2012, sec. 4.1,
    print v in place of its root; that would depend on the unit of a pixel, and shift bytes by hundreds of
    levels. Values may leave [0, 1]. Raises ``ValueError`` for images that are not RGB.
    """
    if images.ndim != 4 or images.shape[1] != 3:
        raise ValueError(f"images of shape {tuple(images.shape)}: need RGB, (N, 3, H, W)")
    pixels = images.detach().cpu().double().transpose(0, 1).flatten(1)
    variances, vectors = torch.linalg.eigh(torch.cov(pixels))  # vectors in columns
    axes = (vectors * variances.clamp(min=0).sqrt()).T
    return partial(_add_colour, axes=axes.float())
