"""What papers and other tools would print for a network that we have traced, and why their numbers differ.

All of them follow from one trace, since it tells each kind of arithmetic apart. None of them is wrong by
itself: they answer different questions under one word.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import prod
from typing import NamedTuple

from torch import nn

from cnnlib.costs.cost import Cost
from cnnlib.costs.operations import Work
from cnnlib.costs.rows import Row
from cnnlib.table import Table


class Convention(NamedTuple):
    """One way to count: who prints it, under which word, the number, and what it holds."""

    who: str
    word: str
    count: Callable[[Cost], int | float]
    why: str


def _work(cost: Cost, op: str) -> Work:
    return cost.ops.get(op, Work())


def _fvcore(cost: Cost) -> int:
    norm = 2 * _work(cost, "native_batch_norm").norm
    norm += 5 * sum(_work(cost, f"native_{kind}_norm").norm for kind in ("layer", "group"))
    return cost.macs + norm + _work(cost, "_adaptive_avg_pool2d").pool + _work(cost, "mean").pool


def _layers(cost: Cost) -> Iterator[tuple[Row, nn.Module]]:
    """Each call of a module that holds no modules: all that a counter with hooks sees."""
    modules = {name or type(m).__name__: m for name, m in cost.module.named_modules()}
    for row in cost.rows:
        module = modules.get(row.name)
        if module is not None and next(module.children(), None) is None:
            yield row, module


def _torchinfo(cost: Cost) -> int:
    places = {id(row): prod(row.out[1:]) if "Conv" in row.kind else 1 for row in cost.rows}
    return sum(
        p.numel() * places[id(row)]
        for row, module in _layers(cost)
        for name, p in module.named_parameters()
        if name in ("weight", "bias")
    )


def _pycls(cost: Cost) -> int:
    biases = (m.bias for r, m in _layers(cost) if r.layer and getattr(m, "bias", None) is not None)
    return cost.macs + sum(bias.numel() for bias in biases)


def _pycls_activations(cost: Cost) -> int:
    return sum(r.activations for r in cost.rows if r.layer or r.kind.startswith(("MaxPool", "max_pool")))


CONVENTIONS = (
    Convention(
        "most papers", "FLOPs", lambda cost: cost.macs,
        "They print MACs and call them FLOPs: convolutions, linear layers and matrix products, nothing else.",
    ),
    Convention(
        "torch FlopCounterMode", "FLOPs", lambda cost: 2 * cost.macs,
        "Two FLOPs a MAC, one for the product and one for the sum.",
    ),
    Convention(
        "torchvision metadata", "GFLOPs", lambda cost: round(cost.macs / 1e9, 3),
        "MACs in units of 10^9 with three decimals, at the size of image that the weights were tested on.",
    ),
    Convention(
        "fvcore", "FLOPs", _fvcore,
        "MACs, and 2 for each element of a batch norm, 5 of a layer norm, 1 of an adaptive average pool.",
    ),
    Convention(
        "torchinfo", "mult-adds", _torchinfo,
        "Parameters times places of the output, by module: biases and norms count as products, functional calls "
        "and attention are not seen, and a linear layer counts once a picture, however many places it works at.",
    ),
    Convention(
        "ptflops, aten backend", "MACs", lambda cost: cost.macs + cost.work.bias,
        "MACs, and 1 for each addition of a bias.",
    ),
    Convention(
        "calflops", "MACs", lambda cost: cost.macs,
        "MACs as we count them; its FLOPs are two a MAC and add norms, activations, pools and biases.",
    ),
    Convention(
        "pycls", "flops", _pycls,
        "MACs, and 1 for each bias parameter: a bias counts once a layer and not once a place.",
    ),
    Convention(
        "pycls", "acts", _pycls_activations,
        "Numbers put out by convolutions, linear layers and maximum pools.",
    ),
)  # fmt: skip


def printed(cost: Cost) -> Table:
    """One line for each convention: its number for this network, and what that number holds.

    Raises ``ValueError`` if the trace is of a batch: papers and tools print one image.
    """
    if cost.batch != 1:
        raise ValueError(f"batch={cost.batch}: papers and tools print one image, so trace with batch=1")
    rows = ((c.who, c.word, c.count(cost), c.why) for c in CONVENTIONS)
    columns = ("printed by", "called", "number", "what it holds")
    return Table(columns, rows, f"{cost.name}: one network, one image.").warn(cost.warning)
