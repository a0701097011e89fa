"""Measured beside predicted: time, memory and energy of networks on this machine, in rows.

    rows = measure.networks({"alexnet": (cnnlib.build("alexnet"), (3, 224, 224))}, batch=4)
    table.of(rows)

Copies run: the networks, their gradients, modes and all random state stay as they are.
"""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median, quantiles

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from cnnlib import resources
from cnnlib.costs import Shape, trace, traffic
from cnnlib.measuring.instruments import Clock, find_device, joules, peak_memory, synchronize, time_call

_REST = "(between the layers)"
WARM_UP = 2  # runs before the clock counts: kernels are chosen, memory is fetched


@dataclass(frozen=True)
class Measured:
    """One network on one batch: what the trace predicts, and what the machine did. Bytes, seconds, joules.

    Memory is the peak of one pass beyond the weights, the image among it. A training step is a forward pass in
    training mode, the gradient of the mean square of all outputs (any network has that), and plain SGD.
    """

    name: str
    batch: int
    macs: int  # of the forward pass, whole batch
    bytes_moved: int  # of the forward pass, see roofline.traffic
    forward: float  # median seconds
    spread: float  # of the forward times: middle half, as a share of the median
    step: float  # median seconds of a training step
    images_per_second: float  # forward
    predicted_memory: int  # cost.memory
    memory: int | str
    predicted_training: int  # cost.training_memory, and a gradient for each trainable parameter
    training: int | str
    energy: float | str  # of the forward pass


class _Benchmark:
    """A copy of a network on the device, and a batch for it."""

    def __init__(self, name: str, net: nn.Module, image: object, batch: int, device: torch.device) -> None:
        self.name, self.batch, self.device = name, batch, device
        self.cost = trace(net, image, batch)  # also says what is wrong with net, image or batch
        self.bytes_moved = traffic(net, image, batch)
        self.net = copy.deepcopy(net).to(device)
        self.trained = [p for p in self.net.parameters() if p.requires_grad]
        draw = torch.Generator().manual_seed(0)
        shapes = image if isinstance(image, list) else [image]
        self.images = [
            torch.rand(batch, *shape, generator=draw).to(device, self.cost.dtype) for shape in shapes
        ]

    def forward(self) -> None:
        with torch.no_grad():
            self.net(*[x.clone() for x in self.images])

    def step(self) -> None:
        with torch.inference_mode(False), torch.enable_grad():
            outs = tree_leaves(self.net(*[x.clone() for x in self.images]))
            sum(
                t.float().square().mean() for t in outs if isinstance(t, Tensor) and t.requires_grad
            ).backward()
        sgd = torch.optim.SGD(self.trained, lr=0.0)  # the arithmetic of a step, and weights that stay
        sgd.step()
        sgd.zero_grad()

    def row(self, forward: Sequence[float], step: Sequence[float]) -> Measured:
        gradients = sum(p.numel() * p.element_size() for p in self.trained)
        low, middle, high = quantiles(forward, n=4) if len(forward) > 1 else forward * 3
        training = peak_memory(self.step, self.device)
        self.net.eval()
        energy = joules(self.forward, self.device)
        return Measured(
            name=self.name,
            batch=self.batch,
            macs=self.cost.macs,
            bytes_moved=self.bytes_moved,
            forward=_rounded(middle),
            spread=_rounded((high - low) / middle, 2),
            step=_rounded(median(step)),
            images_per_second=_rounded(self.batch / middle, 3),
            predicted_memory=self.cost.memory,
            memory=peak_memory(self.forward, self.device),
            predicted_training=self.cost.training_memory + gradients,
            training=training,
            energy=energy if isinstance(energy, str) else _rounded(energy, 3),
        )


def _at_least_one(runs: int) -> None:
    if isinstance(runs, bool) or not isinstance(runs, int) or runs < 1:
        raise ValueError(f"runs={runs!r}: need a whole number of at least 1")


def _rounded(value: float, digits: int = 4) -> float:
    return float(f"{value:.{digits}g}")


@contextmanager
def _rng_preserved(device: torch.device) -> Iterator[None]:
    """Random numbers apart: dropout draws some."""
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        yield


def _interleaved(
    calls: Sequence[Callable[[], object]], device: torch.device, runs: int, clock: Clock
) -> list[list[float]]:
    """Seconds of each call, ``runs`` times in turn, so that a busy moment of the machine hits all alike."""
    for call in calls:
        for _ in range(WARM_UP):
            call()
    turns = [[time_call(call, device, clock) for call in calls] for _ in range(runs)]
    return [list(times) for times in zip(*turns, strict=True)]


def _measured(jobs: Sequence[tuple], device: str | torch.device, runs: int, clock: Clock) -> list[Measured]:
    _at_least_one(runs)
    device = find_device(device)
    benchmarks = [_Benchmark(*job, device) for job in jobs]
    for s in benchmarks:
        if not s.trained:
            raise ValueError(f"{s.name} has no parameter that wants a gradient: no training step to measure")
    with _rng_preserved(device):
        for s in benchmarks:
            s.net.eval()
        forward = _interleaved([s.forward for s in benchmarks], device, runs, clock)
        for s in benchmarks:
            s.net.train()
        step = _interleaved([s.step for s in benchmarks], device, runs, clock)
        return [s.row(*times) for s, *times in zip(benchmarks, forward, step, strict=True)]


def networks(
    nets: Mapping[str, tuple[nn.Module, Shape]],
    batch: int = 1,
    device: str | torch.device = "cpu",
    runs: int = 7,
    clock: Clock = time.perf_counter,
) -> list[Measured]:
    """A row for each of ``nets``: label -> (network, image (C, H, W)). Times are medians of interleaved runs.

    ``clock``: with a single thread, ``time.process_time`` leaves out the time in which other programs had the core.
    Raises ``ValueError`` for a batch or number of runs below 1, an image that a network cannot take, a network
    without trainable parameters, or a device that this machine does not have.
    """
    return _measured([(name, net, image, batch) for name, (net, image) in nets.items()], device, runs, clock)


def batches(
    net: nn.Module,
    image: Shape,
    sizes: Sequence[int] = (1, 2, 4, 8, 16),
    device: str | torch.device = "cpu",
    runs: int = 7,
    clock: Clock = time.perf_counter,
) -> list[Measured]:
    """The same network on batches of several sizes, a row each; as :func:`networks`."""
    name = getattr(net, "name", type(net).__name__)
    return _measured([(name, net, image, batch) for batch in sizes], device, runs, clock)


@dataclass(frozen=True)
class LayerTime:
    """How long one layer takes in a forward pass."""

    name: str
    kind: str
    macs: int
    seconds: float  # median; all its runs within one pass together
    share: float  # of the whole pass


def layers(
    net: nn.Module, image: Shape, batch: int = 1, device: str | torch.device = "cpu", runs: int = 7
) -> list[LayerTime]:
    """Where the time of a forward pass goes: a row for each layer without layers inside, and one for the rest.

    On a GPU the device is waited for around each layer, which makes the pass slower than :func:`networks` says.
    """
    _at_least_one(runs)
    device = find_device(device)
    benchmark = _Benchmark("", net, image, batch, device)
    kinds = {n: m for n, m in benchmark.net.eval().named_modules() if next(m.children(), None) is None}
    macs = dict.fromkeys(kinds, 0)
    for row in benchmark.cost.rows:
        if row.name.partition(":")[0] in macs:
            macs[row.name.partition(":")[0]] += row.macs
    seconds, began = dict.fromkeys(kinds, 0.0), {}

    def start(name: str) -> None:
        synchronize(device)
        began[name] = time.perf_counter()

    def stop(name: str) -> None:
        synchronize(device)
        seconds[name] += time.perf_counter() - began[name]

    for name, layer in kinds.items():  # on the copy, so there is nothing to remove
        layer.register_forward_pre_hook(lambda m, args, name=name: start(name))
        layer.register_forward_hook(lambda m, args, out, name=name: stop(name))
    passes = []
    with _rng_preserved(device):
        for _ in range(WARM_UP + runs):
            seconds.update(dict.fromkeys(kinds, 0.0))
            whole = time_call(benchmark.forward, device)
            passes.append(seconds | {_REST: whole - sum(seconds.values())})
    middle = {name: median(p[name] for p in passes[WARM_UP:]) for name in passes[0]}
    total = sum(middle.values())
    return [
        LayerTime(
            name,
            type(kinds[name]).__name__ if name in kinds else "",
            macs.get(name, benchmark.cost.macs - sum(macs.values())),
            _rounded(took),
            _rounded(took / total, 3),
        )
        for name, took in middle.items()
    ]


def load(name: str = "measured-cpu") -> dict:
    """Stored rows, ``data/runs/NAME.json``: machine and date in the head, ``rows``, ``batches`` and ``machine``."""
    path = resources.folder() / "runs" / f"{name}.json"
    if not path.is_file():
        raise ValueError(f"{path.name} is not in {path.parent}: make it with tools/measure_networks.py")
    return json.loads(path.read_text(encoding="utf-8"))
