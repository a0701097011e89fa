"""One pass over the training images, which can stop after any step and go on from there."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from math import ceil, isfinite

import torch
from torch import Generator, Tensor

from cnnlib.resources import progress_bar
from cnnlib.training.distributed import World
from cnnlib.training.evaluation import Source, seeded
from cnnlib.training.recipe import Diverged, Recipe
from cnnlib.training.step import Step

# The signals that end a program, and what Python does with them unless it is told otherwise.
DEFAULTS = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}


@contextmanager
def held_signals() -> Iterator[list[int]]:
    """Inside, the first SIGINT (Ctrl-C) or SIGTERM (a cluster's time is up) is noted in the list and does nothing.

    A second one ends the program as ever. Signals that the program handles in its own way are left alone, and so are
    all in any other than the main thread, which may not hold them.
    """
    received: list[int] = []
    main = threading.current_thread() is threading.main_thread()
    held = {n: handler for n, handler in DEFAULTS.items() if main and signal.getsignal(n) is handler}

    def restore() -> None:
        for number, handler in held.items():
            signal.signal(number, handler)

    def note(number: int, frame: object) -> None:
        received.append(number)
        restore()

    for number in held:
        signal.signal(number, note)
    try:
        yield received
    finally:
        restore()


def shuffled_batches(n: int, batch: int, parts: int, generator: Generator) -> list[Tensor]:
    """Positions of ``n`` images at random. A last batch joins the one before if one of its parts, over
    processes and within, would have one image or none: one image has no statistics to norm with."""
    batches = list(torch.randperm(n, generator=generator).split(batch))
    if len(batches) > 1 and len(batches[-1]) < min(batch, 2 * parts):
        batches[-2:] = [torch.cat(batches[-2:])]
    return batches


class EpochPass:
    """Pass number ``epoch`` of a run, from 0: ``done`` of the batches at its ``indices`` have been learned."""

    def __init__(self, data: Source, recipe: Recipe, world: World, device: torch.device, epoch: int) -> None:
        self.data, self.recipe, self.world, self.device, self.epoch = data, recipe, world, device, epoch
        # Fresh numbers each epoch: what the caller draws between rows cannot matter, and a run can go on at any.
        self.seed = (recipe.seed * 1_000_003 + epoch) % 2**63
        self.generator = Generator().manual_seed(self.seed)
        own_seed = int(torch.randint(2**62, (), generator=self.generator)) + world.rank
        batches = shuffled_batches(len(data), recipe.batch, world.size * recipe.accumulate, self.generator)
        if not world.is_main:  # the order is everybody's, the changes to images are each one's own
            self.generator = Generator().manual_seed(own_seed)
        self.steps_a_pass = len(batches)
        left = max(1, round((recipe.epochs - epoch) * len(batches)))
        self.indices = batches[:left]  # all, but where the run ends in the pass
        progress = [(epoch + (i + 0.5) / len(batches)) / recipe.epochs for i in range(len(self.indices))]
        self.rates = [recipe.lr(min(1, t)) for t in progress]
        self.done = 0
        self.sums = torch.zeros(len(self.indices), 2, device=device)  # loss and right answers of each batch
        with seeded(own_seed):
            self.random_state = self._random_state()

    def steps(self, step: Step, progress: bool) -> Iterator[int]:
        """Take the steps that are left; gives ``done`` after each."""
        batches = self.data.batches([self.world.shard(part) for part in self.indices[self.done :]], self.seed)
        bar = progress_bar(
            batches, desc=f"epoch {self.epoch + 1}/{ceil(self.recipe.epochs)}", total=len(self.indices),
            initial=self.done, disable=not progress or None,
        )  # fmt: skip
        with seeded(0), bar:
            self._set_random_state(self.random_state)
            for x, y in bar:
                i = self.done
                x, y = x.to(self.device, non_blocking=True), y.to(self.device, non_blocking=True)
                self.sums[i] = step(x, y, self.rates[i], len(self.indices[i]), self.generator)
                self.done += 1
                yield self.done

    def is_finite(self) -> bool:
        """Are all losses so far? All processes get one answer, so that none waits for another."""
        return bool(self.world.all_reduce(self.sums.clone()).isfinite().all())

    def result(self) -> tuple[float, float, float]:
        """Loss and accuracy over the images on the way, and the last rate.

        Raises ``Diverged`` naming the step and its rate if the loss was no finite number.
        """
        losses, right = self.world.all_reduce(self.sums.clone()).T.tolist()
        for i, loss in enumerate(losses):
            if not isfinite(loss):
                where = f"at step {self.epoch * self.steps_a_pass + i + 1} (epoch {self.epoch + 1})"
                raise diverged("the loss", loss, where, self.rates[i])
        seen = sum(map(len, self.indices))
        return sum(losses) / seen, sum(right) / seen, self.rates[-1]

    def state(self) -> dict[str, object]:
        """For a checkpoint; called while ``steps`` runs or when it is over, and by all processes together."""
        return {
            "done": self.done,
            "sums": self.world.all_reduce(self.sums.clone()),
            "random": self.world.gather(self._random_state()),
        }

    def restore(self, state: dict) -> None:
        """From a checkpoint. Another number of processes gets other random numbers from here on, and may join the last
        batch to the one before where the first run did not."""
        self.done = min(state["done"], len(self.indices))
        if self.world.is_main:
            self.sums[: self.done] = state["sums"][: self.done].to(self.device)
        if len(state["random"]) == self.world.size:
            self.random_state = state["random"][self.world.rank]
            self.generator.set_state(self.random_state["augmentation"])

    def _random_state(self) -> dict[str, Tensor]:
        state = {"augmentation": self.generator.get_state(), "cpu": torch.get_rng_state()}
        return state | ({"cuda": torch.cuda.get_rng_state()} if torch.cuda.is_available() else {})

    def _set_random_state(self, state: dict[str, Tensor]) -> None:
        torch.set_rng_state(state["cpu"])
        if "cuda" in state and torch.cuda.is_available():
            torch.cuda.set_rng_state(state["cuda"])


def diverged(what: str, value: float, where: str, rate: float) -> Diverged:
    """The error that says at which rate the loss was lost."""
    return Diverged(f"{what} is {value} {where}, where lr={rate:.3g}: lower the learning rate")
