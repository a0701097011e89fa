"""Which part of an image an answer rests on: class maps and occlusion for a class, the deconvnet for a unit within.

Class maps: Lin, Chen, Yan: Network in network. 2013, sec. 3.2. https://arxiv.org/abs/1312.4400
Zhou, Khosla, Lapedriza, Oliva, Torralba: Learning deep features for discriminative localization. 2015.
https://arxiv.org/abs/1512.04150
Occlusion and deconvnet: Zeiler, Fergus: Visualizing and understanding convolutional networks. 2013, sec. 2.1 and 4.2.
https://arxiv.org/abs/1311.2901
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cnnlib.images import Images
from cnnlib.models import LocalResponseNorm
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


# ---- the deconvnet ----

# The paper says nothing of response normalisation on the way back; like dropout, it passes the signal on.
_PASSED_ON = (LocalResponseNorm, nn.LocalResponseNorm, nn.Dropout, nn.Identity)
_UNDERSTOOD = (nn.Conv2d, nn.ReLU, nn.MaxPool2d, *_PASSED_ON)


def _leaves(net: nn.Module, prefix: str = "") -> Iterator[tuple[str, nn.Module]]:
    """The layers of nested chains, in the order of the run."""
    for name, module in net.named_children():
        if isinstance(module, nn.Sequential):
            yield from _leaves(module, f"{prefix}{name}.")
        else:
            yield prefix + name, module


def _upto(net: nn.Module, layer: str) -> list[nn.Module]:
    """The layers up to ``layer``, each of a kind that can be run backwards."""
    if not isinstance(net, nn.Sequential):
        raise ValueError(
            f"{type(net).__name__} is no chain: need an nn.Sequential, one layer behind the other"
        )
    leaves = dict(_leaves(net))
    if layer not in leaves:
        raise ValueError(f"layer={layer!r}: the network has {', '.join(leaves)}")
    names = list(leaves)
    steps = [leaves[name] for name in names[: names.index(layer) + 1]]
    for name, step in zip(names, steps, strict=False):
        if not isinstance(step, _UNDERSTOOD):
            kinds = "convolutions, ReLUs, max-pools, response normalisation, dropout"
            raise ValueError(
                f"{name} is a {type(step).__name__}: up to {layer!r} there may stand {kinds} only"
            )
    return steps


def _forward(steps: list[nn.Module], x: Tensor) -> tuple[Tensor, list[tuple[torch.Size, Tensor | None]]]:
    """The output of the last step, and of each step the shape that came in and, of a pool, its switches."""
    records: list[tuple[torch.Size, Tensor | None]] = []
    for step in steps:
        shape, switches = x.shape, None
        if isinstance(step, nn.MaxPool2d):
            settings = (step.kernel_size, step.stride, step.padding, step.dilation, step.ceil_mode)
            x, switches = F.max_pool2d_with_indices(x, *settings)
        elif isinstance(step, nn.ReLU):
            x = x.relu()  # never in place: x may be the reader's
        elif not isinstance(step, nn.Dropout):
            x = step(x)
        records.append((shape, switches))
    return x, records


def unpool(y: Tensor, switches: Tensor, shape: torch.Size) -> Tensor:
    """Each value of ``y`` (N, C, h, w) goes to the place its maximum came from, into zeros of ``shape`` (N, C, H, W).

    ``switches``: those places, as ``F.max_pool2d_with_indices`` gives them. Where two windows that overlap took
    the same place, their values add up.
    """
    flat = y.new_zeros(shape).flatten(2)
    return flat.scatter_add(2, switches.flatten(2), y.flatten(2)).view(shape)


def filtered_back(y: Tensor, conv: nn.Conv2d, shape: torch.Size) -> Tensor:
    """``y`` (N, C_out, h, w) through the transposed filters of ``conv``, to the ``shape`` (N, C_in, H, W) it read."""
    whole = [
        (n - 1) * s - 2 * p + d * (k - 1) + 1
        for n, s, p, d, k in zip(
            y.shape[2:], conv.stride, conv.padding, conv.dilation, conv.kernel_size, strict=True
        )
    ]  # what the windows covered; a stride may have left out pixels at the end
    rest = [size - covered for size, covered in zip(shape[2:], whole, strict=True)]
    return F.conv_transpose2d(
        y, conv.weight, None, conv.stride, conv.padding, rest, conv.groups, conv.dilation
    )


def top_images(net: nn.Module, x: Tensor, layer: str, channel: int, count: int = 9) -> Tensor:
    """The numbers of the ``count`` images among ``x`` (N, C, H, W) at which a unit of this channel fires most.

    The network is left as it was. Raises ``ValueError`` as :func:`deconvnet` does.
    """
    steps = _upto(net, layer)
    with torch.no_grad():
        maps = torch.cat([_channel(_forward(steps, part)[0], channel) for part in x.split(256)])
    return maps.flatten(1).amax(1).topk(min(count, len(x))).indices


def _channel(maps: Tensor, channel: int) -> Tensor:
    if not 0 <= channel < maps.shape[1]:
        raise ValueError(f"channel={channel}: the layer has channels 0 to {maps.shape[1] - 1}")
    return maps[:, channel]


def deconvnet(net: nn.Module, x: Tensor, layer: str, channel: int) -> Tensor:
    """What made the strongest unit of one channel fire, for each image: (N, C, H, W) -> (N, C, H, W).

    All other units of ``layer`` (a dotted name) are set to 0. Then each layer is run backwards: a max-pool puts its
    values back where they came from (the switches of this image), a ReLU rectifies the signal itself, and a
    convolution applies its filters transposed, without its bias. The network is left as it was, and runs as in
    evaluation. Raises ``ValueError`` for a network that is no chain of such layers, an unknown layer or channel.
    """
    steps = _upto(net, layer)
    with torch.no_grad():
        maps, records = _forward(steps, x)
        chosen = _channel(maps, channel).flatten(1)
        value, place = chosen.max(1, keepdim=True)
        y = torch.zeros_like(maps)
        y[:, channel] = torch.zeros_like(chosen).scatter(1, place, value).view_as(maps[:, channel])
        for step, (shape, switches) in zip(reversed(steps), reversed(records), strict=True):
            if switches is not None:
                y = unpool(y, switches, shape)
            elif isinstance(step, nn.ReLU):
                y = y.relu()
            elif isinstance(step, nn.Conv2d):
                y = filtered_back(y, step, shape)
    return y
