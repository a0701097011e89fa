"""Looking inside a network by running it: outputs of its layers, what a unit sees, gradients by layer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from math import ceil

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cnnlib.alias import folded
from cnnlib.cam import class_maps
from cnnlib.cost import trace
from cnnlib.deconv import deconvnet, strongest
from cnnlib.gradients import weight_gradients
from cnnlib.occlude import occlusion
from cnnlib.reach import footprint, layer_of, reached
from cnnlib.shapes import Span

__all__ = [
    "GradientNorm", "Sight", "activations", "class_maps", "deconvnet", "filters", "folded", "gradient_norms",
    "misread", "occlusion", "reached", "sights", "strongest",
]  # fmt: skip


@contextmanager
def _evaluating(net: nn.Module) -> Iterator[None]:
    """Evaluation mode without gradients; each module is in its former mode afterwards."""
    modes = [(module, module.training) for module in net.modules()]
    net.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for module, mode in modes:
            module.training = mode


def activations(net: nn.Module, x: Tensor, names: Iterable[str] | None = None) -> dict[str, Tensor]:
    """Name of each layer -> what it puts out for the images ``x`` (N, C, H, W), in the order of the run.

    ``names``: dotted names as in ``net.named_modules()``; without them every layer that has no layers inside.
    The network runs in evaluation mode and is left as it was. A layer used twice shows its last output.
    Raises ``ValueError`` for a name that the network does not have.
    """
    if names is None:
        names = [name for name, module in net.named_modules() if next(module.children(), None) is None]
    out: dict[str, Tensor] = {}

    def keep(name: str, result: object) -> None:
        if isinstance(result, Tensor):
            out.pop(name, None)
            out[name] = result.clone()  # else an in-place ReLU behind the layer would overwrite it

    with ExitStack() as hooks, _evaluating(net):
        for name in names:
            layer = layer_of(net, name)
            hook = layer.register_forward_hook(lambda m, args, result, name=name: keep(name, result))
            hooks.callback(hook.remove)
        net(x)
    return out


def filters(layer: nn.Module) -> Tensor:
    """A copy of the kernels (C_out, C_in, h, w) of a convolution, or of the first one inside a network."""
    convs = [module for module in layer.modules() if isinstance(module, nn.Conv2d)]
    if not convs:
        raise ValueError(
            f"{type(layer).__name__} holds no Conv2d: give a convolution or a network that has one"
        )
    return convs[0].weight.detach().cpu().clone()


def misread(net: nn.Module, images) -> tuple[Tensor, Tensor]:
    """Which of ``images`` (with ``x`` and ``y``) the network gets wrong, and what it takes each for."""
    with _evaluating(net):
        predicted = torch.cat([net(batch).argmax(1) for batch in images.x.split(256)])
    wrong = (predicted != images.y).nonzero().flatten()
    return wrong, predicted[wrong]


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


@dataclass(frozen=True, eq=False)
class Sight:
    """What one unit of a layer sees, found in two ways that share nothing."""

    layer: str
    by_formula: int | tuple[int, int]  # side in pixels, from the windows on the way
    by_gradient: int | tuple[int, int]  # side in pixels, from a gradient sent back
    window: tuple[
        Span, Span
    ]  # by formula: the rows and columns that the centre unit sees, in ``size``, ``start``
    mask: Tensor = field(repr=False)  # by gradient: the pixels (H, W) of this image that it depends on


def sights(net: nn.Module, image: tuple[int, int, int], layers: Iterable[str]) -> list[Sight]:
    """The receptive field of each of ``layers`` by formula and by gradient; ``plot.sights`` draws them.

    ``image``: (C, H, W). ``layers``: names as in ``net.named_modules()``, single layers or whole blocks. A layer
    that runs several times is taken in its last run. The network is left as it was.
    Raises ``ValueError`` for a layer that is not there, or whose units see no part of the image.
    """
    rows, found = trace(net, image).rows, []
    for layer in layers:
        mask, unit = footprint(net, image, layer)
        inside = tuple(layer + mark for mark in (".", ":"))
        span = [r.span for r in rows if r.span and (r.name == layer or r.name.startswith(inside))][-1]
        spans = (span, span) if isinstance(span, Span) else span
        window = tuple(Span(s.size, 1, s.start + i * s.stride) for s, i in zip(spans, unit, strict=True))
        sides = tuple(ceil(s.size) for s in spans)
        side = sides[0] if len(set(sides)) == 1 else sides
        found.append(Sight(layer, side, reached(net, image, layer), window, mask))
    return found
