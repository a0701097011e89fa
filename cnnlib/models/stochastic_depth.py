"""Stochastic depth: a ResNet whose blocks are left out by chance while it trains.

Huang, Sun, Liu, Sedra, Weinberger: Deep networks with stochastic depth. 2016. https://arxiv.org/abs/1603.09382
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from cnnlib.models.layers import Residual
from cnnlib.models.network import CIFAR, DIGIT, Entry
from cnnlib.models.resnet import SMALL_DEPTHS, SMALL_WIDTHS, Plan, basic, cifar, option_a, three_stages

SurvivalRule = Callable[[int, int], float]  # (block, number of blocks) -> probability that it survives a step


def linear_decay(block: int, blocks: int, last: float = 0.5) -> float:
    """p falls in equal steps from 1 at the image to ``last`` at the last block (eq. 4): 3/4 in the mean."""
    return 1 - block / blocks * (1 - last)


def constant(block: int, blocks: int, p: float = 0.5) -> float:
    """The same p for each block, which the paper compares."""
    return p


class StochasticDepthBlock(Residual):
    """y = act(b F(x) + shortcut(x)); b is 1 with probability ``keep``, else 0, drawn anew for each batch (eq. 2).

    A block that is left out costs nothing in that step. In evaluation b is its mean, ``keep`` (eq. 5).
    """

    keep = 1.0

    def forward(self, x: Tensor) -> Tensor:
        """The sum of both paths, or the shortcut alone, rectified."""
        if not self.training:
            return self.act(self.keep * self.branch(x) + self.skip(x))
        # Drawn on the CPU, whose generator torch.manual_seed sets, so that no device has to be waited for.
        if torch.rand((), device="cpu").item() < self.keep:
            return super().forward(x)
        return self.skip(
            x
        ).relu()  # not in place: this may be x, which the block before keeps for its gradient

    def extra_repr(self) -> str:
        """The probability of surviving, as ``print(net)`` shows it."""
        return f"keep={self.keep:.3f}"


def stochastic_depth_block(c_in: int, c_out: int, stride: int) -> StochasticDepthBlock:
    """A block of two convolutions; ``with_survival`` tells it how likely it survives."""
    return StochasticDepthBlock(basic(c_in, c_out, stride), option_a(c_in, c_out, stride))


def with_survival(net: nn.Sequential, rule: SurvivalRule) -> nn.Sequential:
    """The network with block l of L surviving with probability ``rule(l, L)``."""
    blocks = [m for m in net.modules() if isinstance(m, StochasticDepthBlock)]
    for i, block in enumerate(blocks, 1):
        block.keep = rule(i, len(blocks))
        if not 0 < block.keep <= 1:
            raise ValueError(f"rule: gives block {i} the probability {block.keep}; need one in (0, 1]")
    return net


def resnet_stochastic_cifar(
    depth: int, num_classes: int = 10, in_channels: int = 3, *, rule: SurvivalRule = linear_decay
) -> nn.Sequential:
    """ResNet of 6n + 2 layers whose blocks survive by ``rule``: (N, in_channels, 32, 32) -> (N, num_classes)."""
    return with_survival(cifar(three_stages(depth, stochastic_depth_block), num_classes, in_channels), rule)


def small(num_classes: int = 10, in_channels: int = 1, *, rule: SurvivalRule = linear_decay) -> nn.Sequential:
    """``resnet_small`` whose blocks survive by ``rule``: (N, in_channels, 28, 28) -> (N, num_classes) logits."""
    return with_survival(
        cifar(Plan(stochastic_depth_block, SMALL_DEPTHS, SMALL_WIDTHS, stem=8), num_classes, in_channels),
        rule,
    )


NETWORKS = {
    "resnet110_sd_cifar": Entry(partial(resnet_stochastic_cifar, 110), CIFAR),
    "stochastic_small": Entry(small, DIGIT),
}
