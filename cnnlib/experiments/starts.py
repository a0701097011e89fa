"""How networks start that torch's own weights would leave at chance."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from cnnlib import arch


def suited(nonlinearity: str, build: Callable[..., nn.Module], **choices: object) -> nn.Module:
    """A network whose weights suit its nonlinearity (He et al. 2015): N(0, gain^2 / fan-in), biases 0.

    With torch's own start, eight layers without normalisation stay at chance for most of such short runs.
    """
    net = build(**choices)
    for module in net.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight, nonlinearity=nonlinearity)
            nn.init.zeros_(module.bias)
    return net


def steady(name: str) -> nn.Module:
    """A network of the book; one that norms nothing with He's start, for the same reason."""
    net = arch.build(name)
    normed = any(isinstance(module, nn.BatchNorm2d) for module in net.modules())
    return net if normed else suited("relu", lambda: net)
