"""GoogLeNet: windows of several sizes side by side, and cheap 1 x 1 convolutions that make room for them.

Szegedy, Liu, Jia, Sermanet, Reed, Anguelov, Erhan, Vanhoucke, Rabinovich: Going deeper with convolutions. 2014.
https://arxiv.org/abs/1409.4842
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

from torch import Tensor, nn

from cnnlib.models.layers import (
    Kernel,
    Layers,
    LocalResponseNorm,
    Parallel,
    WithAuxiliaryHeads,
    chain,
    conv_bn_relu,
)
from cnnlib.models.network import DIGIT, IMAGENET, Entry


class Row(NamedTuple):
    """One inception row of Table 1: channels of each convolution in the block."""

    c1: int  # 1 x 1
    reduce3: int  # 1 x 1 in front of the 3 x 3
    c3: int
    reduce5: int  # 1 x 1 in front of the 5 x 5
    c5: int
    pool: int  # 1 x 1 behind the pool

    @property
    def out(self) -> int:
        """Channels of the four paths together."""
        return self.c1 + self.c3 + self.c5 + self.pool


Table = dict[str, dict[str, Row]]  # stage -> block -> row; a pool stands between stages
TABLE_1: Table = {
    "3": {
        "a": Row(64, 96, 128, 16, 32, 32),
        "b": Row(128, 128, 192, 32, 96, 64),
    },
    "4": {
        "a": Row(192, 96, 208, 16, 48, 64),
        "b": Row(160, 112, 224, 24, 64, 64),
        "c": Row(128, 128, 256, 24, 64, 64),
        "d": Row(112, 144, 288, 32, 64, 64),
        "e": Row(256, 160, 320, 32, 128, 128),
    },
    "5": {
        "a": Row(256, 160, 320, 32, 128, 128),
        "b": Row(384, 192, 384, 48, 128, 128),
    },
}
SMALL_TABLE: Table = {
    "3": {"a": Row(32, 32, 48, 8, 16, 16), "b": Row(40, 40, 56, 8, 24, 24)},
    "4": {"a": Row(56, 56, 80, 12, 32, 32), "b": Row(72, 60, 104, 16, 40, 40)},
}


def conv_relu(c_in: int, c_out: int, kernel: Kernel, stride: int = 1, pad: Kernel = 0) -> nn.Sequential:
    """Convolution with bias, ReLU: the paper's, a year before batch normalisation."""
    return chain(conv=nn.Conv2d(c_in, c_out, kernel, stride, pad), relu=nn.ReLU(inplace=True))


@dataclass(frozen=True)
class Form:
    """What the network of the paper and the one with public weights do differently."""

    conv: Callable[..., nn.Sequential]  # (c_in, c_out, kernel, stride, pad)
    large: int  # window of the path that the paper calls 5 x 5
    lrn: bool  # response normalisation around the second convolution
    last_pool: int  # window of the pool in front of stage 5
    head_pool: Callable[[], nn.Module]  # to 4 x 4 in an auxiliary head
    dropout: float


PAPER = Form(conv_relu, 5, True, 3, lambda: nn.AvgPool2d(5, 3), 0.4)
PUBLIC = Form(conv_bn_relu, 3, False, 2, lambda: nn.AdaptiveAvgPool2d(4), 0.2)


def inception(c_in: int, row: Row, form: Form) -> Parallel:
    """Four paths side by side (Fig. 2b): (N, c_in, H, W) -> (N, row.out, H, W)."""
    conv, large = form.conv, form.large
    return Parallel(
        branch1=conv(c_in, row.c1, 1),
        branch2=nn.Sequential(conv(c_in, row.reduce3, 1), conv(row.reduce3, row.c3, 3, pad=1)),
        branch3=nn.Sequential(conv(c_in, row.reduce5, 1), conv(row.reduce5, row.c5, large, pad=large // 2)),
        branch4=nn.Sequential(nn.MaxPool2d(3, 1, padding=1), conv(c_in, row.pool, 1)),
    )


def naive(c_in: int, c1: int, c3: int, c5: int, form: Form) -> Parallel:
    """The module without 1 x 1 in front (Fig. 2a): (N, c_in, H, W) -> (N, c1 + c3 + c5 + c_in, H, W)."""
    conv, large = form.conv, form.large
    return Parallel(
        branch1=conv(c_in, c1, 1),
        branch2=conv(c_in, c3, 3, pad=1),
        branch3=conv(c_in, c5, large, pad=large // 2),
        branch4=nn.MaxPool2d(3, 1, padding=1),
    )


def stages(table: Table, c_in: int, form: Form) -> tuple[Layers, int]:
    """The inception rows of a table with the pools between them, and the channels that leave the last."""
    layers: Layers = {}
    for stage, rows in table.items():
        if layers:
            window = form.last_pool if stage == "5" else 3
            layers[f"maxpool{int(stage) - 1}"] = nn.MaxPool2d(window, 2, ceil_mode=True)
        for letter, row in rows.items():
            layers[f"inception{stage}{letter}"] = inception(c_in, row, form)
            c_in = row.out
    return layers, c_in


def head(c_in: int, num_classes: int, form: Form) -> nn.Sequential:
    """An auxiliary classifier (sec. 5): (N, c_in, 14, 14) -> (N, num_classes) logits."""
    return chain(
        pool=form.head_pool(), conv=form.conv(c_in, 128, 1), flatten=nn.Flatten(),
        fc1=nn.Linear(2048, 1024), relu=nn.ReLU(inplace=True), dropout=nn.Dropout(0.7),
        fc2=nn.Linear(1024, num_classes),
    )  # fmt: skip


class Outputs(NamedTuple):
    """What the network answers in training; the paper adds the losses of both heads, each times 0.3."""

    logits: Tensor
    aux2: Tensor  # behind block 4d
    aux1: Tensor  # behind block 4a


def assemble(form: Form, num_classes: int, in_channels: int, aux: bool) -> nn.Module:
    """Table 1 from top to bottom."""
    if not isinstance(aux, bool):
        raise ValueError(f"aux={aux!r}: need True or False")
    conv = form.conv
    norm1, norm2 = ({f"norm{i}": LocalResponseNorm()} if form.lrn else {} for i in (1, 2))
    stem = (
        dict(conv1=conv(in_channels, 64, 7, 2, 3), maxpool1=nn.MaxPool2d(3, 2, ceil_mode=True))
        | norm1
        | dict(conv2=conv(64, 64, 1), conv3=conv(64, 192, 3, pad=1))
        | norm2
        | dict(maxpool2=nn.MaxPool2d(3, 2, ceil_mode=True))
    )
    blocks, width = stages(TABLE_1, 192, form)
    heads = dict(aux1=head(512, num_classes, form), aux2=head(528, num_classes, form)) if aux else {}
    end = dict(
        avgpool=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten(), dropout=nn.Dropout(form.dropout),
        fc=nn.Linear(width, num_classes),
    )  # fmt: skip
    layers = stem | blocks | heads | end
    if not aux:
        return chain(**layers)
    return WithAuxiliaryHeads(layers, {"inception4a": "aux1", "inception4d": "aux2"}, Outputs)


def googlenet(num_classes: int = 1000, in_channels: int = 3, aux: bool = False) -> nn.Module:
    """The public form, 6,624,904 parameters: (N, in_channels, H, W) -> (N, num_classes) logits; H, W >= 15.

    Batch normalisation for biases, 3 x 3 where the paper has 5 x 5: torchvision's, whose keys it has. ``aux``: two
    more classifiers; in training mode the answer is then ``Outputs``.
    """
    return assemble(PUBLIC, num_classes, in_channels, aux)


def googlenet_2014(num_classes: int = 1000, in_channels: int = 3, aux: bool = False) -> nn.Module:
    """The paper's form, 6,998,552 parameters: (N, in_channels, H, W) -> (N, num_classes) logits; H, W >= 31.

    ``aux``: two more classifiers, for images of 224 pixels, 13,378,280 parameters in all; in training mode the
    answer is then ``Outputs``. The paper prints neither constants of its normalisation nor how weights start: the
    former are AlexNet's, the latter uniform with variance 1 / fan-in, biases 0.2, as in Caffe's replica.
    """
    net = assemble(PAPER, num_classes, in_channels, aux)
    for name, module in net.named_modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_uniform_(module.weight, nonlinearity="linear")
            nn.init.constant_(module.bias, 0 if name.endswith(("fc", "fc2")) else 0.2)
    return net


def small(num_classes: int = 10, in_channels: int = 1) -> nn.Sequential:
    """Four blocks in two stages, true 5 x 5, 0.25 M parameters: (N, in_channels, 28, 28) -> (N, num_classes)."""
    form = replace(PUBLIC, large=5)
    blocks, width = stages(SMALL_TABLE, 32, form)
    return chain(
        conv1=form.conv(in_channels, 32, 3, pad=1),
        maxpool2=nn.MaxPool2d(3, 2, ceil_mode=True),
        **blocks,
        avgpool=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten(), dropout=nn.Dropout(form.dropout),
        fc=nn.Linear(width, num_classes),
    )  # fmt: skip


TWIN = (Row(16, 16, 32, 8, 16, 16), Row(24, 20, 48, 8, 24, 24))  # modules at 14 and at 7 pixels
WIDTH = 64  # channels that the first of them reads


def in_twin(first: nn.Module, second: nn.Module, out: int = TWIN[1].out) -> nn.Sequential:
    """Two modules between a short stem and a short end: (N, 1, 28, 28) -> (N, 10) logits."""
    return chain(
        conv1=conv_bn_relu(1, WIDTH, 3, 2, 1), module1=first, maxpool=nn.MaxPool2d(2, 2), module2=second,
        avgpool=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten(), fc=nn.Linear(out, 10),
    )  # fmt: skip


def twin(share: float | None = None) -> nn.Sequential:
    """Two modules in a small network, (N, 1, 28, 28) -> (N, 10) logits, to see what 1 x 1 layers do.

    With 1 x 1 in front of the large windows; or, with a ``share``, naive modules of that share of the channels.
    """
    form, (first, second) = replace(PUBLIC, large=5), TWIN
    if share is None:
        return in_twin(inception(WIDTH, first, form), inception(first.out, second, form), second.out)
    wide = [[round(share * c) for c in (row.c1, row.c3, row.c5)] for row in TWIN]
    middle = WIDTH + sum(wide[0])
    return in_twin(naive(WIDTH, *wide[0], form), naive(middle, *wide[1], form), middle + sum(wide[1]))


def twin_unreduced() -> nn.Sequential:
    """As ``twin``, but its 1 x 1 layers in front of the large windows put out as many channels as they read."""
    form, (first, second) = replace(PUBLIC, large=5), TWIN
    first = first._replace(reduce3=WIDTH, reduce5=WIDTH)
    second = second._replace(reduce3=first.out, reduce5=first.out)
    return in_twin(inception(WIDTH, first, form), inception(first.out, second, form), second.out)


NETWORKS = {
    "googlenet": Entry(googlenet, IMAGENET, 15),
    "googlenet_2014": Entry(googlenet_2014, IMAGENET, 31),
    "googlenet_small": Entry(small, DIGIT, 4),
}
