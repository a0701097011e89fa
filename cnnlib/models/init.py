"""Weights to start from, so that signals neither die out nor explode on their way through many layers."""

from __future__ import annotations

from torch import nn


def he_normal(net: nn.Module) -> nn.Module:
    """Convolutions normal with variance 2 / fan-out, so that what a ReLU takes away the weights give back; bias 0.

    He, Zhang, Ren, Sun: Delving deep into rectifiers. 2015, eq. 14. https://arxiv.org/abs/1502.01852
    """
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            # Of a gate: a start below zero would leave hidden units dead for good.
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    return net


def fan_in_normal(net: nn.Module, nonlinearity: str = "relu") -> nn.Module:
    """Convolutions and linear layers normal with variance gain² / fan-in, the gain that of the nonlinearity; bias 0.

    For ReLU eq. 10 of the same paper, variance 2 / fan-in. ``nonlinearity``: a name that
    ``torch.nn.init.calculate_gain`` knows.
    """
    for module in net.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight, nonlinearity=nonlinearity)
            nn.init.zeros_(module.bias)
    return net


def glorot_uniform(net: nn.Module) -> nn.Module:
    """Convolutions and linear layers uniform with variance 2 / (fan-in + fan-out), for units that are linear near 0.

    Glorot, Bengio: Understanding the difficulty of training deep feedforward neural networks. 2010, eq. 16.
    https://proceedings.mlr.press/v9/glorot10a.html
    """
    for module in net.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.xavier_uniform_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    return net
