"""Which way the loss pulls at each layer, and whether two batches pull the same way."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Batch = tuple[Tensor, Tensor]  # images (N, C, H, W) and their class numbers (N,)


def weight_gradients(
    net: nn.Module, x: Tensor, y: Tensor, loss: Callable[..., Tensor] = F.cross_entropy
) -> dict[str, Tensor]:
    """Name of each convolution and linear layer in order -> gradient of a loss by its weight.

    A copy of the network takes the step in training mode (batch statistics): the network and the random state
    stay as they are. ``x`` (N, C, H, W), ``y`` class numbers (N,); ``loss``: of what the network says and ``y``.
    """
    twin = copy.deepcopy(net).train().requires_grad_(True)
    with torch.random.fork_rng(devices=[x.device] if x.is_cuda else []):
        loss(twin(x), y).backward()
    layers = [(n, m) for n, m in twin.named_modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    return {name: layer.weight.grad for name, layer in layers if layer.weight.grad is not None}


@dataclass(frozen=True)
class GradientAgreement:
    """Gradients of two batches at one layer: the length of the first, and the cosine between both."""

    name: str
    norm: float
    cosine: float  # 1: the same way; 0: nothing in common


def gradient_agreement(net: nn.Module, one: Batch, two: Batch) -> list[GradientAgreement]:
    """Do two batches of images want the same change of the weights? A row for each layer, in order."""
    first, second = weight_gradients(net, *one), weight_gradients(net, *two)
    return [
        GradientAgreement(
            name, g.norm().item(), F.cosine_similarity(g.flatten(), second[name].flatten(), 0).item()
        )
        for name, g in first.items()
    ]


@dataclass(frozen=True)
class GradientNorm:
    """How strongly the loss pulls at the weights of one layer."""

    name: str
    kind: str
    norm: float  # Euclidean length of the gradient of its weight


def gradient_norms(
    net: nn.Module, x: Tensor, y: Tensor, loss: Callable[..., Tensor] = F.cross_entropy
) -> list[GradientNorm]:
    """The gradient of a loss on one batch, a row for each convolution and linear layer in order.

    A copy of the network takes the step in training mode (batch statistics): the network and the random state
    stay as they are. ``x`` (N, C, H, W), ``y`` class numbers (N,); ``loss``: of what the network says and ``y``.
    """
    kinds = dict(net.named_modules())
    return [
        GradientNorm(name, type(kinds[name]).__name__, gradient.norm().item())
        for name, gradient in weight_gradients(net, x, y, loss).items()
    ]
