"""Class activation maps: a logit that is a mean over places, before the mean is taken.

Lin, Chen, Yan: Network in network. 2013, sec. 3.2. https://arxiv.org/abs/1312.4400
Zhou, Khosla, Lapedriza, Oliva, Torralba: Learning deep features for discriminative localization. 2015.
https://arxiv.org/abs/1512.04150
"""

from __future__ import annotations

from contextlib import ExitStack

import torch
from torch import Tensor, nn

from cnnlib.images import Images
from cnnlib.training import predict


def class_maps(net: nn.Module, x: Tensor) -> Tensor:
    """A map for each class, whose mean is that class's logit: (N, C, H, W) -> (N, classes, h, w).

    The network ends in a global mean of one map a class (NiN, SqueezeNet), or in a global mean and a linear layer,
    which then is moved in front of the mean, bias and all (GoogLeNet, ResNet). Nothing is trained, and the network
    is left as it was. Raises ``ValueError`` if its logits are no such means.
    """
    seen: list[Tensor] = []

    def keep(pool: nn.Module, args: tuple, out: Tensor) -> None:
        if out.shape[2:] == (1, 1):
            seen.append(args[0])

    with ExitStack() as hooks:
        for module in net.modules():
            if isinstance(module, nn.AdaptiveAvgPool2d):
                hooks.callback(module.register_forward_hook(keep).remove)
        logits = predict(net, Images(x, torch.zeros(len(x), dtype=torch.int64), ("",)), batch=len(x))
    candidates = [seen[-1]] if seen else []
    for module in net.modules():
        if seen and isinstance(module, nn.Linear) and module.in_features == seen[-1].shape[1]:
            bias = 0 if module.bias is None else module.bias.detach()[:, None, None]
            candidates.append(torch.einsum("oc,nchw->nohw", module.weight.detach(), seen[-1]) + bias)
    for maps in candidates:
        means = maps.mean((2, 3))
        if means.shape == logits.shape and torch.allclose(means, logits, rtol=1e-3, atol=1e-4):
            return maps
    raise ValueError(
        f"the logits of {type(net).__name__} are no means of maps: need a network that ends in a global average "
        "pool, with at most one linear layer behind it"
    )


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
