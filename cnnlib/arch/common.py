"""What residual networks and their kin share: the rule of their depth, and the weights they start from."""

from __future__ import annotations

from torch import nn


def repeats(depth: int, each: int, ends: int) -> int:
    """How often a group of ``each`` layers stands in a network of ``depth`` layers, ``ends`` of them outside.

    Raises ``ValueError`` if ``depth`` is not ``each`` n + ``ends`` with a whole n >= 1.
    """
    n, rest = divmod(depth - ends, each)
    if rest or n < 1 or not isinstance(depth, int):
        below = int(max(n, 1)) * each + ends
        raise ValueError(f"depth={depth}: need {each}n + {ends}, such as {below} or {below + each}")
    return n


def he_normal(net: nn.Module) -> nn.Module:
    """Convolutions normal with variance 2 / fan-out, so that what a ReLU takes away the weights give back; bias 0.

    He, Zhang, Ren, Sun: Delving deep into rectifiers. 2015, eq. 14. https://arxiv.org/abs/1502.01852
    """
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            if (
                module.bias is not None
            ):  # of a gate: a start below zero would leave hidden units dead for good
                nn.init.zeros_(module.bias)
    return net
