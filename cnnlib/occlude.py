"""Which part of an image a network needs: cover it, a square at a time, and ask again.

Zeiler, Fergus: Visualizing and understanding convolutional networks. 2013, sec. 4.2. https://arxiv.org/abs/1311.2901
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from cnnlib.datasets import Images
from cnnlib.train import predict


def occlusion(net: nn.Module, x: Tensor, target: int, side: int, step: int = 1, fill: float = 0.0) -> Tensor:
    """The probability of class ``target`` for one image ``x`` (C, H, W) with a square of it covered: (rows, cols).

    The square is ``side`` pixels wide, holds ``fill`` (0 is the mean colour of normalised images), and stands at
    every ``step``-th place where it fits: entry (i, j) is for the square whose corner is pixel (i step, j step).
    The network is left as it was. Raises ``ValueError`` if ``x`` is no single image or the square does not fit.
    """
    if x.ndim != 3:
        raise ValueError(f"x has shape {tuple(x.shape)}: need one image, (C, H, W)")
    if not 1 <= side <= min(x.shape[1:]):
        raise ValueError(f"side={side}: need a square that fits into {x.shape[1]} x {x.shape[2]} pixels")
    tops, lefts = (range(0, n - side + 1, step) for n in x.shape[1:])
    rows = []
    for top in tops:
        covered = x.repeat(len(lefts), 1, 1, 1)
        for image, left in zip(covered, lefts, strict=True):
            image[:, top : top + side, left : left + side] = fill
        logits = predict(net, Images(covered, torch.zeros(len(lefts), dtype=torch.int64), ("",)))
        rows.append(logits.softmax(1)[:, target])
    return torch.stack(rows)
