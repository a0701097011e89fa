"""Building blocks that two or more networks share."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Layers = dict[str, nn.Module]  # named layers in order
Kernel = int | tuple[int, int]  # of a window: its side, or height and width


def chain(**layers: nn.Module) -> nn.Sequential:
    """Named layers in order; the names become the keys of the state dict."""
    return nn.Sequential(OrderedDict(layers))


class LocalResponseNorm(nn.Module):
    """Divides each unit by the energy of its neighbours in ``n`` adjacent channels.

    (N, C, H, W) -> (N, C, H, W).  b_i = a_i / (k + alpha * sum a_j^2)^beta, the sum running over channels
    i - n/2 ... i + n/2 (Krizhevsky et al. 2012, sec. 3.3). ``torch.nn.LocalResponseNorm`` takes the *mean*
    of the squares instead of the sum, so the same ``alpha`` there is ``n`` times weaker.
    """

    def __init__(self, n: int = 5, k: float = 2.0, alpha: float = 1e-4, beta: float = 0.75) -> None:
        super().__init__()
        self.n, self.k, self.alpha, self.beta = n, k, alpha, beta

    def forward(self, x: Tensor) -> Tensor:
        """Normalise across channels."""
        squares = x.square().flatten(2)[:, None]  # (N, 1, C, HW), so that one window slides over channels
        # A mean times n, since an ONNX file would divide by n whatever divisor is asked for.
        energy = F.avg_pool2d(squares, (self.n, 1), 1, (self.n // 2, 0))
        return x / (self.k + self.alpha * self.n * energy).pow(self.beta).view_as(x)

    def extra_repr(self) -> str:
        """The four constants, as ``print(net)`` shows them."""
        return f"n={self.n}, k={self.k}, alpha={self.alpha}, beta={self.beta}"


def conv(c_in: int, c_out: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    """A convolution without bias that keeps the size but for its stride; a normalisation stands behind it."""
    return nn.Conv2d(c_in, c_out, kernel, stride, padding=kernel // 2, groups=groups, bias=False)


class Residual(nn.Module):
    """y = act(F(x) + shortcut(x)) (He et al. 2015, eq. 1 and 2). (N, C, H, W) -> the shape of both paths.

    ``branch``: the layers of F. ``shortcut``: ``None`` for x itself; its name, as torchvision's, is
    ``downsample``.
    """

    def __init__(self, branch: Layers, shortcut: nn.Module | None) -> None:
        super().__init__()
        self.path = tuple(branch)
        for name, layer in branch.items():
            self.add_module(name, layer)
        self.downsample = shortcut
        self.act = nn.ReLU(inplace=True)

    def branch(self, x: Tensor) -> Tensor:
        """F(x)."""
        for name in self.path:
            x = getattr(self, name)(x)
        return x

    def skip(self, x: Tensor) -> Tensor:
        """The shortcut: x itself, or its projection."""
        return x if self.downsample is None else self.downsample(x)

    def forward(self, x: Tensor) -> Tensor:
        """The sum of both paths, rectified."""
        return self.act(self.branch(x) + self.skip(x))


class ZeroPad(nn.Module):
    """Option A: every ``stride``-th pixel, and zeros for the channels that are missing; no parameter.

    (N, c_in, H, W) -> (N, c_out, H / stride, W / stride) (He et al. 2015, sec. 3.3).
    """

    def __init__(self, c_in: int, c_out: int, stride: int) -> None:
        super().__init__()
        if c_out < c_in:
            raise ValueError(
                f"c_out={c_out}: zeros can only be added to the {c_in} channels; take a projection"
            )
        self.more, self.stride = c_out - c_in, stride

    def forward(self, x: Tensor) -> Tensor:
        """Thin out and fill up."""
        return F.pad(x[..., :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.more))


class Parallel(nn.Module):
    """y = [F1(x), ..., Fn(x)]: paths side by side, their maps stacked (Szegedy et al. 2014, Fig. 2b).

    (N, C, H, W) -> (N, sum of the paths' channels, H', W').
    """

    def __init__(self, **paths: nn.Module) -> None:
        super().__init__()
        for name, path in paths.items():
            self.add_module(name, path)

    def forward(self, x: Tensor) -> Tensor:
        """Ask each path, stack the answers."""
        return torch.cat([path(x) for path in self.children()], 1)


def conv_bn_relu(c_in: int, c_out: int, kernel: Kernel, stride: int = 1, pad: Kernel = 0) -> nn.Sequential:
    """Convolution without bias, batch normalisation, ReLU (Ioffe and Szegedy 2015, sec. 3.2).

    (N, c_in, H, W) -> (N, c_out, H', W').
    """
    return chain(
        conv=nn.Conv2d(c_in, c_out, kernel, stride, pad, bias=False),
        bn=nn.BatchNorm2d(c_out, eps=0.001),  # as in Google's own networks; PyTorch's default is 0.00001
        relu=nn.ReLU(inplace=True),
    )


class WithAuxiliaryHeads(nn.Module):
    """Layers in order, with auxiliary classifiers on the way that push gradient into the middle of the network.

    ``heads``: name of a layer -> name of the head that reads its output (Szegedy et al. 2014, sec. 5). In
    training the answer is ``outputs`` of the logits and those of the heads, the deepest first; in evaluation the
    heads do not run, and the answer is the logits.
    """

    def __init__(self, layers: Layers, heads: dict[str, str], outputs: Callable[..., tuple]) -> None:
        super().__init__()
        self.heads, self.outputs = heads, outputs
        for name, layer in layers.items():
            self.add_module(name, layer)

    def forward(self, x: Tensor) -> Tensor | tuple:
        """Down the main path; in training, into each head that is passed."""
        auxiliary: list[Tensor] = []
        for name, layer in self.named_children():
            if name in self.heads.values():
                continue
            x = layer(x)
            if self.training and name in self.heads:
                auxiliary.insert(0, getattr(self, self.heads[name])(x))
        return self.outputs(x, *auxiliary) if self.training else x


def auxiliary_loss(answer: Tensor | tuple[Tensor, ...], y: Tensor, weight: float = 0.3) -> Tensor:
    """Cross-entropy of the logits, and ``weight`` times that of each auxiliary head (Szegedy et al. 2014, sec. 5).

    ``answer``: what a network says in training, the logits (N, classes) alone or followed by those of its heads;
    ``y``: class numbers (N,).
    """
    logits, *heads = answer if isinstance(answer, tuple) else (answer,)
    return F.cross_entropy(logits, y) + weight * sum(F.cross_entropy(head, y) for head in heads)


def blocks_per_stage(depth: int, factor: int, offset: int) -> int:
    """The n of ``depth`` = ``factor`` n + ``offset``, as papers give the depth of a network of n blocks a stage.

    Raises ``ValueError`` if there is no such whole n >= 1.
    """
    n, rest = divmod(depth - offset, factor)
    if rest or n < 1 or not isinstance(depth, int):
        below = int(max(n, 1)) * factor + offset
        raise ValueError(f"depth={depth}: need {factor}n + {offset}, such as {below} or {below + factor}")
    return n
