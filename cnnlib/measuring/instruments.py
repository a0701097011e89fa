"""Instruments of the machine: a clock, the peak of PyTorch's allocator, and the counter of energy."""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

NOT_AVAILABLE = "not available"
ENERGY_WINDOW = 1.0  # seconds that a reading of energy runs over, as some counters move only every 0.1 s
POWERCAP = Path("/sys/class/powercap")  # where Linux shows the counters of Intel and AMD processors


def find_device(device: str | torch.device) -> torch.device:
    """The device of this name; ``ValueError`` if this machine cannot compute on it."""
    try:
        found = torch.device(device)
        torch.zeros(1, device=found).item()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise ValueError(
            f"device={str(device)!r}: this machine cannot compute there; take 'cpu', or 'cuda' where there is a GPU"
        ) from error
    return found


def synchronize(device: torch.device) -> None:
    """Until the device has done all that it was asked for: a GPU works on while Python goes ahead."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


Clock = Callable[[], float]


def time_call(call: Callable[[], object], device: torch.device, clock: Clock = time.perf_counter) -> float:
    """Seconds of one call by ``clock``, all work on the device done."""
    synchronize(device)
    start = clock()
    call()
    synchronize(device)
    return clock() - start


def peak_memory(call: Callable[[], object], device: torch.device) -> int | str:
    """The most bytes that one call holds at once, beyond what was allocated before it.

    On a GPU ``torch.cuda.max_memory_allocated``: blocks of the caching allocator, multiples of 512 bytes. On the
    CPU the running sum of the profiler's allocator events: every request to PyTorch's allocator, the scratch of
    its own kernels and of oneDNN among them. It does not see what a library gets straight from the system, nor
    pages that ``malloc`` keeps. Elsewhere "not available".
    """
    if device.type == "cuda":
        synchronize(device)
        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        call()
        synchronize(device)
        return torch.cuda.max_memory_allocated(device) - before
    if device.type != "cpu":
        return NOT_AVAILABLE
    cpu = torch.profiler.ProfilerActivity.CPU
    with _quiet(), torch.profiler.profile(activities=[cpu], profile_memory=True, acc_events=True) as profile:
        call()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "trace.json")
        profile.export_chrome_trace(str(path))
        events = json.loads(path.read_text(encoding="utf-8"))["traceEvents"]
    steps = [(e["ts"], e["args"]["Bytes"]) for e in events if e["name"] == "[memory]"]
    live = peak = 0
    for _, n_bytes in sorted(steps, key=lambda step: step[0]):
        live += n_bytes
        peak = max(peak, live)
    return peak


@contextmanager
def _quiet() -> Iterator[None]:
    """The profiler's library prints its progress, unless it reads this when it first starts."""
    name = "KINETO_LOG_LEVEL"
    before = os.environ.get(name)
    os.environ[name] = "99"
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


def energy_meter(device: torch.device) -> Callable[[], float | str]:
    """Begins to count energy; the function it gives says the joules since, or "not available" without a counter.

    On a GPU the board's own counter (NVML, read with ``pynvml``), on the CPU that of its packages (RAPL, which
    most systems let only root read). Both count all that runs meanwhile, and what the chip takes when idle.
    """
    counter = _nvml(device) if device.type == "cuda" else _rapl() if device.type == "cpu" else None
    if counter is None:
        return lambda: NOT_AVAILABLE
    read, wraps_at = counter
    before = read()

    def since() -> float:
        synchronize(device)
        return sum((b - a) % wrap for a, b, wrap in zip(before, read(), wraps_at, strict=True)) / 1e6

    return since


def joules(call: Callable[[], object], device: torch.device) -> float | str:
    """Energy of one call in joules, a mean over about a second of calls; see ``energy_meter``."""
    since = energy_meter(device)
    if since() == NOT_AVAILABLE:
        return NOT_AVAILABLE
    end, calls = time.perf_counter() + ENERGY_WINDOW, 0
    while not calls or time.perf_counter() < end:
        call()
        synchronize(device)
        calls += 1
    return since() / calls


EnergyCounter = tuple[Callable[[], list[int]], list[int]]  # reads microjoules; where each count starts anew


def _rapl() -> EnergyCounter | None:
    packages = sorted(p for p in POWERCAP.glob("intel-rapl:*") if p.name.count(":") == 1)

    def read(what: str = "energy_uj") -> list[int]:
        return [int((package / what).read_text()) for package in packages]

    try:
        return (read, read("max_energy_range_uj")) if packages and read() else None
    except OSError:
        return None


def _nvml(device: torch.device) -> EnergyCounter | None:
    try:
        import pynvml
    except ImportError:
        return None
    try:
        pynvml.nvmlInit()
        uuid = torch.cuda.get_device_properties(device).uuid
        handle = pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{uuid}")
        pynvml.nvmlDeviceGetTotalEnergyConsumption(handle)
    except pynvml.NVMLError:  # cards before Volta have no such counter
        return None
    return lambda: [1000 * pynvml.nvmlDeviceGetTotalEnergyConsumption(handle)], [2**64]
