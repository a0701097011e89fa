"""DenseNet: every layer reads all maps made before it.

Huang, Liu, van der Maaten, Weinberger: Densely connected convolutional networks. 2016.
https://arxiv.org/abs/1608.06993
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from cnnlib.models.layers import Layers, blocks_per_stage, chain, conv
from cnnlib.models.network import CIFAR, DIGIT, IMAGENET, Entry


class DenseLayer(nn.Module):
    """``growth`` new maps from all before: [(N, c_0, H, W), (N, growth, H, W), …] -> (N, growth, H, W).

    BN, ReLU, 3 x 3; with a ``bottleneck``, a 1 x 1 to 4 ``growth`` channels before that (sec. 3, DenseNet-B).

    ``efficient``: the joined maps and their normalisation are not kept for the backward pass but made again, so
    that memory grows with the depth of a block and not with its square. The gradients are the same.
    Pleiss, Chen, Huang, Li, van der Maaten, Weinberger 2017, https://arxiv.org/abs/1707.06990
    """

    def __init__(self, c_in: int, growth: int, bottleneck: bool, efficient: bool) -> None:
        super().__init__()
        first, kernel = (4 * growth, 1) if bottleneck else (growth, 3)
        self.norm1, self.relu1 = nn.BatchNorm2d(c_in), nn.ReLU(inplace=True)
        self.conv1 = conv(c_in, first, kernel)
        if bottleneck:
            self.norm2, self.relu2 = nn.BatchNorm2d(first), nn.ReLU(inplace=True)
            self.conv2 = conv(first, growth, 3)
        self.bottleneck, self.efficient = bottleneck, efficient

    def read(self, *maps: Tensor) -> Tensor:
        """The first convolution, over everything that came before."""
        return self.conv1(self.relu1(self.norm1(torch.cat(maps, 1))))

    def forward(self, maps: list[Tensor]) -> Tensor:
        """The new maps."""
        if self.efficient and self.training and torch.is_grad_enabled():
            y = checkpoint(self.read, *maps, use_reentrant=False, context_fn=self._twice)
        else:
            y = self.read(*maps)
        return self.conv2(self.relu2(self.norm2(y))) if self.bottleneck else y

    def _twice(self) -> tuple[AbstractContextManager, AbstractContextManager]:
        return nullcontext(), _statistics_kept(self.norm1)


@contextmanager
def _statistics_kept(norm: nn.BatchNorm2d) -> Iterator[None]:
    """Within, ``norm`` does not count the batch a second time."""
    momentum, counted = norm.momentum, norm.num_batches_tracked.clone()
    norm.momentum = 0.0
    try:
        yield
    finally:
        norm.momentum = momentum
        norm.num_batches_tracked.copy_(counted)


class DenseBlock(nn.ModuleDict):
    """(N, c_in, H, W) -> (N, c_in + layers x growth, H, W): what came in, and what each layer added."""

    def forward(self, x: Tensor) -> Tensor:
        """Layer by layer, each with all maps so far."""
        maps = [x]
        for layer in self.values():
            maps.append(layer(maps))
        return torch.cat(maps, 1)


def transition(c_in: int, c_out: int) -> nn.Sequential:
    """Between two blocks: (N, c_in, H, W) -> (N, c_out, H / 2, W / 2)."""
    return chain(
        norm=nn.BatchNorm2d(c_in), relu=nn.ReLU(inplace=True), conv=conv(c_in, c_out, 1), pool=nn.AvgPool2d(2, 2)
    )  # fmt: skip


class Plan(NamedTuple):
    """One column of Table 1: maps that a layer adds, layers in each block, channels of the stem."""

    growth: int
    depths: tuple[int, ...]
    stem: int
    compressed: bool = True  # DenseNet-BC: bottlenecks, and transitions that halve the channels


def densenet(plan: Plan, stem: Layers, num_classes: int, efficient: bool) -> nn.Sequential:
    """Stem, blocks with transitions between them, head: (N, C, H, W) -> (N, num_classes) logits."""
    layers, width = dict(stem), plan.stem
    for i, depth in enumerate(plan.depths, 1):
        block = DenseBlock()
        for j in range(1, depth + 1):
            block[f"denselayer{j}"] = DenseLayer(width, plan.growth, plan.compressed, efficient)
            width += plan.growth
        layers[f"denseblock{i}"] = block
        if i < len(plan.depths):
            fewer = width // 2 if plan.compressed else width
            layers[f"transition{i}"], width = transition(width, fewer), fewer
    layers[f"norm{len(plan.depths) + 1}"] = nn.BatchNorm2d(width)
    net = chain(
        features=chain(**layers), relu=nn.ReLU(inplace=True), avgpool=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten(),
        classifier=nn.Linear(width, num_classes),
    )  # fmt: skip
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight)
    nn.init.zeros_(net.classifier.bias)
    return net


def imagenet(
    plan: Plan, num_classes: int = 1000, in_channels: int = 3, *, efficient: bool = False
) -> nn.Sequential:
    """(N, in_channels, H, W) -> (N, num_classes) logits. Keys of the state dict are torchvision's."""
    stem = dict(
        conv0=nn.Conv2d(in_channels, plan.stem, 7, 2, 3, bias=False), norm0=nn.BatchNorm2d(plan.stem),
        relu0=nn.ReLU(inplace=True), pool0=nn.MaxPool2d(3, 2, 1),
    )  # fmt: skip
    return densenet(plan, stem, num_classes, efficient)


def cifar(
    plan: Plan, num_classes: int = 10, in_channels: int = 3, *, efficient: bool = False
) -> nn.Sequential:
    """The form for small images (sec. 3): (N, in_channels, H, W) -> (N, num_classes) logits."""
    return densenet(plan, dict(conv0=conv(in_channels, plan.stem, 3)), num_classes, efficient)


def plain_plan(depth: int, growth: int) -> Plan:
    """Three equal blocks behind a stem of 16 channels; ``depth`` is 3n + 4."""
    n = blocks_per_stage(depth, 3, 4)
    return Plan(growth, (n, n, n), stem=16, compressed=False)


def compressed_plan(depth: int, growth: int) -> Plan:
    """DenseNet-BC: two convolutions a layer, a stem of twice the growth; ``depth`` is 6n + 4."""
    n = blocks_per_stage(depth, 6, 4)
    return Plan(growth, (n, n, n), stem=2 * growth)


PLANS = {
    "densenet121": Plan(32, (6, 12, 24, 16), stem=64),
    "densenet161": Plan(48, (6, 12, 36, 24), stem=96),
    "densenet169": Plan(32, (6, 12, 32, 32), stem=64),
    "densenet201": Plan(32, (6, 12, 48, 32), stem=64),
}
CIFAR_PLANS = {
    **{f"densenet_{d}_{k}": plain_plan(d, k) for d, k in ((40, 12), (100, 12), (100, 24))},
    **{f"densenet_bc_{d}_{k}": compressed_plan(d, k) for d, k in ((100, 12), (250, 24), (190, 40))},
}


def small(num_classes: int = 10, in_channels: int = 1, *, efficient: bool = False) -> nn.Sequential:
    """DenseNet-BC in four blocks, 0.24 M parameters: (N, in_channels, 28, 28) -> (N, num_classes) logits."""
    return cifar(Plan(12, (2, 4, 8, 10), stem=24), num_classes, in_channels, efficient=efficient)


NETWORKS = {
    **{name: Entry(partial(imagenet, plan), IMAGENET, 29) for name, plan in PLANS.items()},
    **{name: Entry(partial(cifar, plan), CIFAR, 4) for name, plan in CIFAR_PLANS.items()},
    "densenet_small": Entry(small, DIGIT, 8),
}
