"""Rows as tables: added up by part of the network, size of the map or kind of layer; the dearest; all columns."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import floor

import torch

from cnnlib.costs.operations import Work
from cnnlib.costs.rows import Row
from cnnlib.shapes import Span
from cnnlib.table import Share, Table

QUANTITIES = ("params", "trainable", "frozen", "buffers", "macs", "activations", "memory", "live")


def module_of(row: Row) -> str:
    """Dotted name of the module that ran: "layer1.0" of "layer1.0:add"; the operation itself at the top."""
    return row.name.split(" ")[0].split(":")[0]


def by_depth(rows: Sequence[Row], depth: int, caption: str) -> Table:
    """One line for each part of the network, named by the first ``depth`` pieces of its rows' names.

    1 gives ResNet's stages, 2 its blocks. Raises ``ValueError`` if ``depth`` is no whole number of at least 1.
    """
    if isinstance(depth, bool) or not isinstance(depth, int) or depth < 1:
        raise ValueError(f"depth={depth!r}: need a whole number of at least 1")
    return _fold("part", rows, lambda row: ".".join(module_of(row).split(".")[:depth]), caption)


def by_kind(rows: Sequence[Row], caption: str) -> Table:
    """One line for each kind of layer or operation."""
    return _fold("kind", rows, lambda row: row.kind, caption)


def by_size(rows: Sequence[Row], caption: str) -> Table:
    """One line for each size of map: a stage, as Lin et al. (2017, sec. 3) define it.

    A gate that looks at the whole map belongs to the stage around it. What comes after the last map is the head.
    """
    last = max((i for i, row in enumerate(rows) if row.sides), default=-1)
    stages: dict[int, str] = {}
    now = "head"
    for i, row in enumerate(rows):
        if i > last:
            now = "head"
        elif row.sides:
            now = "×".join(map(str, row.sides))
        stages[id(row)] = now
    return _fold("map", rows, lambda row: stages[id(row)], caption)


def top(rows: Sequence[Row], k: int, quantity: str, caption: str) -> Table:
    """The ``k`` rows with the most of ``quantity``, and the share of the whole that each has."""
    if quantity not in QUANTITIES:
        raise ValueError(f"quantity={quantity!r}: need one of {', '.join(QUANTITIES)}")
    if isinstance(k, bool) or not isinstance(k, int) or k < 1:
        raise ValueError(f"k={k!r}: need a whole number of at least 1")
    whole = sum(getattr(row, quantity) for row in rows)
    first = sorted(rows, key=lambda row: -getattr(row, quantity))[:k]
    lines = [
        (r.name, r.kind, r.out, getattr(r, quantity), _share(getattr(r, quantity), whole)) for r in first
    ]
    return Table(("layer", "kind", "output", quantity, "share"), lines, caption)


def _share(part: int, whole: int) -> Share | None:
    return Share(part / whole) if whole else None


def _fold(first: str, rows: Sequence[Row], label: Callable[[Row], str], caption: str) -> Table:
    parts: dict[str, list[Row]] = {}
    for row in rows:
        parts.setdefault(label(row), []).append(row)
    whole = {quantity: sum(getattr(row, quantity) for row in rows) for quantity in ("params", "macs")}
    lines = [_line(name, part, whole) for name, part in {**parts, "total": rows}.items()]
    columns = (first, "rows", "layers", "params", "share of params", "MACs", "share of MACs", "activations")
    return Table(columns, lines, caption, total=True)


def _line(name: str, part: Sequence[Row], whole: Mapping[str, int]) -> tuple:
    params, macs = (sum(getattr(row, quantity) for row in part) for quantity in whole)
    return (
        name,
        len(part),
        sum(r.layer for r in part),
        params,
        _share(params, whole["params"]),
        macs,
        _share(macs, whole["macs"]),
        sum(r.activations for r in part if r.layer),
    )


def details(rows: Sequence[Row]) -> Table:
    """Every column there is, plain numbers, memory in bytes."""
    columns = (
        "name", "kind", "out", "params", "trainable", "frozen", "buffers", "param_bytes", "macs",
        *(f"{kind}_ops" for kind in Work._fields[1:]),
        "activations", "memory", "in_place", "live", "sees", "stride", "start",
    )  # fmt: skip
    lines = (
        (
            label(r), r.kind, r.out, r.params, r.trainable, r.frozen, r.buffers, _bytes(r.param_bytes), r.macs,
            *r.work[1:],
            r.activations, r.memory, r.in_place, r.live, sees(r.span), _each(r.span, "stride"),
            _each(r.span, "start"),
        )
        for r in rows
    )  # fmt: skip
    return Table(columns, lines)


def label(row: Row) -> str:
    """Its name, and which call it is if not the first."""
    return row.name + (f" (call {row.call + 1})" if row.call else "")


def _bytes(by_dtype: tuple[tuple[torch.dtype, int], ...]) -> str:
    """``float32 1024``; several dtypes are set apart by a semicolon."""
    return "; ".join(f"{str(dtype)[6:]} {n_bytes}" for dtype, n_bytes in by_dtype)


def _each(span: Span | tuple[Span, ...] | None, field: str) -> object:
    if span is None or isinstance(span, Span):
        return span and getattr(span, field)
    return tuple(getattr(s, field) for s in span)


def sees(span: Span | tuple[Span, ...] | None) -> int | tuple[int, ...] | None:
    """Pixels that a unit sees, one number if square."""
    if span is None or isinstance(span, Span):
        return span and floor(span.size)
    return tuple(floor(s.size) for s in span)
