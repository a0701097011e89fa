"""Inception-v3: large windows factorised into small ones, square ones into a row and a column.

Szegedy, Vanhoucke, Ioffe, Shlens, Wojna: Rethinking the inception architecture for computer vision. 2015.
https://arxiv.org/abs/1512.00567
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from cnnlib.models.layers import Kernel, Layers, WithAuxiliaryHeads, chain, conv_bn_relu
from cnnlib.models.network import DIGIT, Entry

IMAGE = (3, 299, 299)
ROW, COLUMN = (1, 7), (7, 1)  # a 7 x 7 window in two steps


def same(c_in: int, c_out: int, kernel: Kernel) -> nn.Sequential:
    """Convolution, norm, ReLU, the size kept. Those that shrink their map are ``conv_bn_relu`` without padding."""
    pad = kernel // 2 if isinstance(kernel, int) else (kernel[0] // 2, kernel[1] // 2)
    return conv_bn_relu(c_in, c_out, kernel, pad=pad)


class Paths(nn.Module):
    """y = [F1(x), ..., Fn(x)] like ``Parallel``, but each path a dict of layers that stand side by side here.

    (N, C, H, W) -> (N, sum of the paths' channels, H', W').
    """

    def __init__(self, *paths: Layers) -> None:
        super().__init__()
        self.paths = [tuple(path) for path in paths]
        for name, layer in (item for path in paths for item in path.items()):
            self.add_module(name, layer)

    def follow(self, names: tuple[str, ...], x: Tensor) -> Tensor:
        """Down one path."""
        for name in names:
            x = getattr(self, name)(x)
        return x

    def forward(self, x: Tensor) -> Tensor:
        """Down each path, stack the answers."""
        return torch.cat([self.follow(names, x) for names in self.paths], 1)


# The blocks of the paper. ``thin`` divides all widths of one, for the small network.


def mean_path(c_in: int, c_out: int) -> Layers:
    """A mean of 3 x 3 and a 1 x 1 convolution."""
    return dict(pool=nn.AvgPool2d(3, 1, padding=1), branch_pool=same(c_in, c_out, 1))


def block_a(c_in: int, pooled: int, thin: int = 1) -> Paths:
    """35 x 35 maps: a 5 x 5 window and, in place of another, two 3 x 3 (Fig. 5)."""
    w48, w64, w96 = 48 // thin, 64 // thin, 96 // thin
    return Paths(
        dict(branch1x1=same(c_in, w64, 1)),
        dict(branch5x5_1=same(c_in, w48, 1), branch5x5_2=same(w48, w64, 5)),
        dict(
            branch3x3dbl_1=same(c_in, w64, 1),
            branch3x3dbl_2=same(w64, w96, 3),
            branch3x3dbl_3=same(w96, w96, 3),
        ),
        mean_path(c_in, pooled),
    )


def reduce_a(c_in: int, thin: int = 1) -> Paths:
    """35 x 35 -> 17 x 17: convolutions and a pool share the work, so that nothing is squeezed first (Fig. 10)."""
    w64, w96, w384 = 64 // thin, 96 // thin, 384 // thin
    return Paths(
        dict(branch3x3=conv_bn_relu(c_in, w384, 3, 2)),
        dict(
            branch3x3dbl_1=same(c_in, w64, 1),
            branch3x3dbl_2=same(w64, w96, 3),
            branch3x3dbl_3=conv_bn_relu(w96, w96, 3, 2),
        ),
        dict(pool=nn.MaxPool2d(3, 2)),
    )


def block_b(c_in: int, c7: int, thin: int = 1) -> Paths:
    """17 x 17 maps: 7 x 7 windows as rows and columns (Fig. 6 with n = 7)."""
    w192 = 192 // thin
    return Paths(
        dict(branch1x1=same(c_in, w192, 1)),
        dict(
            branch7x7_1=same(c_in, c7, 1), branch7x7_2=same(c7, c7, ROW), branch7x7_3=same(c7, w192, COLUMN)
        ),
        dict(
            branch7x7dbl_1=same(c_in, c7, 1),
            branch7x7dbl_2=same(c7, c7, COLUMN),
            branch7x7dbl_3=same(c7, c7, ROW),
            branch7x7dbl_4=same(c7, c7, COLUMN),
            branch7x7dbl_5=same(c7, w192, ROW),
        ),
        mean_path(c_in, w192),
    )


def reduce_b(c_in: int, thin: int = 1) -> Paths:
    """17 x 17 -> 8 x 8."""
    w192, w320 = 192 // thin, 320 // thin
    return Paths(
        dict(branch3x3_1=same(c_in, w192, 1), branch3x3_2=conv_bn_relu(w192, w320, 3, 2)),
        dict(
            branch7x7x3_1=same(c_in, w192, 1),
            branch7x7x3_2=same(w192, w192, ROW),
            branch7x7x3_3=same(w192, w192, COLUMN),
            branch7x7x3_4=conv_bn_relu(w192, w192, 3, 2),
        ),
        dict(pool=nn.MaxPool2d(3, 2)),
    )


class BlockC(nn.Module):
    """8 x 8 maps: a row and a column side by side, so that the filter bank grows wide, not deep (Fig. 7).

    (N, c_in, H, W) -> (N, 2048 / thin, H, W).
    """

    def __init__(self, c_in: int, thin: int = 1) -> None:
        super().__init__()
        w192, w320, w384, w448 = 192 // thin, 320 // thin, 384 // thin, 448 // thin
        self.branch1x1 = same(c_in, w320, 1)
        self.branch3x3_1 = same(c_in, w384, 1)
        self.branch3x3_2a = same(w384, w384, (1, 3))
        self.branch3x3_2b = same(w384, w384, (3, 1))
        self.branch3x3dbl_1 = same(c_in, w448, 1)
        self.branch3x3dbl_2 = same(w448, w384, 3)
        self.branch3x3dbl_3a = same(w384, w384, (1, 3))
        self.branch3x3dbl_3b = same(w384, w384, (3, 1))
        self.pool = nn.AvgPool2d(3, 1, padding=1)
        self.branch_pool = same(c_in, w192, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Six answers, stacked."""
        y = self.branch3x3_1(x)
        z = self.branch3x3dbl_2(self.branch3x3dbl_1(x))
        return torch.cat(
            [
                self.branch1x1(x),
                self.branch3x3_2a(y),
                self.branch3x3_2b(y),
                self.branch3x3dbl_3a(z),
                self.branch3x3dbl_3b(z),
                self.branch_pool(self.pool(x)),
            ],
            1,
        )


def head(c_in: int, num_classes: int) -> nn.Sequential:
    """The auxiliary classifier behind the 17 x 17 maps (Fig. 8): (N, c_in, 17, 17) -> (N, num_classes)."""
    return chain(
        pool=nn.AvgPool2d(5, 3), conv0=same(c_in, 128, 1), conv1=conv_bn_relu(128, 768, 5),
        avgpool=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten(), fc=nn.Linear(768, num_classes),
    )  # fmt: skip


class Outputs(NamedTuple):
    """What the network answers in training."""

    logits: Tensor
    aux: Tensor


def inception_v3(num_classes: int = 1000, in_channels: int = 3, aux: bool = False) -> nn.Module:
    """Table 1, 23.8 M parameters: (N, in_channels, H, W) -> (N, num_classes) logits; H, W >= 75, made for 299.

    Keys of the state dict are torchvision's. ``aux``: one more classifier; in training mode the answer is then
    ``Outputs``.
    """
    if not isinstance(aux, bool):
        raise ValueError(f"aux={aux!r}: need True or False")
    front = dict(
        Conv2d_1a_3x3=conv_bn_relu(in_channels, 32, 3, 2), Conv2d_2a_3x3=conv_bn_relu(32, 32, 3),
        Conv2d_2b_3x3=same(32, 64, 3), maxpool1=nn.MaxPool2d(3, 2),
        Conv2d_3b_1x1=same(64, 80, 1), Conv2d_4a_3x3=conv_bn_relu(80, 192, 3), maxpool2=nn.MaxPool2d(3, 2),
        Mixed_5b=block_a(192, 32), Mixed_5c=block_a(256, 64), Mixed_5d=block_a(288, 64),
        Mixed_6a=reduce_a(288),
        Mixed_6b=block_b(768, 128), Mixed_6c=block_b(768, 160), Mixed_6d=block_b(768, 160),
        Mixed_6e=block_b(768, 192),
    )  # fmt: skip
    back = dict(
        Mixed_7a=reduce_b(768), Mixed_7b=BlockC(1280), Mixed_7c=BlockC(2048),
        avgpool=nn.AdaptiveAvgPool2d(1), dropout=nn.Dropout(), flatten=nn.Flatten(),
        fc=nn.Linear(2048, num_classes),
    )  # fmt: skip
    if not aux:
        return chain(**front, **back)
    layers = front | dict(AuxLogits=head(768, num_classes)) | back
    return WithAuxiliaryHeads(layers, {"Mixed_6e": "AuxLogits"}, Outputs)


def small(num_classes: int = 10, in_channels: int = 1) -> nn.Sequential:
    """Seven blocks with an eighth of the widths, 0.24 M parameters: (N, in_channels, 28, 28) -> (N, num_classes).

    Maps of 28, 13 and 6 pixels a side; rows and columns of 7 stand at 13, within the 12 to 20 that the paper found
    good for them (sec. 3.2).
    """
    return chain(
        Conv2d_1a_3x3=same(in_channels, 24, 3),
        Mixed_5b=block_a(24, 8, 8), Mixed_5c=block_a(36, 8, 8), Mixed_6a=reduce_a(36, 8),
        Mixed_6b=block_b(96, 24, 8), Mixed_6c=block_b(96, 24, 8), Mixed_6d=block_b(96, 24, 8),
        Mixed_7a=reduce_b(96, 8), Mixed_7b=BlockC(160, 8),
        avgpool=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten(), dropout=nn.Dropout(0.2),
        fc=nn.Linear(256, num_classes),
    )  # fmt: skip


NETWORKS = {"inception_v3": Entry(inception_v3, IMAGE, 75), "inception_small": Entry(small, DIGIT, 7)}
