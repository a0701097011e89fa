"""What runs through the layers of a network: outputs on the way forward, gradients on the way back, and the kernels."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from difflib import get_close_matches

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cnnlib.training import evaluating

Batch = tuple[Tensor, Tensor]  # images (N, C, H, W) and their class numbers (N,)


def layer_of(net: nn.Module, name: str) -> nn.Module:
    """The layer called ``name``, dotted as in ``net.named_modules()``; ``ValueError`` if there is none."""
    modules = dict(net.named_modules())
    if name not in modules:
        near = get_close_matches(name, modules, n=3) or list(modules)[1:4]
        raise ValueError(f"no layer is called {name!r}: the network has {', '.join(near)} and others")
    return modules[name]


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

    with ExitStack() as hooks, evaluating(net):
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


def aliased_share(maps: Tensor, stride: int) -> Tensor:
    """How much of each channel's pattern a step of ``stride`` folds onto a wrong one: (N, C, H, W) -> (C,).

    The share, from 0 to 1, of the energy of ``maps`` (taken at every pixel, their mean left out) that has more than
    1 / (2 stride) periods a pixel along either axis. Of a grid that keeps every ``stride``-th pixel two samples a
    period are the least that tell a wave from a slower one (the sampling theorem). A Hann window keeps the edges of
    the maps from counting as patterns. Raises ``ValueError`` if ``maps`` has another shape.
    """
    if maps.ndim != 4 or min(maps.shape[2:]) < 8:
        raise ValueError(f"maps has shape {tuple(maps.shape)}: need (N, C, H, W) of at least 8 x 8 pixels")
    height, width = maps.shape[2:]
    options = {"periodic": True, "dtype": maps.dtype, "device": maps.device}
    window = torch.hann_window(height, **options)[:, None] * torch.hann_window(width, **options)
    level = (maps * window).sum((2, 3), keepdim=True) / window.sum()
    energy = torch.fft.fft2((maps - level) * window).abs().square()
    rows = torch.fft.fftfreq(height, device=maps.device).abs()[:, None]
    cols = torch.fft.fftfreq(width, device=maps.device).abs()
    too_fine = torch.maximum(rows, cols) > 1 / (2 * stride)
    return energy[..., too_fine].sum((0, 2)) / energy.sum((0, 2, 3)).clamp_min(1e-30)


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
    """The length of each of the ``weight_gradients``, whose arguments these are, a row for each layer in order."""
    kinds = dict(net.named_modules())
    return [
        GradientNorm(name, type(kinds[name]).__name__, gradient.norm().item())
        for name, gradient in weight_gradients(net, x, y, loss).items()
    ]
