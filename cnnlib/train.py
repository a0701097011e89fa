"""Training: a network, images and a recipe go in, one row an epoch comes out.

    with seeded(0):
        net = cnnlib.build("lenet_small")
    for row in train(net, *datasets.mnist(), Recipe(epochs=5)):
        print(row)

Stopping early is ``break``, a log is ``print(row)``, a saved run is its rows. Images are tensors that live where
the network is, and batches are made by indexing: at this size loading would cost more than learning.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import ceil, isfinite

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from cnnlib import fit, live
from cnnlib.augment import Augment
from cnnlib.datasets import Images
from cnnlib.schedule import Linear


class Diverged(ValueError):
    """The loss is no longer a finite number."""


@dataclass(frozen=True)
class Recipe:
    """How to train.

    ``lr``: the rate as a function of progress in [0, 1], such as those in ``cnnlib.schedule``. The optimiser is
    SGD with ``momentum`` and weight ``decay``; another one is a function ``optimiser(parameters, lr=…)``, which
    brings its own. ``augment``: functions ``(x, generator) -> x`` for training batches. ``seed`` fixes batches,
    augmentation and dropout; the first weights are the caller's (see ``seeded``). ``epochs``: passes over the
    images; with 2.5 the last pass ends half-way. ``channels_last`` keeps the channels of a pixel side by side in
    memory: the same numbers but for rounding, mostly in less time.
    """

    epochs: float
    lr: Callable[[float], float] = Linear((0, 0.2, 1), (0, 0.1, 0))
    batch: int = 128
    momentum: float = 0.9
    decay: float = 5e-4
    augment: tuple[Augment, ...] = ()
    label_smoothing: float = 0.0
    seed: int = 0
    optimiser: Callable[..., torch.optim.Optimizer] | None = None
    channels_last: bool = False

    def __post_init__(self) -> None:
        """Check each value."""
        if not isinstance(self.epochs, int | float) or not 0 < self.epochs < float("inf"):
            raise ValueError(f"epochs={self.epochs!r}: need a number above 0")
        if not isinstance(self.batch, int) or self.batch < 1:
            raise ValueError(f"batch={self.batch!r}: need a whole number of at least 1")
        if not callable(self.lr):
            raise ValueError(f"lr={self.lr!r}: need a function of progress, such as Linear((0, 1), (0.1, 0))")
        for name in ("momentum", "label_smoothing"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)!r}: need at least 0 and less than 1")
        if not self.decay >= 0:
            raise ValueError(f"decay={self.decay!r}: need at least 0")

    def start(self, net: nn.Module) -> torch.optim.Optimizer:
        """The optimiser of the parameters that want a gradient."""
        wanted = [p for p in net.parameters() if p.requires_grad]
        if self.optimiser is not None:
            return self.optimiser(wanted, lr=self.lr(0))
        return torch.optim.SGD(wanted, lr=self.lr(0), momentum=self.momentum, weight_decay=self.decay)


@dataclass(frozen=True)
class Epoch:
    """One pass over the training images. Losses are means over images, accuracies lie in [0, 1].

    ``epoch`` counts from 1. Training figures are taken on the way, from the changing network and the augmented
    images; validation figures from the network at the end. ``lr`` is the rate of the last step.
    """

    epoch: int
    train_loss: float
    train_acc: float
    valid_loss: float
    valid_acc: float
    lr: float
    seconds: float


def device(name: str | None = None) -> torch.device:
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
def _evaluating(net: nn.Module) -> Iterator[None]:
    """Evaluation mode, no gradients, random numbers apart; afterwards each part has its own mode again."""
    modes = {module: module.training for module in net.modules()}
    net.eval()
    try:
        with torch.no_grad(), seeded(0):
            yield
    finally:
        for module, mode in modes.items():
            module.training = mode


def _home(net: nn.Module) -> torch.device:
    return next(net.parameters()).device


def predict(net: nn.Module, images: Images, batch: int = 512) -> Tensor:
    """What the network puts out for each image: (N, classes), on its device. Changes nothing."""
    if not len(images):
        raise ValueError("images is empty: need at least one image")
    with _evaluating(net):
        return torch.cat([net(x) for x in images.x.to(_home(net)).split(batch)])


def evaluate(net: nn.Module, images: Images, batch: int = 512) -> tuple[float, float]:
    """Mean cross-entropy and accuracy over all images. Changes nothing."""
    logits, y = predict(net, images, batch), images.y.to(_home(net))
    return F.cross_entropy(logits, y).item(), (logits.argmax(1) == y).float().mean().item()


def train(
    net: nn.Module, train_set: Images, valid_set: Images, recipe: Recipe, progress: bool = True
) -> Iterator[Epoch]:
    """Train ``net`` in place, on the device it is on, and give a row after each epoch.

    Between rows and afterwards, also if you stop early, the network is in evaluation mode. ``progress`` shows
    the running step in a terminal or a live notebook. Raises ``ValueError`` at once for images or settings that
    do not fit the network, and ``Diverged`` naming step and rate when the loss stops being finite.
    """
    with _evaluating(net):
        fit.check_set(net, train_set, "train_set")
        fit.check_set(net, valid_set, "valid_set")
    fit.check_batch(net, recipe.batch, len(train_set))
    home = _home(net)
    if recipe.channels_last:
        net.to(memory_format=torch.channels_last)
    return _epochs(net, train_set.to(home), valid_set.to(home), recipe, progress and live.watched())


def _epochs(net: nn.Module, data: Images, valid: Images, recipe: Recipe, progress: bool) -> Iterator[Epoch]:
    optimiser = recipe.start(net)
    for epoch in range(ceil(recipe.epochs)):
        began = time.perf_counter()
        # Fresh numbers each epoch: what the caller draws between rows cannot matter.
        generator = Generator().manual_seed(recipe.seed * 1_000_003 + epoch)
        net.train()
        try:
            with seeded(int(torch.randint(2**62, (), generator=generator))):
                loss, acc, lr = _one_epoch(net, data, recipe, optimiser, generator, epoch, progress)
        finally:
            net.eval()
        valid_loss, valid_acc = evaluate(net, valid)
        yield Epoch(epoch + 1, loss, acc, valid_loss, valid_acc, lr, time.perf_counter() - began)


def _batches(n: int, batch: int, generator: Generator) -> list[Tensor]:
    """Shuffled positions. A last batch of one joins the one before: one image has no statistics to norm with."""
    parts = list(torch.randperm(n, generator=generator).split(batch))
    if batch > 1 and len(parts) > 1 and len(parts[-1]) == 1:
        parts[-2:] = [torch.cat(parts[-2:])]
    return parts


def _one_epoch(
    net: nn.Module, data: Images, recipe: Recipe, optimiser: torch.optim.Optimizer, generator: Generator,
    epoch: int, progress: bool,
) -> tuple[float, float, float]:  # fmt: skip
    """Loss and accuracy over the images on the way, and the last rate."""
    parts = _batches(len(data), recipe.batch, generator)
    steps = len(parts)
    parts = parts[
        : max(1, round((recipe.epochs - epoch) * steps))
    ]  # all, but where the run ends within the pass
    sums = torch.zeros(len(parts), 2, device=data.x.device)  # read once an epoch, as reading waits for a GPU
    rates = [recipe.lr(min(1, (epoch + (i + 0.5) / steps) / recipe.epochs)) for i in range(len(parts))]
    for i, part in enumerate(parts):
        part = part.to(data.x.device)
        x, y = data.x[part], data.y[part]
        for change in recipe.augment:
            x = change(x, generator)
        if recipe.channels_last:
            x = x.contiguous(memory_format=torch.channels_last)
        for group in optimiser.param_groups:
            group["lr"] = rates[i]
        logits = net(x)
        loss = F.cross_entropy(logits, y, label_smoothing=recipe.label_smoothing)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        sums[i, 0] = loss.detach() * len(y)
        sums[i, 1] = (logits.detach().argmax(1) == y).sum()
        if progress:
            live.say(f"epoch {epoch + 1}/{ceil(recipe.epochs)}, step {i + 1}/{len(parts)}")
    if progress:
        live.say("")
    losses, right = sums.T.tolist()
    for i, total in enumerate(losses):
        if not isfinite(total):
            step = f"step {epoch * steps + i + 1} (epoch {epoch + 1})"
            raise Diverged(f"the loss is {total} at {step}, where lr={rates[i]:.3g}: lower the learning rate")
    seen = sum(map(len, parts))
    return sum(losses) / seen, sum(right) / seen, rates[-1]
