"""Every network of the book under one name: ``build("alexnet")``, ``list_models()``."""

from __future__ import annotations

import inspect
from difflib import get_close_matches

from torch import nn

from cnnlib.arch import (
    alexnet,
    densenet,
    fractalnet,
    googlenet,
    inception,
    inception_v4,
    lenet,
    modern,
    nin,
    preact,
    resnet,
    resnext,
    senet,
    squeezenet,
    stochastic,
    vgg,
    wide,
    zfnet,
)
from cnnlib.arch.entry import Entry

# In the order of the chapters.
_MODELS: dict[str, Entry] = {
    **lenet.NETWORKS,
    **alexnet.NETWORKS,
    **zfnet.NETWORKS,
    **vgg.NETWORKS,
    **nin.NETWORKS,
    **googlenet.NETWORKS,
    **resnet.NETWORKS,
    **senet.NETWORKS,
    **preact.NETWORKS,
    **wide.NETWORKS,
    **resnext.NETWORKS,
    **stochastic.NETWORKS,
    **fractalnet.NETWORKS,
    **densenet.NETWORKS,
    **squeezenet.NETWORKS,
    **inception.NETWORKS,
    **inception_v4.NETWORKS,
    **modern.NETWORKS,
}


def _entry(name: str) -> Entry:
    if name in _MODELS:
        return _MODELS[name]
    near = get_close_matches(str(name), _MODELS, n=3)
    hint = f"did you mean {' or '.join(near)}?" if near else "cnnlib.list_models() lists all names"
    raise ValueError(f"no network is called {name!r}: {hint}")


def build(name: str, **options: object) -> nn.Module:
    """The network ``name`` with fresh weights; ``num_classes=`` and ``in_channels=`` where it has them.

    Raises ``ValueError`` for an unknown name, or an option that this network does not have.
    """
    make = _entry(name).build
    known = inspect.signature(make).parameters
    for option, value in options.items():
        if option not in known:
            takes = ", ".join(known) or "no options"
            raise ValueError(f"{option}={value!r}: {name} does not take it; it takes {takes}")
    for option in ("num_classes", "in_channels"):
        value = options.get(option, 1)
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise ValueError(f"{option}={value!r}: need a whole number of at least 1")
    net = make(**options)
    net.name = name  # for the caption of a table
    return net


def list_models() -> list[str]:
    """The name of every network of the book, in the order of their chapters."""
    return list(_MODELS)


def image_shape(name: str) -> tuple[int, int, int]:
    """The image (C, H, W) that the network ``name`` was designed for."""
    return _entry(name).image
