"""One step of training: a batch in, new weights out; and the running mean of the weights (EMA)."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from cnnlib.images import mixup
from cnnlib.training.distributed import World
from cnnlib.training.recipe import Recipe


def half_precision(device: torch.device) -> torch.dtype:
    """The half precision for this device: bf16, but fp16 on GPUs that have only that."""
    if device.type == "cuda" and not torch.cuda.is_bf16_supported(including_emulation=False):
        return torch.float16
    return torch.bfloat16


def autocast(device: torch.device, enabled: bool) -> AbstractContextManager:
    """Inside, convolutions and products are computed in half precision, if ``enabled``."""
    return torch.autocast(device.type, half_precision(device)) if enabled else nullcontext()


class EMA:
    """a <- d a + (1 - d) w after each step, over weights and running statistics w.

    d is ``decay``, but not above (1 + n) / (10 + n) at step n, or a short run would remember its first weights.
    Polyak & Juditsky 1992; the ramp is that of TensorFlow's ExponentialMovingAverage.
    """

    def __init__(self, net: nn.Module, decay: float) -> None:
        self.decay, self.steps = decay, 0
        self.values = {name: value.detach().clone() for name, value in net.state_dict().items()}

    @torch.no_grad()
    def update(self, net: nn.Module) -> None:
        """Take in the weights after a step."""
        self.steps += 1
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps))
        for name, value in net.state_dict().items():
            if value.is_floating_point():
                self.values[name].lerp_(value, 1 - decay)
            else:
                self.values[name].copy_(value)  # counters

    @torch.no_grad()
    def exchange(self, net: nn.Module) -> None:
        """The network gets the mean, and its own weights are kept here; a second call undoes the first."""
        state = net.state_dict()
        own = {
            name: value.clone() for name, value in state.items()
        }  # all of them first: names may share a tensor
        for name, value in state.items():
            value.copy_(self.values[name])
        self.values = own

    def state(self) -> dict[str, object]:
        """For a checkpoint."""
        return {"steps": self.steps, "values": self.values}

    def restore(self, state: dict[str, object]) -> None:
        """From a checkpoint."""
        self.steps = state["steps"]
        for name, value in self.values.items():
            stored: Tensor = state["values"][name]
            value.copy_(stored)


class Step:
    """The state that lives as long as a run: optimiser, scale of the loss, running mean of the weights."""

    def __init__(self, net: nn.Module, recipe: Recipe, world: World) -> None:
        self.net, self.recipe, self.world = net, recipe, world
        self.device = next(net.parameters()).device
        self.optimiser = recipe.make_optimiser(net)
        self.ema = EMA(net, recipe.ema) if recipe.ema else None
        dtype = half_precision(self.device)
        # fp16 has no numbers below 6e-8: gradients are computed of a loss times a large factor.
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=recipe.amp and dtype is torch.float16)
        self.forward = world.wrap(net, recipe.sync_norm)
        if recipe.compile:
            self.forward = torch.compile(self.forward)

    def __call__(self, x: Tensor, y: Tensor, rate: float, count: int, generator: Generator) -> Tensor:
        """Learn from this process's part of a batch of ``count`` images.

        x (N, C, H, W), y (N,); returns two sums over the N images: of the losses, and the number of right answers.
        """
        for change in self.recipe.augment:
            x = change(x, generator)
        labels = [(y, 1.0)]
        if self.recipe.mixup:
            x, partner, share = mixup(x, generator, self.recipe.mixup)
            labels = [(y, share), (y[partner], 1 - share)]
        if self.recipe.channels_last:
            x = x.contiguous(memory_format=torch.channels_last)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        self.optimiser.zero_grad()
        sums, last = torch.zeros(2, device=x.device), min(self.recipe.accumulate, len(x)) - 1
        labels = [(y.tensor_split(last + 1), share) for y, share in labels]
        for i, part in enumerate(x.tensor_split(last + 1)):
            with nullcontext() if i == last else self.world.no_sync(self.forward):
                sums += self._backward(part, [(y[i], share) for y, share in labels], count)
        if self.recipe.clip:
            self.scaler.unscale_(self.optimiser)
            nn.utils.clip_grad_norm_(self.net.parameters(), self.recipe.clip)
        self.scaler.step(self.optimiser)
        self.scaler.update()
        if self.ema:
            self.ema.update(self.net)
        return sums

    def _backward(self, x: Tensor, labels: list[tuple[Tensor, float]], count: int) -> Tensor:
        """Add the gradient of these images, of ``count``; the sum of their losses and the number of right answers."""
        with autocast(self.device, self.recipe.amp):
            logits = self.forward(x)
        logits, smooth = logits.float(), self.recipe.label_smoothing
        loss = sum(share * F.cross_entropy(logits, y, label_smoothing=smooth) for y, share in labels)
        # A mean over processes follows, so that each counts by the images it has of the batch.
        self.scaler.scale(loss * (len(x) * self.world.size / count)).backward()
        right = sum(share * (logits.detach().argmax(1) == y).sum() for y, share in labels)
        return torch.stack([loss.detach() * len(x), right])

    def state(self) -> dict[str, object]:
        """For a checkpoint: all that the next step depends on."""
        return {
            "net": self.net.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "scaler": self.scaler.state_dict(),
            "ema": self.ema.state() if self.ema else None,
        }

    def restore(self, state: dict) -> None:
        """From a checkpoint."""
        self.net.load_state_dict(state["net"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.scaler.load_state_dict(state["scaler"])
        if self.ema:
            self.ema.restore(state["ema"])

    def free_memory(self) -> None:
        """Give back gradients and the optimiser's memory."""
        self.optimiser.zero_grad()
        self.optimiser.state.clear()
