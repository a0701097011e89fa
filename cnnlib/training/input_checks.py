"""Do these images fit this network? A clear sentence where torch would fail inside, or train on nonsense."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from cnnlib.images import Images, Stream
from cnnlib.models import WrongImageError
from cnnlib.resources import progress_bar
from cnnlib.training.distributed import World
from cnnlib.training.recipe import Recipe


def count_outputs(net: nn.Module, images: Images | Stream, name: str) -> int:
    """How many outputs the network has, by a trial with one image; it must be in evaluation mode.

    Raises ``ValueError`` naming ``name``, the layer that images of this shape do not fit, and what it expects.
    """
    one = images.example()
    shape = "\u00d7".join(map(str, one.shape[1:]))

    def expect(layer: str) -> Callable:
        def hook(module: nn.Module, args: tuple[Tensor, ...]) -> None:
            linear = isinstance(module, nn.Linear)
            need, axis = (module.in_features, -1) if linear else (module.in_channels, 1)
            if args[0].shape[axis] != need:
                raise ValueError(
                    f"{name} has images of {shape}: the network's layer {layer} expects {need} "
                    f"{'features' if linear else 'channels'} and gets {args[0].shape[axis]}"
                )

        return hook

    layers = [(path, m) for path, m in net.named_modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    hooks = [module.register_forward_pre_hook(expect(path)) for path, module in layers]
    try:
        with torch.no_grad():
            logits = net(one.to(next(net.parameters()).device))
    except (RuntimeError, WrongImageError) as error:
        raise ValueError(f"{name} has images of {shape}: the network does not take them ({error})") from None
    finally:
        for hook in hooks:
            hook.remove()
    if logits.ndim != 2:
        raise ValueError(f"the network's output has shape {tuple(logits.shape)}: need (N, classes)")
    return logits.shape[1]


def check_set(net: nn.Module, images: Images | Stream, name: str) -> None:
    """Raises ``ValueError`` if ``images`` are none, or their shape or labels do not fit the network."""
    if not len(images):
        raise ValueError(f"{name} is empty: need at least one image")
    classes, top = count_outputs(net, images, name), images.max_label()
    if top >= classes:
        raise ValueError(f"{name} has labels up to {top}: the network has {classes} outputs, need {top + 1}")


def check_batch(net: nn.Module, recipe: Recipe, count: int, processes: int = 1) -> None:
    """Raises ``ValueError`` if batches of this size cannot be drawn from ``count`` images, shared out or normed."""
    batch, parts = recipe.batch, processes * recipe.accumulate
    if batch > count:
        raise ValueError(f"batch={batch}: the training set has {count} images, need at most that many")
    normed = any(isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d) for m in net.modules())
    if batch < (1 + normed) * parts:
        need = (
            "batch normalisation needs two images or more to take statistics of"
            if normed
            else "need one image"
        )
        where = (
            f" in each of {parts} parts, over processes and accumulate={recipe.accumulate}"
            if parts > 1
            else ""
        )
        raise ValueError(f"batch={batch}: {need}{where}")


def check_readable(images: Images | Stream, world: World, batch: int, progress: bool) -> None:
    """Raises ``ValueError`` naming an image that cannot be read: better now than after the first epoch."""
    if isinstance(images, Images):
        return
    indices = [part for part in world.shard(torch.arange(len(images))).split(batch) if len(part)]
    batches = images.batches(indices, 0)
    for _ in progress_bar(
        batches, desc="reading validation images", total=len(indices), disable=not progress or None
    ):
        pass
