"""What a unit of the last map sees, by the gradient through a positive copy of a network; no formula for windows.

All weights are ones, maxima are sums, and what treats single units passes them on, so that nothing cancels. What
has looked at a whole map, a gate or a head, is replaced by a constant. One axis of the image at a time is long, so
that large fields cost little. Shares no code with the engine.
"""

import copy

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

LARGEST = 10_000  # pixels
PASSED_ON = frozenset((
    "relu", "relu6", "leaky_relu", "elu", "selu", "celu", "gelu", "silu", "mish", "softplus", "sigmoid", "tanh",
    "hardtanh", "hardswish", "hardsigmoid", "prelu", "batch_norm", "layer_norm", "group_norm", "instance_norm",
    "local_response_norm", "dropout", "square", "sqrt", "rsqrt", "exp", "log", "abs", "pow", "clamp", "rms_norm",
))  # fmt: skip


def ones(out: Tensor) -> Tensor:
    """The same map with all values 1, and a gradient that is passed as 0 or 1."""
    out = out - out.detach() + 1
    out.register_hook(lambda g: (g != 0).to(g.dtype))
    return out


def pair(value) -> list[int]:
    values = list(value) if isinstance(value, tuple | list) else [value]
    return values * 2 if len(values) == 1 else values


def window(x: Tensor, kernel, stride, padding, dilation, groups: int) -> Tensor:
    """A window of ones over the sum of each group of channels."""
    n, c, h, w = x.shape
    x = x.reshape(n, groups, c // groups, h, w).mean(2)
    return F.conv2d(x, x.new_ones(groups, 1, *kernel), None, stride, padding, dilation, groups)


def conv2d(x, weight, bias=None, stride=1, padding=0, dilation=1, groups=1) -> Tensor:
    return window(x, weight.shape[2:], stride, padding, dilation, groups).repeat_interleave(
        weight.shape[0] // groups, 1
    )


def pooled(pool, x: Tensor, kernel_size, stride=None, padding=0, *rest, **options) -> Tensor:
    """Any pool as the sum of its windows, in the size that the real one puts out."""
    size = pool(x.detach(), kernel_size, stride, padding, *rest, **options).shape[2:]
    dilation = (rest[0] if rest else options.get("dilation", 1)) if pool.__name__.startswith("max") else 1
    kernel, pad, dilation = pair(kernel_size), pair(padding), pair(dilation)
    stride = pair(stride) if stride else kernel
    ends = [
        max(0, (n - 1) * s + d * (k - 1) + 1 - m - p)
        for n, s, d, k, m, p in zip(size, stride, dilation, kernel, x.shape[2:], pad, strict=True)
    ]
    return window(F.pad(x, (pad[1], ends[1], pad[0], ends[0])), kernel, stride, 0, dilation, x.shape[1])


class Positive(TorchFunctionMode):
    """Runs each operation in its positive form, and keeps the last map that depends on the image."""

    def __init__(self) -> None:
        super().__init__()
        self.last: Tensor | None = None

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if not any(isinstance(t, Tensor) and t.requires_grad for t in tree_leaves((args, kwargs))):
            return func(*args, **kwargs)
        out = self.run(func, getattr(func, "__name__", "").rstrip("_"), args, kwargs)
        for t in tree_leaves(out):
            if isinstance(t, Tensor) and t.requires_grad and t.ndim == 4 and min(t.shape[1:]) > 1:
                self.last = t
        return out

    def run(self, func, name: str, args: tuple, kwargs: dict):
        if name in PASSED_ON and args[0].requires_grad:
            return args[0]
        if name in ("adaptive_avg_pool2d", "adaptive_max_pool2d"):  # shares out the whole map
            return torch.ones_like(func(args[0].detach(), *args[1:], **kwargs))
        if name == "conv2d":
            out = conv2d(*args, **kwargs)
        elif name in ("max_pool2d", "avg_pool2d") and not kwargs.pop("return_indices", False):
            out = pooled(func, *args, **kwargs)
        elif name == "linear":
            x, weight = args[:2]
            out = x.mean(-1, keepdim=True).expand(*x.shape[:-1], weight.shape[0])
        else:
            out = func(*args, **kwargs)
        if not isinstance(out, Tensor) or not out.requires_grad or func is Tensor.requires_grad_:
            return out
        pooled_tokens = out.ndim == 3 and 1 in out.shape[1:]
        if out.ndim < 3 or tuple(out.shape[-2:]) == (1, 1) or pooled_tokens:  # it has looked at the whole map
            return torch.ones_like(out)
        return ones(out) if out.is_floating_point() and name not in ("detach", "register_hook") else out


def _along(net, axis: int, side: int, c: int, short: int) -> tuple[int, int, int]:
    """First and last pixel along ``axis`` of an image of ``side`` pixels there that move the middle unit."""
    sides = [short, short]
    sides[axis] = side
    x = torch.ones(1, c, *sides, requires_grad=True)
    mode = Positive()
    with torch.enable_grad(), mode:
        net(x)
    y = mode.last
    # Channels stand first or last; one axis of the map is as much longer as one of the image.
    first = min((1, 2), key=lambda i: abs(y.shape[i] / y.shape[i + 1] - sides[0] / sides[1]))
    first = 2 if first == 2 else 1
    unit = y.movedim((first, first + 1), (0, 1))[y.shape[first] // 2, y.shape[first + 1] // 2]
    (grad,) = torch.autograd.grad(unit.sum(), x)
    hit = (grad[0] != 0).any(0).any(1 - axis).nonzero().flatten()
    return int(hit[0]), int(hit[-1])


def field(net, c: int = 3, guess: int = 200, short: int = 128) -> tuple[int, int]:
    """Height and width in pixels of what the middle unit of the last map sees. ``net`` may have no numbers.

    ``short``: pixels of the image along the other axis; its last map needs units enough.
    """
    net = copy.deepcopy(net).eval().requires_grad_(False)
    if any(p.is_meta for p in net.parameters()):
        net.to_empty(device="cpu")
        for tensor in (*net.parameters(), *net.buffers()):
            tensor.fill_(1)
    found = []
    for axis in (0, 1):
        side = -(-(guess + 2 * short) // short) * short
        while True:
            low, high = _along(net, axis, side, c, short)
            if low > 0 and high < side - 1:
                break
            side *= 2
            if side > LARGEST:
                raise ValueError(f"sees more than {LARGEST // 2} pixels")
        found.append(high - low + 1)
    return tuple(found)
