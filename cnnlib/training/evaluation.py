"""What a network answers: logits, loss, accuracy; computed so that nothing of the network changes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cnnlib.images import Images, Stream
from cnnlib.resources import progress_bar
from cnnlib.training import out_of_memory
from cnnlib.training.distributed import World
from cnnlib.training.step import autocast

Source = Images | Stream
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


def _outputs(
    net: nn.Module, images: Source, batch: int, amp: bool = False, world: World = ALONE
) -> tuple[Tensor, Tensor]:
    """Logits (N, classes) and labels (N,) of this process's part of the images."""
    if not len(images):
        raise ValueError("images is empty: need at least one image")
    device = device_of(net)
    # A share may be empty where there are fewer images than processes; a batch must not be.
    indices = [part for part in world.shard(torch.arange(len(images))).split(batch) if len(part)]
    batches = images.batches(indices, 0)
    logits, labels = [], []
    bar = progress_bar(batches, desc="evaluation", total=len(indices), disable=not world.is_main or None)
    with evaluating(net), bar, autocast(device, amp):
        for x, y in bar:
            logits.append(net(x.to(device)).float())
            labels.append(y.to(device))
    return torch.cat(logits), torch.cat(labels)


def predict(net: nn.Module, images: Source, batch: int = 512) -> Tensor:
    """What the network puts out for each image: (N, classes), on its device. Changes nothing."""
    advice = f"lower batch={batch}"
    return out_of_memory.call_with_advice(lambda: _outputs(net, images, batch)[0], advice)


def evaluate(
    net: nn.Module, images: Source, batch: int = 512, amp: bool = False, world: World = ALONE
) -> tuple[float, float]:
    """Mean cross-entropy and accuracy over all images; changes nothing.

    ``amp`` computes in half precision. Each process of ``world`` takes its part, in batches of ``batch``.
    """
    advice = f"lower batch={batch} of evaluate"
    logits, y = out_of_memory.call_with_advice(lambda: _outputs(net, images, batch, amp, world), advice)
    loss, right = F.cross_entropy(logits, y, reduction="sum"), (logits.argmax(1) == y).sum()
    loss, right = world.all_reduce(torch.stack([loss, right.to(loss.dtype)])).tolist()
    return loss / len(images), right / len(images)
