"""Which limit binds: arithmetic or memory? The roofline model of Williams, Waterman and Patterson (2009).

A network that does ``intensity`` operations for each byte it moves can run at most at
``min(peak, intensity * bandwidth)`` operations a second.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import torch

from cnnlib.measuring.instruments import Clock, find_device, time_call

_SIZES = {"cuda": (8192, 2**28)}  # side of the matrices, numbers to copy; a GPU fills up late
_SMALLER = (1024, 2**24)


@dataclass(frozen=True)
class Machine:
    """What one device can do at best, measured."""

    device: str
    flops: float  # operations a second, of a product of large matrices, float32
    bandwidth: float  # bytes a second, read and written, of a copy too large for caches

    def roof(self, intensity: float) -> float:
        """The most operations a second at ``intensity`` operations a byte."""
        return min(self.flops, intensity * self.bandwidth)

    @property
    def ridge(self) -> float:
        """Operations a byte from which on arithmetic is the limit."""
        return self.flops / self.bandwidth


def machine(device: str | torch.device = "cpu", runs: int = 9, clock: Clock = time.perf_counter) -> Machine:
    """The best of ``runs`` products of large matrices and of as many large copies, with the threads there are.

    On GPUs whose convolutions may round to TF32 (PyTorch's default) a network can beat this peak, which is that
    of full float32.
    """
    device = find_device(device)
    n, length = _SIZES.get(device.type, _SMALLER)
    a, b, c = (torch.ones(n, n, device=device) for _ in range(3))
    x, y = (torch.ones(length, device=device) for _ in range(2))
    product = min(time_call(lambda: torch.mm(a, b, out=c), device, clock) for _ in range(runs))
    copied = min(time_call(lambda: y.copy_(x), device, clock) for _ in range(runs))
    return Machine(str(device), 2 * n**3 / product, 8 * length / copied)


@dataclass(frozen=True)
class RooflinePoint:
    """Where a network stands under the roof."""

    name: str
    batch: int
    intensity: float  # operations (2 x MACs) a byte moved
    gflops: float  # reached: billions of operations a second
    roof: float  # the most this machine can do at that intensity, in the same unit
    share: float  # of the roof that is reached
    limit: str  # "arithmetic" or "memory": which of the two makes the roof


def point(row, machine: Machine) -> RooflinePoint:
    """Where a row of ``measuring.networks`` stands: its ``macs``, ``bytes_moved`` and ``forward`` seconds."""
    intensity = 2 * row.macs / row.bytes_moved
    reached, roof = 2 * row.macs / row.forward, machine.roof(intensity)
    limit = "arithmetic" if intensity >= machine.ridge else "memory"
    rounded = [float(f"{v:.3g}") for v in (intensity, reached / 1e9, roof / 1e9, reached / roof)]
    return RooflinePoint(row.name, row.batch, *rounded, limit)
