"""The receptive field by experiment: send a gradient back from one unit and take the span of the pixels it reaches.

No formula for windows is used here, so that it is a second witness for the one in ``shapes.py``. Each
operation of the network is replaced while it runs. All weights are positive and equal, so that nothing
cancels. What acts on single units (activation, norm, dropout) passes the map on. A maximum becomes a sum,
since its gradient reaches one pixel only. What looks at the whole map (global pool, linear layer) ends it.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from math import ceil

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from cnnlib.costs import trace
from cnnlib.insight.signals import layer_of
from cnnlib.shapes import Span

_PASSED_ON = frozenset((
    "relu", "relu6", "leaky_relu", "elu", "selu", "celu", "gelu", "silu", "mish", "softplus", "sigmoid",
    "tanh", "hardtanh", "hardswish", "hardsigmoid", "prelu", "softmax", "log_softmax", "batch_norm",
    "layer_norm", "group_norm", "instance_norm", "local_response_norm", "dropout", "dropout1d", "dropout2d",
    "alpha_dropout", "feature_dropout", "feature_alpha_dropout", "square", "sqrt", "exp", "log", "abs", "pow",
    "clamp",
))  # fmt: skip
_WHOLE_MAP = frozenset(("adaptive_avg_pool2d", "adaptive_max_pool2d"))
_LARGEST = 2048  # pixels


class _Seen(Exception):
    """The map that was asked for is there: what stands behind it may not fit an enlarged image."""


def _even(out: Tensor) -> Tensor:
    """The same map with all values 1; a gradient passes it as 0 or 1, so that nothing over- or underflows."""
    if not out.requires_grad:
        return torch.ones_like(out)
    out = out - out.detach() + 1
    out.register_hook(lambda g: (g != 0).to(g.dtype))
    return out


def _window(x: Tensor, kernel, stride, padding, dilation, groups: int = 1) -> Tensor:
    """A window of ones over the sum of each group of channels: (N, C, H, W) -> (N, groups, H', W')."""
    n, c, h, w = x.shape
    x = x.reshape(n, groups, c // groups, h, w).mean(2)
    return F.conv2d(x, x.new_ones(groups, 1, *kernel), None, stride, padding, dilation, groups)


def _conv(x: Tensor, weight: Tensor, bias=None, stride=1, padding=0, dilation=1, groups: int = 1) -> Tensor:
    out = _even(_window(x, weight.shape[2:], stride, padding, dilation, groups))
    return out.repeat_interleave(weight.shape[0] // groups, 1)


def _pool(pool, x: Tensor, kernel_size, stride=None, padding=0, *rest, **options) -> Tensor:
    """Any pool as the sum of its windows, in the size that the real one puts out."""
    size = pool(x.detach(), kernel_size, stride, padding, *rest, **options).shape[2:]
    dilation = (rest[0] if rest else options.get("dilation", 1)) if pool.__name__ == "max_pool2d" else 1
    kernel, pad, dilation = _pair(kernel_size), _pair(padding), _pair(dilation)
    stride = _pair(stride) if stride else kernel
    ends = [  # zeros behind the map: those of the padding, and those that rounding up needs
        max(0, (n - 1) * s + d * (k - 1) + 1 - m - p)
        for n, s, d, k, m, p in zip(size, stride, dilation, kernel, x.shape[2:], pad, strict=True)
    ]
    x = F.pad(x, (pad[1], ends[1], pad[0], ends[0]))
    return _window(x, kernel, stride, 0, dilation, x.shape[1])


def _pair(value) -> tuple[int, int]:
    values = tuple(value) if isinstance(value, tuple | list) else (value,)
    return values * 2 if len(values) == 1 else values


def _linear(x: Tensor, weight: Tensor, bias=None) -> Tensor:
    """On channels in the last axis of a map it acts as a 1x1 convolution; on a vector it ends the search."""
    shape = (*x.shape[:-1], weight.shape[0])
    return x.mean(-1, keepdim=True).expand(shape) if x.ndim == 4 else x.new_ones(shape)


def _both_axes(x: Tensor, dim=None, *rest, **options) -> bool:
    """Whether a sum runs over the whole of a map (N, C, H, W)."""
    dims = range(x.ndim) if dim is None else dim if isinstance(dim, tuple | list) else (dim,)
    return x.ndim == 4 and {2, 3} <= {d % 4 for d in dims}


def _whole_window(x: Tensor, kernel_size, *rest, **options) -> bool:
    """Whether an average pool has one window, the whole map."""
    return _pair(kernel_size) == tuple(x.shape[2:])


_WHOLE_IF = {"mean": _both_axes, "sum": _both_axes, "amax": _both_axes, "avg_pool2d": _whole_window}


class _Linearised(TorchFunctionMode):
    """Runs each operation in its replaced form, and keeps every map that the gradient can leave through."""

    def __init__(self, last: int | None) -> None:
        super().__init__()
        self.maps: list[Tensor] = []
        self.last = last

    def keep(self, out: object) -> bool:
        """Whether ``out`` is such a map; ends the run if it is the one asked for."""
        if not (isinstance(out, Tensor) and out.requires_grad and out.ndim == 4):
            return False
        self.maps.append(out)
        if len(self.maps) - 1 == self.last:
            raise _Seen
        return True

    def __torch_function__(self, func, types, args=(), kwargs=None):
        out = self._replaced(func, args, kwargs or {})
        self.keep(out)
        return out

    def _replaced(self, func, args: tuple, kwargs: dict):
        name = getattr(func, "__name__", "").rstrip("_")
        if not any(isinstance(t, Tensor) and t.requires_grad for t in tree_leaves(args)):
            return func(*args, **kwargs)
        if name in _PASSED_ON:
            return args[0]
        if name in _WHOLE_MAP or (name in _WHOLE_IF and _WHOLE_IF[name](*args, **kwargs)):
            return torch.ones_like(func(args[0].detach(), *args[1:], **kwargs))
        if name == "conv2d":
            return _conv(*args, **kwargs)
        if name in ("max_pool2d", "avg_pool2d"):
            return _even(_pool(func, *args, **kwargs))
        if name == "linear":
            return _linear(*args, **kwargs)
        out = func(*args, **kwargs)
        return _even(out) if isinstance(out, Tensor) and out.is_floating_point() else out


def _support(net: nn.Module, image: Sequence[int], layer: str | None, last: int | None = None):
    """Pixels (H, W) that the centre unit of a map depends on, that unit, and which map it was.

    The map is number ``last``, else what ``layer`` puts out in its last run, else the last of all.
    """
    parameter = next(net.parameters(), torch.empty(0))
    x = torch.ones(1, *image, device=parameter.device, requires_grad=True)
    mode = _Linearised(last)
    ends: list[int | None] = []

    def end(module: nn.Module, args: object, out: object) -> None:
        ends.append(len(mode.maps) - 1 if mode.keep(out) else None)

    hook = layer_of(net, layer).register_forward_hook(end) if layer else None
    try:
        with torch.enable_grad(), mode:
            net(x)
    except _Seen:
        pass
    finally:
        if hook:
            hook.remove()
    at = last if last is not None else (ends or [None])[-1] if layer else len(mode.maps) - 1
    if at is None or at < 0:
        who = f"layer {layer!r}" if layer else type(net).__name__
        need = "name a layer before global pooling" if layer else "it needs a convolution or a pool"
        raise ValueError(f"{who} makes no map of image {image}: {need}")
    out = mode.maps[at]
    i, j = out.shape[2] // 2, out.shape[3] // 2
    out[:, :, i, j].sum().backward()
    return (x.grad != 0).any(1)[0], (i, j), at


def _along(hit: Tensor, axis: int) -> range:
    """From the first to the last pixel of a mask (H, W), along one axis."""
    on = hit.any(1 - axis).nonzero().flatten().tolist()
    return range(on[0], on[-1] + 1)


def _twin(net: nn.Module) -> nn.Module:
    return copy.deepcopy(net).eval().float().requires_grad_(False)


def footprint(net: nn.Module, image: tuple[int, int, int], layer: str) -> tuple[Tensor, tuple[int, int]]:
    """Which pixels the centre unit of ``layer`` depends on, as a mask (H, W), and the place of that unit.

    Cut at the border of ``image`` (C, H, W), as the unit is there. A layer that runs twice: its last run.
    Raises ``ValueError`` if there is no such layer, or if it puts out no map.
    """
    hit, unit, _ = _support(_twin(net), image, layer)
    return hit, unit


def reached(net: nn.Module, image: tuple[int, int, int], layer: str | None = None) -> int | tuple[int, int]:
    """Side in pixels of what the centre unit of ``layer`` depends on; (h, w) if not square.

    ``image``: (C, H, W). Where the border of the image would cut the field, a larger image is taken. ``layer``:
    a name of ``net.named_modules()``, in its last run; without it the last map before global pooling or
    flattening. A copy runs; the network stays as it is.
    Raises ``ValueError`` if there is no such map, or if a unit sees more than some 1000 pixels.
    """
    twin = _twin(net)
    hit, _, last = _support(twin, image, layer)
    seen = []
    for axis in (0, 1):
        field, sides = _along(hit, axis), list(image)
        while field.start == 0 or field.stop == sides[axis + 1]:  # cut: grow the image along this axis alone
            sides[axis + 1] *= 2
            if sides[axis + 1] > _LARGEST:
                who, most = type(net).__name__, _LARGEST // 2
                raise ValueError(f"{who} sees too much to try, over {most} pixels: use cnnlib.trace")
            field = _along(_support(twin, sides, layer, last)[0], axis)
        seen.append(len(field))
    return seen[0] if seen[0] == seen[1] else (seen[0], seen[1])


@dataclass(frozen=True, eq=False)
class ReceptiveField:
    """What one unit of a layer sees, found in two ways that share nothing."""

    layer: str
    by_formula: int | tuple[int, int]  # side in pixels, from the windows on the way
    by_gradient: int | tuple[int, int]  # side in pixels, from a gradient sent back
    window: tuple[Span, Span]  # by formula: the rows and the columns that the centre unit sees
    mask: Tensor = field(repr=False)  # by gradient: the pixels (H, W) of this image that it depends on


def receptive_fields(
    net: nn.Module, image: tuple[int, int, int], layers: Iterable[str]
) -> list[ReceptiveField]:
    """The receptive field of each of ``layers`` by formula and by gradient; ``figures.receptive_fields`` draws them.

    ``image``: (C, H, W). ``layers``: names as in ``net.named_modules()``, single layers or whole blocks. A layer
    that runs several times is taken in its last run. The network is left as it was.
    Raises ``ValueError`` for a layer that is not there, or whose units see no part of the image.
    """
    rows, found = trace(net, image).rows, []
    for layer in layers:
        mask, unit = footprint(net, image, layer)
        inside = tuple(layer + mark for mark in (".", ":"))
        span = [r.span for r in rows if r.span and (r.name == layer or r.name.startswith(inside))][-1]
        spans = (span, span) if isinstance(span, Span) else span
        window = tuple(Span(s.size, 1, s.start + i * s.stride) for s, i in zip(spans, unit, strict=True))
        sides = tuple(ceil(s.size) for s in spans)
        side = sides[0] if len(set(sides)) == 1 else sides
        found.append(ReceptiveField(layer, side, reached(net, image, layer), window, mask))
    return found
