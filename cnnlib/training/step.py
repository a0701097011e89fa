"""One step of training: a batch in, new weights out."""

from __future__ import annotations

from contextlib import nullcontext

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from cnnlib.images import mix
from cnnlib.training.distributed import World
from cnnlib.training.ema import EMA
from cnnlib.training.recipe import Recipe


def half(device: torch.device) -> torch.dtype:
    """The half precision for this device: bf16, but fp16 on GPUs that have only that."""
    if device.type == "cuda" and not torch.cuda.is_bf16_supported(including_emulation=False):
        return torch.float16
    return torch.bfloat16


class Step:
    """The state that lives as long as a run: optimiser, scale of the loss, running mean of the weights."""

    def __init__(self, net: nn.Module, recipe: Recipe, world: World) -> None:
        self.net, self.recipe, self.world = net, recipe, world
        self.home = next(net.parameters()).device
        self.optimiser = recipe.start(net)
        self.average = EMA(net, recipe.ema) if recipe.ema else None
        dtype = half(self.home)
        # fp16 has no numbers below 6e-8: gradients are computed of a loss times a large factor.
        self.scaler = torch.amp.GradScaler(self.home.type, enabled=recipe.amp and dtype is torch.float16)
        self.cast = torch.autocast(self.home.type, dtype) if recipe.amp else nullcontext()
        self.forward = world.wrap(net, recipe.sync_norm)
        if recipe.compile:
            self.forward = torch.compile(self.forward)

    def __call__(
        self, x: Tensor, y: Tensor, rate: float, count: int, generator: Generator
    ) -> tuple[Tensor, Tensor]:
        """Learn from this process's part of a batch of ``count`` images.

        x (N, C, H, W), y (N,); returns the sum of the losses and the number of right answers over the N images.
        """
        for change in self.recipe.augment:
            x = change(x, generator)
        shares = [(y, 1.0)]
        if self.recipe.mixup:
            x, partner, share = mix(x, generator, self.recipe.mixup)
            shares = [(y, share), (y[partner], 1 - share)]
        if self.recipe.channels_last:
            x = x.contiguous(memory_format=torch.channels_last)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        smooth = self.recipe.label_smoothing
        with self.cast:
            logits = self.forward(x)
        logits = logits.float()
        loss = sum(share * F.cross_entropy(logits, y, label_smoothing=smooth) for y, share in shares)
        self.optimiser.zero_grad()
        # A mean over processes follows, so that each counts by the images it has of the batch.
        weight = len(y) * self.world.size / count
        self.scaler.scale(loss * weight).backward()
        self.scaler.step(self.optimiser)
        self.scaler.update()
        if self.average:
            self.average.update(self.net)
        right = sum(share * (logits.detach().argmax(1) == y).sum() for y, share in shares)
        return loss.detach() * len(y), right

    def state(self) -> dict[str, object]:
        """For a checkpoint: all that the next step depends on."""
        return {
            "net": self.net.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "scaler": self.scaler.state_dict(),
            "average": self.average.state() if self.average else None,
        }

    def restore(self, state: dict) -> None:
        """From a checkpoint."""
        self.net.load_state_dict(state["net"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.scaler.load_state_dict(state["scaler"])
        if self.average:
            self.average.restore(state["average"])

    def forget(self) -> None:
        """Give back gradients and the optimiser's memory."""
        self.optimiser.zero_grad()
        self.optimiser.state.clear()
