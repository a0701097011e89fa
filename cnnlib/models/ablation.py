"""A network with something taken out, to see what it was for."""

from __future__ import annotations

import copy

import torch
from torch import nn


def without_norm(net: nn.Module) -> nn.Module:
    """A copy whose batch normalisations let everything pass; the convolutions in front of them get a bias of 0.

    The weights stay as they are, so both networks start alike. Raises ``ValueError`` if a ``BatchNorm2d`` does
    not stand directly behind a convolution, whose bias could take over its shift.
    """
    ablated = copy.deepcopy(net)
    for path, parent in ablated.named_modules():
        before = None
        for name, child in parent.named_children():
            if isinstance(child, nn.BatchNorm2d):
                if not isinstance(before, nn.Conv2d):
                    where = f"{path}.{name}".lstrip(".")
                    raise ValueError(
                        f"{where} does not stand behind a convolution: normalisation can only be taken out there"
                    )
                if before.bias is None:
                    before.bias = nn.Parameter(torch.zeros_like(before.weight[:, 0, 0, 0]))
                setattr(parent, name, nn.Identity())
            before = child
    return ablated


def without_block(net: nn.Module, name: str) -> nn.Module:
    """A copy in which the module called ``name``, such as ``layer1.2``, lets its input pass unchanged.

    Raises ``ValueError`` if the network has no such module.
    """
    parent_name, _, last = name.rpartition(".")
    ablated = copy.deepcopy(net)
    if not name or name not in dict(ablated.named_modules()):
        raise ValueError(f"{type(net).__name__} has no module {name!r}: take one of net.named_modules()")
    setattr(ablated.get_submodule(parent_name), last, nn.Identity())
    return ablated
