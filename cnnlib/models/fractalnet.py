"""FractalNet: as deep as ResNets without a shortcut; a rule that applies itself makes long and short paths.

Larsson, Maire, Shakhnarovich: FractalNet: ultra-deep neural networks without residuals. 2016.
https://arxiv.org/abs/1605.07648
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor, nn

from cnnlib.models.init import he_normal
from cnnlib.models.layers import chain, conv
from cnnlib.models.network import CIFAR, DIGIT, Entry


class DropPath(nn.Module):
    """Decides at the start of each training step which columns live (sec. 3, drop-path); in evaluation all do.

    Half of the steps are *global*: one column, the same at every join of the network. The other half are
    *local*: each join drops each of its inputs with probability ``rate``, but never all. It stands at the head
    of the network, where it passes the images on, and every join asks it.
    """

    def __init__(self, columns: int, rate: float = 0.15, p_global: float = 0.5) -> None:
        super().__init__()
        self.columns, self.rate, self.p_global = columns, rate, p_global
        self.column: int | None = None  # of a global step; 0 is the shortest

    def forward(self, x: Tensor) -> Tensor:
        """Draw for one step; any shape, kept."""
        self.column = None
        if self.training and torch.rand((), device="cpu").item() < self.p_global:
            self.column = torch.randint(self.columns, (), device="cpu").item()
        return x

    def survivors(self, n: int) -> list[int]:
        """Which of the ``n`` deepest columns, those that meet at one join, are not dropped."""
        if not self.training:
            return list(range(n))
        if self.column is not None:
            index = self.column - (self.columns - n)
            # A join that this column does not run through feeds only columns that a later join drops.
            return [index] if index >= 0 else list(range(n))
        alive = (torch.rand(n, device="cpu") >= self.rate).nonzero().flatten().tolist()
        return alive or [torch.randint(n, (), device="cpu").item()]

    def extra_repr(self) -> str:
        """The settings, as ``print(net)`` shows them."""
        return f"columns={self.columns}, rate={self.rate}, p_global={self.p_global}"


def join(columns: Sequence[Tensor], drop: DropPath) -> Tensor:
    """The mean of the columns that live: shapes equal, kept."""
    alive = [columns[i] for i in drop.survivors(len(columns))]
    return sum(alive) / len(alive) if len(alive) > 1 else alive[0]


class Fractal(nn.Module):
    """f_1 = conv; f_C+1(z) = [f_C f_C](z) join conv(z) (sec. 3, Fig. 1).

    (N, c_in, H, W) -> ``columns`` maps of (N, c_out, H, W), the shortest column first. Whoever calls joins them,
    since the joins of nested fractals fall together into one mean.
    """

    def __init__(self, c_in: int, c_out: int, columns: int, drop: DropPath) -> None:
        super().__init__()
        self.conv = nn.Sequential(conv(c_in, c_out, 3), nn.BatchNorm2d(c_out), nn.ReLU(inplace=True))
        self.drop = drop
        self.first = self.second = None
        if columns > 1:
            self.first = Fractal(c_in, c_out, columns - 1, drop)
            self.second = Fractal(c_out, c_out, columns - 1, drop)

    def forward(self, z: Tensor) -> list[Tensor]:
        """The output of each column."""
        if self.first is None:
            return [self.conv(z)]
        return [self.conv(z), *self.second(join(self.first(z), self.drop))]

    def column(self, i: int) -> list[nn.Module]:
        """The layers of column ``i`` alone."""
        return [self.conv] if i == 0 else self.first.column(i - 1) + self.second.column(i - 1)


class Block(nn.Module):
    """A fractal, its columns joined: (N, c_in, H, W) -> (N, c_out, H, W)."""

    def __init__(self, c_in: int, c_out: int, columns: int, drop: DropPath) -> None:
        super().__init__()
        self.fractal, self.drop = Fractal(c_in, c_out, columns, drop), drop

    def forward(self, x: Tensor) -> Tensor:
        """The mean of the columns."""
        return join(self.fractal(x), self.drop)


def fractalnet(
    columns: int, widths: tuple[int, ...], num_classes: int = 10, in_channels: int = 3
) -> nn.Sequential:
    """(N, in_channels, H, W) -> (N, num_classes) logits; each block is 2^(``columns`` - 1) convolutions deep.

    A pool behind each block halves the map, so that 2^B pixels a side suit B blocks.
    """
    if columns < 1:
        raise ValueError(f"columns={columns}: need at least 1; a block is 2^(columns - 1) convolutions deep")
    drop, layers, c_in = DropPath(columns), {}, in_channels
    for i, width in enumerate(widths, 1):
        layers[f"block{i}"], layers[f"pool{i}"] = Block(c_in, width, columns, drop), nn.MaxPool2d(2)
        c_in = width
    head = dict(avgpool=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten(), fc=nn.Linear(c_in, num_classes))
    return he_normal(chain(drop_path=drop, **layers, **head))


def column(net: nn.Sequential, i: int) -> nn.Sequential:
    """Column ``i`` of a FractalNet as a plain network that shares its weights; -1 is the deepest.

    Trained inside the fractal, the deepest column alone is nearly as good as the whole (Table 1).
    """
    columns = net.drop_path.columns
    if not -columns <= i < columns:
        raise ValueError(f"i={i}: this network has columns 0 to {columns - 1}, the deepest last")
    layers = dict(net.named_children())
    del layers["drop_path"]
    for name, layer in layers.items():
        if isinstance(layer, Block):
            layers[name] = nn.Sequential(*layer.fractal.column(i % columns))
    return chain(**layers)


def thin(num_classes: int = 100, in_channels: int = 3) -> nn.Sequential:
    """FractalNet-40 of the depth study (Table 3), on CIFAR-100: (N, in_channels, 32, 32) -> logits."""
    return fractalnet(4, (16, 32, 64, 128, 128), num_classes, in_channels)


def small(num_classes: int = 10, in_channels: int = 1) -> nn.Sequential:
    """Sixteen convolutions deep, 0.27 M parameters: (N, in_channels, 28, 28) -> (N, num_classes) logits."""
    return fractalnet(3, (8, 16, 32, 64), num_classes, in_channels)


NETWORKS = {
    "fractalnet20": Entry(partial(fractalnet, 3, (64, 128, 256, 512, 512)), CIFAR, 32),
    "fractalnet40": Entry(thin, CIFAR, 32),
    "fractalnet_small": Entry(small, DIGIT, 16),
}
