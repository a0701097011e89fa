"""The running mean of a network's weights, which often does better than the weights of the last step."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class EMA:
    """a <- d a + (1 - d) w after each step, over weights and running statistics w.

    d is ``keep``, but not above (1 + n) / (10 + n) at step n, or a short run would remember its first weights.
    Polyak & Juditsky 1992; the ramp is that of TensorFlow's ExponentialMovingAverage.
    """

    def __init__(self, net: nn.Module, keep: float) -> None:
        self.keep, self.steps = keep, 0
        self.values = {name: value.detach().clone() for name, value in net.state_dict().items()}

    @torch.no_grad()
    def update(self, net: nn.Module) -> None:
        """Take in the weights after a step."""
        self.steps += 1
        keep = min(self.keep, (1 + self.steps) / (10 + self.steps))
        for name, value in net.state_dict().items():
            if value.is_floating_point():
                self.values[name].lerp_(value, 1 - keep)
            else:
                self.values[name].copy_(value)  # counters

    @torch.no_grad()
    def swap(self, net: nn.Module) -> None:
        """The network gets the mean, and its own weights are kept here; a second call undoes the first."""
        for name, value in net.state_dict().items():
            own = value.clone()
            value.copy_(self.values[name])
            self.values[name] = own

    def state(self) -> dict[str, object]:
        """For a checkpoint."""
        return {"steps": self.steps, "values": self.values}

    def restore(self, state: dict[str, object]) -> None:
        """From a checkpoint."""
        self.steps = state["steps"]
        for name, value in self.values.items():
            stored: Tensor = state["values"][name]
            value.copy_(stored)
