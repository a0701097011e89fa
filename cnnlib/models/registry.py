"""Every network of the book under one name: ``build("alexnet")``, ``list_models()``."""

from __future__ import annotations

import inspect
from collections import OrderedDict
from difflib import get_close_matches
from functools import partial

from torch import nn

from cnnlib.models import (
    alexnet,
    densenet,
    fractalnet,
    googlenet,
    inception,
    inception_v4,
    lenet,
    nin,
    preact,
    resnet,
    resnext,
    senet,
    squeezenet,
    stochastic_depth,
    vgg,
    wide_resnet,
    zfnet,
)
from cnnlib.models.network import IMAGENET, Entry, ImageLimits, Network
from cnnlib.models.weights import Weights, find, load


def _torchvision(name: str, num_classes: int = 1000) -> nn.Module:
    """torchvision's network with fresh weights: (N, 3, H, W) -> (N, num_classes) logits."""
    from torchvision.models import get_model  # here, so that the other networks do not wait for it

    return get_model(name, num_classes=num_classes)


# What came after SENet, as torchvision builds it: the last chapter compares them, and derives none.
_TORCHVISION_NAMES = {
    "mobilenet_v2": "mobilenet_v2",
    "shufflenet_v2": "shufflenet_v2_x1_0",
    "efficientnet_b0": "efficientnet_b0",
    "regnet_y_400mf": "regnet_y_400mf",
    "convnext_tiny": "convnext_tiny",
}
TORCHVISION = {
    ours: Entry(partial(_torchvision, theirs), IMAGENET) for ours, theirs in _TORCHVISION_NAMES.items()
}
TORCHVISION["convnext_tiny"] = TORCHVISION["convnext_tiny"]._replace(
    smallest=32
)  # four steps of 4, 2, 2 and 2

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
    **wide_resnet.NETWORKS,
    **resnext.NETWORKS,
    **stochastic_depth.NETWORKS,
    **fractalnet.NETWORKS,
    **densenet.NETWORKS,
    **squeezenet.NETWORKS,
    **inception.NETWORKS,
    **inception_v4.NETWORKS,
    **TORCHVISION,
}
# Public weights go by torchvision's names, which are ours but for these.
_PUBLIC = {**_TORCHVISION_NAMES, "alexnet_lecture": "alexnet"}


def _entry(name: str) -> Entry:
    if name in _MODELS:
        return _MODELS[name]
    near = get_close_matches(str(name), _MODELS, n=3)
    hint = f"did you mean {' or '.join(near)}?" if near else "cnnlib.list_models() lists all names"
    raise ValueError(f"no network is called {name!r}: {hint}")


def build(name: str, weights: str | None = None, **options: object) -> nn.Module:
    """The network ``name`` with fresh weights; ``num_classes=`` and ``in_channels=`` where it has them.

    ``weights``: trained ones instead, by torchvision's names, such as ``"IMAGENET1K_V2"``, fetched into its cache if
    need be, or ``"bundled"`` for ``squeezenet1_1``. Raises ``ValueError`` for an unknown name, an option that this
    network does not have, and weights that there are not, do not fit, or cannot be fetched.
    """
    entry = _entry(name)
    make = entry.build
    known = inspect.signature(make).parameters
    for option, value in options.items():
        if option not in known:
            takes = ", ".join(known) or "no options"
            raise ValueError(f"{option}={value!r}: {name} does not take it; it takes {takes}")
    for option in ("num_classes", "in_channels"):
        value = options.get(option, 1)
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise ValueError(f"{option}={value!r}: need a whole number of at least 1")
    trained = None if weights is None else find_weights(name, weights)
    if trained:
        _need(trained, options)
    net = make(**options)
    if type(net) is nn.Sequential:  # all but torchvision's own
        net = Network(OrderedDict(net.named_children()))
        channels = options.get("in_channels", entry.image[0])
        net.image_limits = ImageLimits(name, channels, entry.smallest, entry.largest)
    net.name = name  # for the caption of a table
    return load(net, trained) if trained else net


def find_weights(name: str, label: str) -> Weights:
    """The weights ``label`` of the network ``name``, with the names of its classes and its preprocessing."""
    return find(public_name(name), label)


def public_name(name: str) -> str:
    """What torchvision calls the network ``name``, if it has it: mostly the same."""
    _entry(name)
    return _PUBLIC.get(name, name)


def _need(trained: Weights, options: dict[str, object]) -> None:
    for option, needed in (("num_classes", len(trained.classes)), ("in_channels", 3)):
        value = options.get(option, needed)
        if value != needed:
            raise ValueError(
                f"{option}={value}: weights={trained.label!r} need {needed}; build with them, then put in layers of "
                "your own"
            )


def list_models() -> list[str]:
    """The name of every network of the book, in the order of their chapters."""
    return list(_MODELS)


def options(name: str) -> list[str]:
    """What ``build`` takes for the network ``name``, such as ``num_classes``."""
    return list(inspect.signature(_entry(name).build).parameters)


def image_shape(name: str) -> tuple[int, int, int]:
    """The image (C, H, W) that the network ``name`` was designed for."""
    return _entry(name).image


def image_sides(name: str) -> tuple[int, int | None]:
    """The smallest and the largest image, in pixels a side, that the network ``name`` takes; mostly no largest."""
    return _entry(name)[2:]
