"""Answers averaged: of several networks, or of one network that looks several times.

Answers are logits or log-probabilities of shape (M, N, C): M logits for each of N images, C classes. An average
is (N, C) log-probabilities, so that averages can be averaged again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cnnlib.images import Images
from cnnlib.training.evaluation import predict

View = Callable[[Tensor], Tensor]


def mean_probabilities(logits: Tensor) -> Tensor:
    """(M, N, C) -> (N, C): log of the arithmetic mean of the probabilities."""
    return _checked(logits).log_softmax(2).logsumexp(0) - torch.tensor(float(len(logits))).log()


def mean_logits(logits: Tensor) -> Tensor:
    """(M, N, C) -> (N, C): log-probabilities of the mean logits, which is the geometric mean made to sum to 1."""
    return _checked(logits).mean(0).log_softmax(1)


def disagreement(logits: Tensor) -> float:
    """Share of images to which two logits give different classes, averaged over all pairs of the M >= 2."""
    if len(_checked(logits)) < 2:
        raise ValueError(f"logits of shape {tuple(logits.shape)}: need two or more to disagree")
    classes = logits.argmax(2)
    differ = (classes[:, None] != classes).float().mean(2)  # (M, M), zeros on the diagonal
    return (differ.sum() / (len(logits) * (len(logits) - 1))).item()


def _checked(logits: Tensor) -> Tensor:
    if logits.ndim != 3 or not len(logits):
        raise ValueError(f"logits of shape {tuple(logits.shape)}: need (M, N, C) with M of at least 1")
    return logits


# One network that looks several times


def _shift(x: Tensor, top: int, left: int, pad: int, mirror: bool) -> Tensor:
    h, w = x.shape[2:]
    x = F.pad(x, (pad,) * 4)[:, :, top : top + h, left : left + w]
    return x.flip(3) if mirror else x


def shifts(pad: int, step: int) -> tuple[View, ...]:
    """Windows of the image's size over the image with ``pad`` black pixels around it, each also mirrored.

    ``step``: pixels from one window to the next. With ``2 * pad`` there are the four corners, so 8 views.
    """
    if pad < 1 or step < 1 or 2 * pad % step:
        raise ValueError(f"pad={pad}, step={step}: need whole numbers with 2 * pad a multiple of step")
    places = range(0, 2 * pad + 1, step)
    return tuple(
        partial(_shift, top=top, left=left, pad=pad, mirror=mirror)
        for mirror in (False, True)
        for top in places
        for left in places
    )


def mirrored() -> tuple[View, ...]:
    """The image, and its mirror image."""
    return tuple(partial(_shift, top=0, left=0, pad=0, mirror=mirror) for mirror in (False, True))


def ten_crops(pad: int) -> tuple[View, ...]:
    """The image, its four corner windows with ``pad`` black pixels around, and the five mirrored.

    Krizhevsky et al. 2012, sec. 4.1, cut theirs out of a larger image.
    """
    return (*mirrored(), *shifts(pad, 2 * pad))


def _resize(x: Tensor, side: int) -> Tensor:
    return F.interpolate(x, (side, side), mode="bilinear", align_corners=False)


def sizes(*sides: int) -> tuple[View, ...]:
    """The whole image at several sizes, for networks that take any (Simonyan & Zisserman 2014, sec. 4.2)."""
    return tuple(partial(_resize, side=side) for side in sides)


def predict_views(net: nn.Module, images: Images, views: Sequence[View]) -> Tensor:
    """Logits (V, N, C) of the network for each of V views of the images."""
    return torch.stack([predict(net, Images(view(images.x), images.y, images.classes)) for view in views])


def average_views(net: nn.Module, images: Images, views: Sequence[View]) -> Tensor:
    """The mean of the probabilities over all views: log-probabilities (N, C)."""
    return mean_probabilities(predict_views(net, images, views))
