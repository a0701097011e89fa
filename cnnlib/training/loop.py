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

import signal
import time
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import asdict
from math import ceil, isfinite
from pathlib import Path

import torch
from torch import nn

from cnnlib.training import checkpoint as checkpoints
from cnnlib.training.distributed import World, current_world
from cnnlib.training.epoch_pass import EpochPass, diverged, held_signals
from cnnlib.training.evaluation import (
    OutOfMemory,
    Source,
    call_with_advice,
    check_readable,
    check_set,
    device_of,
    evaluate,
    evaluating,
)
from cnnlib.training.recipe import Diverged, Epoch, Recipe, check_batch
from cnnlib.training.step import Step

LOSS_CHECK_INTERVAL = 100  # steps from one look at the losses to the next: to look is to wait for a GPU
AGREEMENT_INTERVAL = 10  # steps from one moment to the next when several processes agree to save or to stop
SAVE_INTERVAL = 600  # seconds from one checkpoint within an epoch to the next


def train(
    net: nn.Module,
    train_set: Source,
    valid_set: Source,
    recipe: Recipe,
    progress: bool = True,
    checkpoint: checkpoints.PathLike | None = None,
) -> Iterator[Epoch]:
    """Train ``net`` in place, on the device it is on, and give a row after each epoch.

    Between rows and afterwards, also if you stop early, the network is in evaluation mode. ``progress`` shows a bar
    in a terminal or an open notebook. ``checkpoint``: a file that is written every ten minutes, at the end of an epoch
    before it is validated and after, and when SIGINT or SIGTERM end the program; if it is there already, the run goes
    on from it and gives its rows again first, so that an interrupted run ends in the same rows and weights as one
    that was not. Raises ``ValueError`` at once for images, settings or a file that do not fit the network, and for
    validation images that cannot be read; ``Diverged`` naming step and rate when the loss stops being finite.
    """
    with evaluating(net):
        check_set(net, train_set, "train_set")
        check_set(net, valid_set, "valid_set")
    world, device = current_world(), device_of(net)
    check_batch(net, recipe, len(train_set), world.size)
    identity, saved = {}, None
    if checkpoint is not None:
        identity = checkpoints.identity(net, recipe, train_set, valid_set)
        saved = checkpoints.resume(checkpoint, identity)
        if world.is_main:
            checkpoints.check_writable(checkpoint)
    if recipe.channels_last:
        net.to(memory_format=torch.channels_last)
    file = checkpoint if checkpoint is None else Path(checkpoint)
    run = _Run(net, train_set.to(device), valid_set.to(device), recipe, world, file, identity)
    return run.epochs(saved, progress and world.is_main)


class _Run:
    """What is the same for all epochs of one run."""

    def __init__(
        self,
        net: nn.Module,
        train_set: Source,
        valid_set: Source,
        recipe: Recipe,
        world: World,
        file: Path | None,
        identity: dict[str, object],
    ) -> None:
        self.net, self.train_set, self.valid_set, self.recipe, self.world = (
            net,
            train_set,
            valid_set,
            recipe,
            world,
        )
        self.file, self.identity = file, identity
        self.step = Step(net, recipe, world)
        self.rows: list[dict[str, object]] = []
        self.seconds = 0.0  # of the epoch, before it was interrupted

    def epochs(self, saved: dict | None, progress: bool) -> Iterator[Epoch]:
        part = None
        if saved is not None:
            self.step.restore(saved)
            self.rows, part = saved["rows"], saved["pass"]
        self.net.eval()
        for row in self.rows[:]:
            yield from self._with_average(Epoch(**row))
        if len(self.rows) < self.recipe.epochs:
            check_readable(self.valid_set, self.world, self.recipe.batch, progress)
        for epoch in range(len(self.rows), ceil(self.recipe.epochs)):
            row = self._epoch(epoch, part, progress)
            part = None
            self.rows.append(asdict(row))
            self._save(None)
            yield from self._with_average(row)

    def _with_average(self, row: Epoch) -> Iterator[Epoch]:
        """While the caller has the row, and after the last one, the network is the mean of its weights if kept."""
        if self.step.ema:
            self.step.ema.exchange(self.net)
        yield row
        if self.step.ema and row.epoch < self.recipe.epochs:
            self.step.ema.exchange(self.net)

    def _save(self, part: dict[str, object] | None) -> None:
        """Write the checkpoint; ``part`` is the state of a pass that is not over, or not yet validated."""
        if self.file is not None and self.world.is_main:
            checkpoints.save(self.file, self.identity | {"rows": self.rows, "pass": part} | self.step.state())

    def _epoch(self, epoch: int, saved: dict | None, progress: bool) -> Epoch:
        start = time.perf_counter() - (saved["seconds"] if saved else 0)
        advice = (
            f"lower batch={self.recipe.batch} of the recipe, or raise accumulate={self.recipe.accumulate}"
        )
        keeps = self.file is not None and self.world.is_main
        last_good = checkpoints.content(self.file) if keeps else None
        try:
            loss, accuracy, rate = call_with_advice(
                lambda: self._train_epoch(epoch, saved, start, progress), advice
            )
            valid_loss, valid_accuracy = self._validate()
            if not isfinite(valid_loss):
                raise diverged("the loss on validation images", valid_loss, f"after epoch {epoch + 1}", rate)
        except Diverged:
            if keeps:
                checkpoints.put_back(self.file, last_good)
            raise
        except OutOfMemory:
            self.step.free_memory()  # a notebook keeps the traceback, and with it this run
            raise
        return Epoch(epoch + 1, loss, accuracy, valid_loss, valid_accuracy, rate, time.perf_counter() - start)

    def _validate(self) -> tuple[float, float]:
        """Loss and accuracy of the network, or of the mean of its weights, on validation images."""
        ema, recipe, world = self.step.ema, self.recipe, self.world
        if ema:
            ema.exchange(self.net)
        try:
            return evaluate(
                self.net,
                self.valid_set,
                ceil(recipe.batch / world.size / recipe.accumulate),
                recipe.amp,
                world,
            )
        finally:
            if ema:
                ema.exchange(self.net)

    def _train_epoch(
        self, epoch: int, saved: dict | None, start: float, progress: bool
    ) -> tuple[float, float, float]:
        """One pass over the training images: loss, accuracy and the last rate."""
        part = EpochPass(self.train_set, self.recipe, self.world, device_of(self.net), epoch)
        if saved is not None:
            part.restore(saved)
        saved_at, action = time.monotonic(), 0
        self.net.train()
        try:
            with held_signals() if self.file else nullcontext([]) as received:
                for done in part.steps(self.step, progress):
                    if done % LOSS_CHECK_INTERVAL == 0 and not part.is_finite():
                        break
                    due = self.file is not None and time.monotonic() - saved_at > SAVE_INTERVAL
                    action = self._agreed(received[0] if received else int(due), done)
                    if action:
                        self._save(part.state() | {"seconds": time.perf_counter() - start})
                        saved_at = time.monotonic()
                    if action > 1:
                        break
                else:
                    self.world.sync_buffers(self.net)
                    action = self._agreed(received[0] if received else 0)
                    if part.is_finite():
                        self._save(part.state() | {"seconds": time.perf_counter() - start})
        finally:
            self.net.eval()
        if action > 1:
            signal.raise_signal(action)
        return part.result()

    def _agreed(self, action: int, done: int = 0) -> int:
        """What all processes do after a step: 0 go on, 1 save, else save and end with the signal of this number."""
        if self.world.size > 1 and done % AGREEMENT_INTERVAL:
            return 0
        return self.world.highest(action)
