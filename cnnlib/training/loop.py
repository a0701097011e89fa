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

from cnnlib.training import checkpoint as disk
from cnnlib.training import input_checks, out_of_memory
from cnnlib.training import progress as live
from cnnlib.training.distributed import World, world
from cnnlib.training.evaluation import (  # fmt: skip
    Source,
    device,
    device_of,
    evaluate,
    evaluating,
    predict,
    seeded,
    validated,
)
from cnnlib.training.recipe import Diverged, Epoch, Recipe
from cnnlib.training.step import Step

__all__ = ["Diverged", "Epoch", "Recipe", "device", "evaluate", "predict", "seeded", "train"]

LOOK = 100  # steps from one look at the loss to the next: to look is to wait for a GPU


def train(
    net: nn.Module,
    train_set: Source,
    valid_set: Source,
    recipe: Recipe,
    progress: bool = True,
    checkpoint: disk.Where | None = None,
) -> Iterator[Epoch]:
    """Train ``net`` in place, on the device it is on, and give a row after each epoch.

    Between rows and afterwards, also if you stop early, the network is in evaluation mode. ``progress`` shows
    the running step in a terminal or a live notebook. ``checkpoint``: a file that is written after each epoch;
    if it is there already, the run goes on from it and gives its rows again first, so that an interrupted run
    ends in the same rows and weights as one that was not. Raises ``ValueError`` at once for images, settings or a
    file that do not fit the network, and ``Diverged`` naming step and rate when the loss stops being finite.
    """
    with evaluating(net):
        input_checks.check_set(net, train_set, "train_set")
        input_checks.check_set(net, valid_set, "valid_set")
    team = world()
    input_checks.check_batch(net, recipe.batch, len(train_set), team.size)
    home = device_of(net)
    identity = disk.fingerprint(net), recipe.words(), train_set.identity()
    before = disk.resume(checkpoint, *identity) if checkpoint is not None else None
    if checkpoint is not None and team.first:
        disk.reserve(checkpoint)
    if recipe.channels_last:
        net.to(memory_format=torch.channels_last)
    run = _Run(
        net, train_set.to(home), valid_set.to(home), recipe, team, progress and team.first and live.watched()
    )
    return run.epochs(checkpoint, identity, before)


class _Run:
    """What is the same for all epochs of one run."""

    def __init__(
        self, net: nn.Module, data: Source, valid: Source, recipe: Recipe, team: World, progress: bool
    ) -> None:
        self.net, self.data, self.valid, self.recipe = net, data, valid, recipe
        self.team, self.progress = team, progress
        self.step = Step(net, recipe, team)

    def epochs(
        self, checkpoint: disk.Where | None, identity: tuple[str, dict, dict], before: dict | None
    ) -> Iterator[Epoch]:
        rows = []
        if before is not None:
            self.step.restore(before)
            rows = before["rows"]
        self.net.eval()
        for row in rows[:]:
            yield from self._shown(Epoch(**row))
        for epoch in range(len(rows), ceil(self.recipe.epochs)):
            row = self._epoch(epoch)
            rows.append(asdict(row))
            if checkpoint is not None and self.team.first:
                network, recipe, data = identity
                told = {
                    "network": network,
                    "recipe": recipe,
                    "images": data,
                    "rows": rows,
                    "scaling": self.data.scaling(),
                }
                disk.save(checkpoint, told | self.step.state())
            yield from self._shown(row)

    def _shown(self, row: Epoch) -> Iterator[Epoch]:
        """While the caller looks, and after the last row, the network is the mean of its weights if one is kept."""
        average = self.step.average
        if average:
            average.swap(self.net)
        yield row
        if average and row.epoch < self.recipe.epochs:
            average.swap(self.net)

    def _epoch(self, epoch: int) -> Epoch:
        began = time.perf_counter()
        cure = f"lower batch={self.recipe.batch} of the recipe"
        self.net.train()
        try:
            loss, acc, lr = out_of_memory.within(lambda: self._pass(epoch), cure)
        except out_of_memory.OutOfMemory:
            self.step.forget()  # a notebook keeps the traceback, and with it this run
            raise
        finally:
            self.net.eval()
        self.team.agree(self.net)
        average = self.step.average
        if average:
            average.swap(self.net)
        valid_loss, valid_acc = validated(self.net, self.valid, 512, self.team)
        if average:
            average.swap(self.net)
        if not isfinite(valid_loss):
            raise _diverged("the loss on validation images", valid_loss, f"after epoch {epoch + 1}", lr)
        return Epoch(epoch + 1, loss, acc, valid_loss, valid_acc, lr, time.perf_counter() - began)

    def _pass(self, epoch: int) -> tuple[float, float, float]:
        """Loss and accuracy over the images on the way, and the last rate."""
        recipe, team, home = self.recipe, self.team, device_of(self.net)
        # Fresh numbers each epoch: what the caller draws between rows cannot matter, and a run can go on at any.
        number = recipe.seed * 1_000_003 + epoch
        generator = Generator().manual_seed(number)
        apart = int(torch.randint(2**62, (), generator=generator))
        parts = _batches(len(self.data), recipe.batch, team.size, generator)
        if not team.first:  # the order is everybody's, the changes to images are each one's own
            generator = Generator().manual_seed(apart + team.rank)
        steps = len(parts)
        left = max(1, round((recipe.epochs - epoch) * steps))
        parts = parts[:left]  # all, but where the run ends in the pass
        rates = [recipe.lr(min(1, (epoch + (i + 0.5) / steps) / recipe.epochs)) for i in range(len(parts))]
        sums = torch.zeros(len(parts), 2, device=home)
        batches = self.data.batches([team.part(part) for part in parts], number)
        with seeded(apart + team.rank):
            for i, (x, y) in enumerate(batches):
                x, y = x.to(home, non_blocking=True), y.to(home, non_blocking=True)
                sums[i, 0], sums[i, 1] = self.step(x, y, rates[i], len(parts[i]), generator)
                if (i + 1) % LOOK == 0 and not self._finite(sums[i + 1 - LOOK : i + 1]):
                    break
                if self.progress:
                    live.say(f"epoch {epoch + 1}/{ceil(recipe.epochs)}, step {i + 1}/{len(parts)}")
        if self.progress:
            live.say("")
        losses, right = team.total(sums).T.tolist()
        for i, total in enumerate(losses):
            if not isfinite(total):
                where = f"at step {epoch * steps + i + 1} (epoch {epoch + 1})"
                raise _diverged("the loss", total, where, rates[i])
        seen = sum(map(len, parts))
        return sum(losses) / seen, sum(right) / seen, rates[-1]

    def _finite(self, sums: Tensor) -> bool:
        """Are these losses finite in all processes? They all get one answer, so that none waits for another."""
        return bool(self.team.total(sums.clone()).isfinite().all())


def _diverged(what: str, value: float, where: str, rate: float) -> Diverged:
    return Diverged(f"{what} is {value} {where}, where lr={rate:.3g}: lower the learning rate")


def _batches(n: int, batch: int, size: int, generator: Generator) -> list[Tensor]:
    """Shuffled positions. A last batch joins the one before if some process would get one image of it or none:
    one image has no statistics to norm with."""
    parts = list(torch.randperm(n, generator=generator).split(batch))
    if len(parts) > 1 and len(parts[-1]) < min(batch, 2 * size):
        parts[-2:] = [torch.cat(parts[-2:])]
    return parts
