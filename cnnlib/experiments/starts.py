"""How networks start: weights as their nonlinearity asks for, and how far signals spread with them."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from cnnlib import models
from cnnlib.models import fan_in_normal

NONLINEARITIES = {nn.ReLU: "relu", nn.Tanh: "tanh"}  # as ``torch.nn.init.calculate_gain`` calls them


def suited(build: Callable[..., nn.Module], **choices: object) -> nn.Module:
    """A network of layers in a row, each starting as the nonlinearity after it asks for; biases start at 0.

    Normal with variance gain² / fan-in: gain √2 before a ReLU (He and others 2015, eq. 10), 5/3 before tanh, 1 where
    the next weights follow without any. With torch's own start, eight layers without normalisation stay at chance
    for most of such short runs; with √2 where nothing follows, signals grow from layer to layer.
    """
    net, after = build(**choices), "linear"
    for module in reversed(list(net.modules())):
        after = NONLINEARITIES.get(type(module), after)
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight, nonlinearity=after)
            nn.init.zeros_(module.bias)
            after = "linear"
    return net


def steady(name: str) -> nn.Module:
    """A network of the book; one that norms nothing with He's start, for the same reason."""
    net = models.build(name)
    normed = any(isinstance(module, nn.BatchNorm2d) for module in net.modules())
    return net if normed else fan_in_normal(net)


def spreads(net: nn.Module, x: Tensor) -> list[float]:
    """Standard deviation of what each convolution and linear layer puts out for images ``x``, before any training.

    In training mode and in the order of the run; frozen layers are left out.
    """
    found: list[float] = []
    layers = [m for m in net.modules() if isinstance(m, nn.Conv2d | nn.Linear) and m.weight.requires_grad]
    hooks = [m.register_forward_hook(lambda m, args, out: found.append(out.std().item())) for m in layers]
    try:
        with torch.no_grad():
            net.train()(x)
    finally:
        for hook in hooks:
            hook.remove()
    return [float(f"{value:.3g}") for value in found]
