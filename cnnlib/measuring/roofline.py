"""Which limit binds: arithmetic or memory? The roofline model of Williams, Waterman and Patterson (2009).

A network that does ``intensity`` MACs for each byte it moves can run at most at
``min(peak, intensity * bandwidth)`` MACs a second. The course counts MACs; the paper counts two operations for each.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import torch

from cnnlib.measuring.instruments import Clock, find_device, time_call
from cnnlib.measuring.measure import rounded

_SIZES = {"cuda": (8192, 2**28)}  # side of the matrices, numbers to copy; a GPU fills up late
_SMALLER = (1024, 2**24)
_CACHES = Path("/sys/devices/system/cpu/cpu0/cache")  # where Linux tells of them
BINDS = 0.25  # a roof of which less than this is reached is not what holds a network back


@dataclass(frozen=True)
class Cache:
    """A cache of the processor, and how fast numbers that fit into it are copied."""

    level: str  # "L2"
    size: int  # bytes
    bandwidth: float  # bytes a second, read and written


@dataclass(frozen=True)
class Machine:
    """What one device can do at best, measured."""

    device: str
    macs: float  # a second, of a product of large matrices, float32
    bandwidth: float  # bytes a second, read and written, of a copy too large for caches
    caches: tuple[Cache, ...] = ()

    @classmethod
    def of(cls, stored: dict) -> Machine:
        """A machine from a file, where caches are dictionaries."""
        return cls(**stored | {"caches": tuple(Cache(**c) for c in stored["caches"])})

    def roof(self, intensity: float) -> float:
        """The most MACs a second at ``intensity`` MACs a byte."""
        return min(self.macs, intensity * self.bandwidth)

    @property
    def ridge(self) -> float:
        """MACs a byte from which on arithmetic is the limit."""
        return self.macs / self.bandwidth

    def best(self, other: Machine) -> Machine:
        """The higher of each of two measurements of one machine."""
        caches = (
            Cache(a.level, a.size, max(a.bandwidth, b.bandwidth))
            for a, b in zip(self.caches, other.caches, strict=True)
        )
        macs, bandwidth = max(self.macs, other.macs), max(self.bandwidth, other.bandwidth)
        return Machine(self.device, macs, bandwidth, tuple(caches))


def machine(device: str | torch.device = "cpu", runs: int = 9, clock: Clock = time.perf_counter) -> Machine:
    """The best of ``runs`` products of large matrices and of as many large copies, with the threads there are.

    On GPUs whose convolutions may round to TF32 (PyTorch's default) a network can beat this peak, which is that
    of full float32. Caches are listed where Linux names them, L1 left out: a call of PyTorch takes longer than to
    copy what fits into it.
    """
    device = find_device(device)
    n, length = _SIZES.get(device.type, _SMALLER)
    a, b, c = (torch.ones(n, n, device=device) for _ in range(3))
    product = min(time_call(lambda: torch.mm(a, b, out=c), device, clock) for _ in range(runs))
    sizes = cache_sizes() if device.type == "cpu" else {}
    caches = [
        # Source and target fill half of the cache.
        Cache(level, size, _copy_speed(size // 16, device, 10 * runs, clock))
        for level, size in sizes.items()
        if level != "L1"
    ]
    return Machine(str(device), n**3 / product, _copy_speed(length, device, runs, clock), tuple(caches))


def _copy_speed(length: int, device: torch.device, runs: int, clock: Clock) -> float:
    """Bytes a second, read and written, of the fastest copy of ``length`` numbers."""
    x, y = (torch.ones(length, device=device) for _ in range(2))
    return 8 * length / min(time_call(lambda: y.copy_(x), device, clock) for _ in range(runs))


def cache_sizes() -> dict[str, int]:
    """Bytes of the data caches of a core, by level; empty where the system does not tell."""
    found = {}
    for index in sorted(_CACHES.glob("index*")):
        level, kind, size = ((index / what).read_text().strip() for what in ("level", "type", "size"))
        if kind != "Instruction":
            found[f"L{level}"] = int(size.removesuffix("K")) * 1024
    return found


@dataclass(frozen=True)
class RooflinePoint:
    """Where a network stands under the roof."""

    name: str
    batch: int
    intensity: float  # MACs a byte moved
    reached: float  # billion MACs a second
    roof: float  # the most this machine can do at that intensity, in the same unit
    share: float  # of the roof that is reached
    limit: str  # "arithmetic" or "memory", whichever makes the roof; "neither" where it is far from being reached


def point(row, machine: Machine) -> RooflinePoint:
    """Where a row of ``measuring.networks`` stands: its ``macs``, ``bytes_moved`` and ``forward`` seconds."""
    intensity = row.macs / row.bytes_moved
    reached, roof = row.macs / row.forward, machine.roof(intensity)
    makes = "arithmetic" if intensity >= machine.ridge else "memory"
    numbers = [rounded(v, 3) for v in (intensity, reached / 1e9, roof / 1e9, reached / roof)]
    return RooflinePoint(row.name, row.batch, *numbers, makes if reached / roof >= BINDS else "neither")


def points(rows: Iterable, machine: Machine) -> list[RooflinePoint]:
    """A point a row, by rising intensity."""
    return sorted((point(row, machine) for row in rows), key=lambda p: p.intensity)
