"""Training: a network, images and a recipe go in, one row an epoch comes out.

    with seeded(0):
        net = cnnlib.build("lenet_small")
    for row in train(net, *datasets.mnist(), Recipe(epochs=5)):
        print(row)

Stopping early is ``break``, a log is ``print(row)``, a saved run is its rows. Small sets are tensors that live where
the network is, and batches are made by indexing: at this size loading would cost more than learning. Large ones
are a ``Stream``, read by workers. Under ``torchrun`` the same call trains on several devices.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict
from math import ceil, isfinite

import torch
from torch import Generator, Tensor, nn

from cnnlib.resources import progress_bar
from cnnlib.training import checkpoint as checkpoints
from cnnlib.training import input_checks, out_of_memory
from cnnlib.training.distributed import World, current_world
from cnnlib.training.evaluation import Source, device_of, evaluate, evaluating, seeded
from cnnlib.training.recipe import Diverged, Epoch, Recipe
from cnnlib.training.step import Step

LOSS_CHECK_INTERVAL = 100  # steps from one look at the losses to the next: to look is to wait for a GPU


def train(
    net: nn.Module,
    train_set: Source,
    valid_set: Source,
    recipe: Recipe,
    progress: bool = True,
    checkpoint: checkpoints.PathLike | None = None,
) -> Iterator[Epoch]:
    """Train ``net`` in place, on the device it is on, and give a row after each epoch.

    Between rows and afterwards, also if you stop early, the network is in evaluation mode. ``progress`` shows
    a bar in a terminal or an open notebook. ``checkpoint``: a file that is written after each epoch;
    if it is there already, the run goes on from it and gives its rows again first, so that an interrupted run
    ends in the same rows and weights as one that was not. Raises ``ValueError`` at once for images, settings or a
    file that do not fit the network, and ``Diverged`` naming step and rate when the loss stops being finite.
    """
    with evaluating(net):
        input_checks.check_set(net, train_set, "train_set")
        input_checks.check_set(net, valid_set, "valid_set")
    world, device = current_world(), device_of(net)
    input_checks.check_batch(net, recipe.batch, len(train_set), world.size)
    identity = {
        "network": checkpoints.fingerprint(net),
        "recipe": recipe.describe(),
        "images": train_set.fingerprint(),
        "normalisation": train_set.normalisation(),
    }
    saved = checkpoints.resume(checkpoint, identity) if checkpoint is not None else None
    if checkpoint is not None and world.is_main:
        checkpoints.check_writable(checkpoint)
    if recipe.channels_last:
        net.to(memory_format=torch.channels_last)
    run = _Run(net, train_set.to(device), valid_set.to(device), recipe, world, progress and world.is_main)
    return run.epochs(checkpoint, identity, saved)


class _Run:
    """What is the same for all epochs of one run."""

    def __init__(
        self,
        net: nn.Module,
        train_set: Source,
        valid_set: Source,
        recipe: Recipe,
        world: World,
        progress: bool,
    ) -> None:
        self.net, self.train_set, self.valid_set, self.recipe = net, train_set, valid_set, recipe
        self.world, self.progress = world, progress
        self.step = Step(net, recipe, world)

    def epochs(
        self, checkpoint: checkpoints.PathLike | None, identity: dict[str, object], saved: dict | None
    ) -> Iterator[Epoch]:
        rows = []
        if saved is not None:
            self.step.restore(saved)
            rows = saved["rows"]
        self.net.eval()
        for row in rows[:]:
            yield from self._with_average(Epoch(**row))
        for epoch in range(len(rows), ceil(self.recipe.epochs)):
            row = self._epoch(epoch)
            rows.append(asdict(row))
            if checkpoint is not None and self.world.is_main:
                checkpoints.save(checkpoint, identity | {"rows": rows} | self.step.state())
            yield from self._with_average(row)

    def _with_average(self, row: Epoch) -> Iterator[Epoch]:
        """While the caller has the row, and after the last one, the network is the mean of its weights if kept."""
        if self.step.ema:
            self.step.ema.exchange(self.net)
        yield row
        if self.step.ema and row.epoch < self.recipe.epochs:
            self.step.ema.exchange(self.net)

    def _epoch(self, epoch: int) -> Epoch:
        start = time.perf_counter()
        advice = f"lower batch={self.recipe.batch} of the recipe"
        self.net.train()
        try:
            loss, accuracy, rate = out_of_memory.call_with_advice(lambda: self._pass(epoch), advice)
        except out_of_memory.OutOfMemory:
            self.step.free_memory()  # a notebook keeps the traceback, and with it this run
            raise
        finally:
            self.net.eval()
        self.world.sync_buffers(self.net)
        if self.step.ema:
            self.step.ema.exchange(self.net)
        valid_loss, valid_accuracy = evaluate(self.net, self.valid_set, 512, self.world)
        if self.step.ema:
            self.step.ema.exchange(self.net)
        if not isfinite(valid_loss):
            raise _diverged("the loss on validation images", valid_loss, f"after epoch {epoch + 1}", rate)
        return Epoch(epoch + 1, loss, accuracy, valid_loss, valid_accuracy, rate, time.perf_counter() - start)

    def _pass(self, epoch: int) -> tuple[float, float, float]:
        """Loss and accuracy over the images on the way, and the last rate."""
        recipe, world, device = self.recipe, self.world, device_of(self.net)
        # Fresh numbers each epoch: what the caller draws between rows cannot matter, and a run can go on at any.
        seed = recipe.seed * 1_000_003 + epoch
        generator = Generator().manual_seed(seed)
        own_seed = int(torch.randint(2**62, (), generator=generator)) + world.rank
        indices = _batches(len(self.train_set), recipe.batch, world.size, generator)
        if not world.is_main:  # the order is everybody's, the changes to images are each one's own
            generator = Generator().manual_seed(own_seed)
        steps = len(indices)
        left = max(1, round((recipe.epochs - epoch) * steps))
        indices = indices[:left]  # all, but where the run ends in the pass
        rates = [recipe.lr(min(1, (epoch + (i + 0.5) / steps) / recipe.epochs)) for i in range(len(indices))]
        sums = torch.zeros(len(indices), 2, device=device)
        batches = self.train_set.batches([world.shard(part) for part in indices], seed)
        title = f"epoch {epoch + 1}/{ceil(recipe.epochs)}"
        bar = progress_bar(batches, desc=title, total=len(indices), disable=not self.progress or None)
        with bar, seeded(own_seed):
            for i, (x, y) in enumerate(bar):
                x, y = x.to(device, non_blocking=True), y.to(device, non_blocking=True)
                sums[i, 0], sums[i, 1] = self.step(x, y, rates[i], len(indices[i]), generator)
                done = i + 1
                if done % LOSS_CHECK_INTERVAL == 0 and not self._finite(
                    sums[done - LOSS_CHECK_INTERVAL : done]
                ):
                    break
        losses, right = world.all_reduce(sums).T.tolist()
        for i, loss in enumerate(losses):
            if not isfinite(loss):
                where = f"at step {epoch * steps + i + 1} (epoch {epoch + 1})"
                raise _diverged("the loss", loss, where, rates[i])
        seen = sum(map(len, indices))
        return sum(losses) / seen, sum(right) / seen, rates[-1]

    def _finite(self, sums: Tensor) -> bool:
        """Are these losses finite in all processes? They all get one answer, so that none waits for another."""
        return bool(self.world.all_reduce(sums.clone()).isfinite().all())


def _diverged(what: str, value: float, where: str, rate: float) -> Diverged:
    return Diverged(f"{what} is {value} {where}, where lr={rate:.3g}: lower the learning rate")


def _batches(n: int, batch: int, size: int, generator: Generator) -> list[Tensor]:
    """Shuffled positions. A last batch joins the one before if some process would get one image of it or none:
    one image has no statistics to norm with."""
    parts = list(torch.randperm(n, generator=generator).split(batch))
    if len(parts) > 1 and len(parts[-1]) < min(batch, 2 * size):
        parts[-2:] = [torch.cat(parts[-2:])]
    return parts
