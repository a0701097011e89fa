"""What a network answers to images: whether they fit it, logits, loss, accuracy. Nothing of the network changes.

What fails is said in a sentence, where torch would fail inside or train on nonsense.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cnnlib.images import Images, Stream
from cnnlib.models import WrongImageError
from cnnlib.resources import progress_bar
from cnnlib.training.distributed import World
from cnnlib.training.step import autocast

Source = Images | Stream
Result = TypeVar("Result")
ALONE = World()


def find_device(name: str | None = None) -> torch.device:
    """The device called ``name``, else the fastest there is (cuda, mps, cpu); prints which.

    Raises ``ValueError`` if this machine has no such device.
    """
    counts = {
        "cuda": torch.cuda.device_count(),
        "mps": int(torch.backends.mps.is_available()),
        "cpu": 1,
    }
    names = [f"{kind}:{i}" if n > 1 else kind for kind, n in counts.items() for i in range(n)]
    chosen = name or names[0]
    if chosen not in (*names, *(n.partition(":")[0] for n in names)):
        raise ValueError(f"device={name!r}: this machine has {', '.join(names)}")
    model = f" ({torch.cuda.get_device_name(chosen)})" if chosen.startswith("cuda") else ""
    print(f"device: {chosen}{model}")
    return torch.device(chosen)


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Inside, torch's random numbers follow from ``seed``; outside they go on as if none had been drawn."""
    here = [torch.cuda.current_device()] if torch.cuda.is_available() else []
    with torch.random.fork_rng(here):
        torch.manual_seed(seed)
        yield


@contextmanager
def evaluating(net: nn.Module) -> Iterator[None]:
    """Evaluation mode, no gradients, random numbers apart; afterwards each part has its own mode again."""
    modes = {module: module.training for module in net.modules()}
    net.eval()
    try:
        with torch.no_grad(), seeded(0):
            yield
    finally:
        for module, mode in modes.items():
            module.training = mode


def device_of(net: nn.Module) -> torch.device:
    """The device that the network is on."""
    return next(net.parameters()).device


def _batches(images: Source, batch: int, world: World, task: str, silent: bool):
    """Batches of this process's part of the images, under a progress bar."""
    # A share may be empty where there are fewer images than processes; a batch must not be.
    indices = [part for part in world.shard(torch.arange(len(images))).split(batch) if len(part)]
    return progress_bar(images.batches(indices, 0), desc=task, total=len(indices), disable=silent or None)


def _outputs(
    net: nn.Module, images: Source, batch: int, amp: bool = False, world: World = ALONE
) -> tuple[Tensor, Tensor]:
    """Logits (N, classes) and labels (N,) of this process's part of the images."""
    if not len(images):
        raise ValueError("images is empty: need at least one image")
    device = device_of(net)
    logits, labels = [], []
    bar = _batches(images, batch, world, "evaluation", silent=not world.is_main)
    with evaluating(net), bar, autocast(device, amp):
        for x, y in bar:
            logits.append(net(x.to(device)).float())
            labels.append(y.to(device))
    return torch.cat(logits), torch.cat(labels)


class OutOfMemory(ValueError):
    """The device has not enough memory for what was asked."""


def _is_out_of_memory(error: RuntimeError) -> bool:
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)


def call_with_advice(function: Callable[[], Result], advice: str) -> Result:
    """What ``function`` returns; raises ``OutOfMemory`` with the ``advice`` if it runs out, holding nothing of it."""
    try:
        return function()
    except RuntimeError as error:
        if not _is_out_of_memory(error):
            raise
    # Out here the error is gone, and with its traceback the tensors of all frames that it passed.
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    raise OutOfMemory(f"the memory of the device ran out: {advice}")


def predict(net: nn.Module, images: Source, batch: int = 512) -> Tensor:
    """What the network puts out for each image: (N, classes), on its device. Changes nothing."""
    advice = f"lower batch={batch}"
    return call_with_advice(lambda: _outputs(net, images, batch)[0], advice)


def evaluate(
    net: nn.Module, images: Source, batch: int = 512, amp: bool = False, world: World = ALONE
) -> tuple[float, float]:
    """Mean cross-entropy and accuracy over all images; changes nothing.

    ``amp`` computes in half precision. Each process of ``world`` takes its part, in batches of ``batch``.
    """
    advice = f"lower batch={batch} of evaluate"
    logits, y = call_with_advice(lambda: _outputs(net, images, batch, amp, world), advice)
    loss, right = F.cross_entropy(logits, y, reduction="sum"), (logits.argmax(1) == y).sum()
    loss, right = world.all_reduce(torch.stack([loss, right.to(loss.dtype)])).tolist()
    return loss / len(images), right / len(images)


def _count_outputs(net: nn.Module, images: Source, name: str) -> int:
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


def check_set(net: nn.Module, images: Source, name: str) -> None:
    """Raises ``ValueError`` if ``images`` are none, or their shape or labels do not fit the network."""
    if not len(images):
        raise ValueError(f"{name} is empty: need at least one image")
    classes, top = _count_outputs(net, images, name), images.max_label()
    if top >= classes:
        raise ValueError(f"{name} has labels up to {top}: the network has {classes} outputs, need {top + 1}")


def check_readable(images: Source, world: World, batch: int, progress: bool) -> None:
    """Raises ``ValueError`` naming an image that cannot be read: better now than after the first epoch."""
    if isinstance(images, Stream):
        for _ in _batches(images, batch, world, "reading validation images", silent=not progress):
            pass
