"""Features carried to other images: a network's first part frozen, and one linear layer trained on top.

Donahue and others: DeCAF: a deep convolutional activation feature. 2013. https://arxiv.org/abs/1310.1531
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor, nn

from cnnlib.images import Images
from cnnlib.models import chain
from cnnlib.training.loop import train
from cnnlib.training.recipe import Recipe


class Frozen(nn.Module):
    """A module that no longer learns: (N, C, H, W) -> (N, features), flattened.

    It stays in evaluation mode whatever the network around it does, so that running means do not move either.
    """

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module.requires_grad_(False)

    def train(self, mode: bool = True) -> Frozen:
        """Evaluation mode, always."""
        return super().train(False)

    def forward(self, x: Tensor) -> Tensor:
        """What the module says of each image."""
        return self.module(x).flatten(1)


def linear_probe(features: nn.Module, size: int, num_classes: int = 10) -> nn.Sequential:
    """Frozen ``features`` that give ``size`` numbers an image, and a linear layer to train on them."""
    return chain(features=Frozen(features), fc=nn.Linear(size, num_classes))


def pretrained(build: Callable[[], nn.Module], train_set: Images, recipe: Recipe) -> nn.Module:
    """A network built and trained on a set; its seed follows from torch's random state, not from the recipe."""
    net = build()
    recipe = replace(recipe, seed=int(torch.randint(2**16, ())))
    for _ in train(net, train_set, train_set[:1], recipe, progress=False):
        pass
    return net
