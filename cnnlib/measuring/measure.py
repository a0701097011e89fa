"""Measured beside predicted: time, memory and energy of networks on this machine, in rows.

    rows = measure.networks({"alexnet": (cnnlib.build("alexnet"), (3, 224, 224))}, batch=4)
    table.of(rows)

Copies run: the networks, their gradients, modes and all random state stay as they are.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median, quantiles

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

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
    bytes_moved: int  # of the forward pass, see costs.traffic
    forward: float  # median seconds
    spread: float  # of the forward times: width of the middle half, as a share of the median
    fastest: float  # of the forward times
    slowest: float
    step: float  # median seconds of a training step
    step_spread: float
    images_per_second: float  # forward
    weights: int  # of parameters and buffers
    predicted_memory: int  # cost.memory
    memory: int | str
    predicted_training: int  # cost.training_memory, and a gradient for each trainable parameter
    training: int | str
    energy: float | str  # of the forward pass


class Benchmark:
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
        """One forward pass without gradients, on a copy of the batch."""
        with torch.no_grad():
            self.net(*[x.clone() for x in self.images])

    def step(self) -> None:
        """One training step that leaves the weights as they are."""
        with torch.inference_mode(False), torch.enable_grad():
            outs = tree_leaves(self.net(*[x.clone() for x in self.images]))
            sum(
                t.float().square().mean() for t in outs if isinstance(t, Tensor) and t.requires_grad
            ).backward()
        sgd = torch.optim.SGD(self.trained, lr=0.0)  # the arithmetic of a step, and weights that stay
        sgd.step()
        sgd.zero_grad()

    def fixed(self) -> dict[str, int | float | str]:
        """The fields of its row that do not hang on the clock; leaves the network in evaluation mode."""
        self.net.train()
        training = peak_memory(self.step, self.device)
        self.net.eval()
        energy = joules(self.forward, self.device)
        return {
            "name": self.name,
            "batch": self.batch,
            "macs": self.cost.macs,
            "bytes_moved": self.bytes_moved,
            "weights": _n_bytes(self.net.state_dict().values()),
            "predicted_memory": self.cost.memory,
            "memory": peak_memory(self.forward, self.device),
            "predicted_training": self.cost.training_memory + _n_bytes(self.trained),
            "training": training,
            "energy": energy if isinstance(energy, str) else rounded(energy, 3),
        }


def _n_bytes(found: Iterable[object]) -> int:
    return sum(t.numel() * t.element_size() for t in found if isinstance(t, Tensor))


def timing(forward: Sequence[float], step: Sequence[float], batch: int) -> dict[str, float]:
    """The fields of a row that its times make: medians, spreads and extremes."""
    middle = median(forward)
    return {
        "forward": rounded(middle),
        "spread": _spread(forward),
        "fastest": rounded(min(forward)),
        "slowest": rounded(max(forward)),
        "step": rounded(median(step)),
        "step_spread": _spread(step),
        "images_per_second": rounded(batch / middle, 3),
    }


def _spread(times: Sequence[float]) -> float:
    """Width of the middle half as a share of the median; 0 of a single time."""
    if len(times) < 2:
        return 0.0
    low, middle, high = quantiles(times, n=4, method="inclusive")
    return rounded((high - low) / middle, 2)


def at_least_one(runs: int) -> None:
    """``ValueError`` for a number of runs below 1."""
    if isinstance(runs, bool) or not isinstance(runs, int) or runs < 1:
        raise ValueError(f"runs={runs!r}: need a whole number of at least 1")


def rounded(value: float, digits: int = 4) -> float:
    """With so many significant digits."""
    return float(f"{value:.{digits}g}")


@contextmanager
def rng_preserved(device: torch.device) -> Iterator[None]:
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
    at_least_one(runs)
    device = find_device(device)
    benchmarks = [Benchmark(*job, device) for job in jobs]
    for s in benchmarks:
        if not s.trained:
            raise ValueError(f"{s.name} has no parameter that wants a gradient: no training step to measure")
    with rng_preserved(device):
        for s in benchmarks:
            s.net.eval()
        forward = _interleaved([s.forward for s in benchmarks], device, runs, clock)
        for s in benchmarks:
            s.net.train()
        step = _interleaved([s.step for s in benchmarks], device, runs, clock)
        return [
            Measured(**s.fixed(), **timing(*times, s.batch))
            for s, *times in zip(benchmarks, forward, step, strict=True)
        ]


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
    """One layer in a forward pass: all its runs within one pass together."""

    name: str
    kind: str
    batch: int
    macs: int
    bytes_moved: int  # maps in and out, weights and buffers, each once a run
    forward: float  # median seconds
    share: float  # of the whole pass


def layers(
    net: nn.Module,
    image: Shape,
    batch: int = 1,
    device: str | torch.device = "cpu",
    runs: int = 7,
    clock: Clock = time.perf_counter,
) -> list[LayerTime]:
    """Where the time of a forward pass goes: a row for each layer without layers inside, and one for the rest.

    On a GPU the device is waited for around each layer, which makes the pass slower than :func:`networks` says.
    """
    at_least_one(runs)
    device = find_device(device)
    benchmark = Benchmark("", net, image, batch, device)
    kinds = {n: m for n, m in benchmark.net.eval().named_modules() if next(m.children(), None) is None}
    macs, moved = dict.fromkeys(kinds, 0), dict.fromkeys(kinds, 0)
    for row in benchmark.cost.rows:
        if row.name.partition(":")[0] in macs:
            macs[row.name.partition(":")[0]] += row.macs
    seconds, began = dict.fromkeys(kinds, 0.0), {}

    def start(name: str) -> None:
        synchronize(device)
        began[name] = clock()

    def stop(name: str, layer: nn.Module, *maps: object) -> None:
        synchronize(device)
        seconds[name] += clock() - began[name]
        moved[name] += _n_bytes([*tree_leaves(maps), *layer.parameters(), *layer.buffers()])

    for name, layer in kinds.items():  # on the copy, so there is nothing to remove
        layer.register_forward_pre_hook(lambda m, args, name=name: start(name))
        layer.register_forward_hook(lambda m, args, out, name=name: stop(name, m, args, out))
    passes = []
    with rng_preserved(device):
        for _ in range(WARM_UP + runs):
            seconds.update(dict.fromkeys(kinds, 0.0))
            moved.update(dict.fromkeys(kinds, 0))
            whole = time_call(benchmark.forward, device, clock)
            passes.append(seconds | {_REST: whole - sum(seconds.values())})
    middle = {name: median(p[name] for p in passes[WARM_UP:]) for name in passes[0]}
    total = sum(middle.values())
    return [
        LayerTime(
            name,
            type(kinds[name]).__name__ if name in kinds else "",
            batch,
            macs.get(name, benchmark.cost.macs - sum(macs.values())),
            moved.get(name, 0),
            rounded(took),
            rounded(took / total, 3),
        )
        for name, took in middle.items()
    ]
