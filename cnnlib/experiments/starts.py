"""How networks start that torch's own weights would leave at chance."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from cnnlib import models
from cnnlib.models import fan_in_normal


def suited(nonlinearity: str, build: Callable[..., nn.Module], **choices: object) -> nn.Module:
    """A network whose weights suit its nonlinearity (``init.fan_in_normal``).

    With torch's own start, eight layers without normalisation stay at chance for most of such short runs.
    """
    return fan_in_normal(build(**choices), nonlinearity)


def steady(name: str) -> nn.Module:
    """A network of the book; one that norms nothing with He's start, for the same reason."""
    net = models.build(name)
    normed = any(isinstance(module, nn.BatchNorm2d) for module in net.modules())
    return net if normed else fan_in_normal(net)
