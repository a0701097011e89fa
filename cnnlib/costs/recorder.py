"""One run of a network, written down operation by operation."""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch._C import DisableTorchFunction
from torch.nn import functional as F

from cnnlib.costs.counter import Counter, tensors_in
from cnnlib.costs.fast_path import FastPath
from cnnlib.costs.memory import LiveMaps, key
from cnnlib.costs.meta_copy import MetaCopy, Shape
from cnnlib.costs.operation_words import SPLITS, WORDS, NotExportable
from cnnlib.costs.places import Place, depends
from cnnlib.costs.rows import ModuleCall, Operation, Row, count_parameters, rows_of, unused_rows
from cnnlib.shapes import Span


class _Maps(LiveMaps):
    """Also remembers when each map died."""

    def __init__(self) -> None:
        super().__init__()
        self.time = 0  # operations so far
        self.deaths: list[tuple[int, int]] = []
        self.serial = 0
        self._watched: dict[int, weakref.ref] = {}

    def add(self, tensor: Tensor) -> int:
        n_bytes = super().add(tensor)
        if n_bytes:
            made, held = self.serial, key(tensor)
            self.serial += 1

            def died(_: weakref.ref) -> None:
                self.deaths.append((self.time, made))
                del self._watched[held]

            self._watched[held] = weakref.ref(tensor.untyped_storage(), died)
        return n_bytes


class _WholeCalls(FastPath):
    """Leaves pools to PyTorch, which also says whether they keep a last, partial window."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        if func in (F.max_pool2d, F.avg_pool2d):
            return func(*args, **(kwargs or {}))
        return super().__torch_function__(func, types, args, kwargs)


class _Place(NamedTuple):
    """Where the row of an event stands."""

    frame: int
    ops: list[int]
    output: object  # the number of a tensor, or the shape of one that does not depend on the image
    until: int  # operations that have run when it is done
    freed: int  # maps that have died by then


class Recorder(Counter):
    """Writes down every operation of a run."""

    fast_path = _WholeCalls

    def __init__(self, copy: MetaCopy) -> None:
        super().__init__(copy)
        self.alive = _Maps()
        self.frames: list[list] = [["", type(copy.module).__name__, [0], 0]]
        self.written: list[list] = []
        self.shapes: list[Shape] = []  # of the tensors that depend on the image
        self.dtype = copy.dtype
        self._frame_of: dict[int, int] = {id(self.root): 0}
        self._row_at: dict[int, _Place] = {}  # by the id of an event
        self.failed: str | None = None  # why the network did not run to its end
        self.refused: NotExportable | None = None

    def _place_row(self, event: object, frame: int, ops: list[int], output: object) -> None:
        self._row_at[id(event)] = _Place(frame, ops, output, self.alive.time, len(self.alive.deaths))

    def number(self, tensor: Tensor) -> int:
        """Gives a tensor that depends on the image the next number."""
        tensor._cnnlib_number = len(self.shapes)
        self.shapes.append(tuple(tensor.shape))
        return tensor._cnnlib_number

    def _reference(self, tensor: Tensor) -> int | list[int]:
        if depends(tensor):
            return tensor._cnnlib_number
        return list(tensor.shape)

    def enter(self, module: nn.Module, args: Sequence) -> None:
        """Opens a frame for the call of ``module``."""
        super().enter(module, args)
        call = self.stack[-1]
        with DisableTorchFunction():
            inputs = [self._reference(t) for t in tensors_in(args)]
        self._frame_of[id(call)] = len(self.frames)
        self.frames.append([call.name, type(module).__name__, inputs, call.call])

    def leave(self, module: nn.Module, args: Sequence, out: object) -> None:
        """Notes where the row of ``module`` stands."""
        call = self.stack[-1]
        super().leave(module, args, out)
        first = next(iter(tensors_in(out)), None)
        with DisableTorchFunction():
            shown = None if first is None else self._reference(first)
        places = [self._row_at[id(event)] for event in call.events]
        ops = [i for place in places for i in place.ops]
        self._place_row(call, self._frame_of[id(call)], ops, shown)

    def _file_layer(self, module, info, packet, args, out) -> None:
        before = self.alive.serial
        super()._file_layer(module, info, packet, args, out)
        row = self.stack[-1].events[-1]
        frame = len(self.frames)
        inputs = [self._reference(args[0])]
        self.frames.append([row.name if info.names[0] else "", row.kind, inputs, row.call])
        number = self._write(packet, args, [out], frame, before)
        self._place_row(row, frame, [len(self.written) - 1], number)

    def _seen(self, packet, args, result, kwargs=None, fresh: bool = False) -> None:
        before, last, events = self.alive.serial, self._last, self.stack[-1].events
        n_events = len(events)
        super()._seen(packet, args, result, kwargs, fresh)
        outs = tensors_in(result)
        seen = outs and any(map(depends, outs))
        if not seen and self.alive.serial == before and len(events) == n_events:
            return
        number = self._write(packet, args, outs, self._frame_of[id(self.stack[-1])], before)
        if len(events) > n_events:
            self._place_row(events[-1], self.written[-1][1], [len(self.written) - 1], number)
        elif last and self._last is last and last[0] == key(outs[0]) and last[1].numel == outs[0].numel():
            self._row_at[id(last[1])] = self._row_at[id(last[1])]._replace(output=number)

    def _write(self, packet, args, outs: list[Tensor], frame: int, before: int) -> object:
        """Adds the operation; returns the number of its first output."""
        try:
            return self._written_as(packet, args, outs, frame, before)
        except NotExportable as refused:  # whoever runs the network would make another error of it
            self.refused = refused
            raise

    def _written_as(self, packet, args, outs: list[Tensor], frame: int, before: int) -> object:
        name = packet.__name__
        name = name.rstrip("_") or name
        new = self.alive.serial - before
        if new and any(t.dtype is not self.dtype for t in outs if t.is_floating_point()):
            raise NotExportable(f"{self.place(frame)} makes a map of another dtype, in {name}")
        if not any(map(depends, outs)):
            self.alive.time = len(self.written) + 1
            shapes = [list(t.shape) for t in outs]
            self.written.append(["fixed", frame, [], {"shapes": shapes}, new])
            return shapes[0]
        if name in SPLITS:
            return self._write_pieces(args, outs, frame)
        written = WORDS.get(name)
        if written is None:
            raise NotExportable(f"{self.place(frame)} runs {name}, for which there is no rule")
        try:
            word, ins, settings = written(args, outs[0])
        except NotExportable as why:
            raise NotExportable(f"{self.place(frame)} runs {name}: {why}") from None
        inputs = [self._reference(t) for t in ins]
        if word not in (name, "same", "conv", "linear", "pool") and (word, name) != ("join", "add"):
            settings["name"] = name.strip("_")
        self.alive.time = len(self.written) + 1
        self.written.append([word, frame, inputs, settings, new])
        return self.number(outs[0])

    def _write_pieces(self, args, outs: list[Tensor], frame: int) -> int:
        """Each piece of a tensor that is cut, as a slice."""
        x, dim, start = args[0], (args[2] if len(args) > 2 else 0), 0
        whole, numbers = self._reference(x), []
        for out in outs:
            end = start + out.shape[dim]
            settings = {"dim": dim % x.ndim, "start": start, "end": end, "step": 1, "name": "split"}
            self.written.append(["slice", frame, [whole], settings, 0])
            numbers.append(self.number(out))
            start = end
        self.alive.time = len(self.written)
        return numbers[0]

    def place(self, frame: int) -> str:
        """The layer that a frame belongs to, in words."""
        name, kind = self.frames[frame][:2]
        return f"layer {name!r} ({kind})" if name else kind

    def rows(self, copy: MetaCopy) -> Iterator[list]:
        """As ``trace`` lists them."""
        for event in self.root.events:
            yield from self._rows(event)
        for row in unused_rows(copy.module, self.unused.values()):
            yield [row.name, row.kind, row.params, None, [], 0, 0, 0]

    def _rows(self, event: ModuleCall | Row) -> Iterator[list]:
        if isinstance(event, Row):
            yield self._row(event, "", event.params, event.layer)
        elif event.is_layer:
            (row,) = rows_of(event)
            yield self._row(event, "", row.params, row.layer)
        else:
            for e in event.events:
                if not isinstance(e, Operation):
                    yield from self._rows(e)
                elif e.has_row:
                    params = count_parameters(e.first_used)["params"]
                    yield self._row(e, e.op.rstrip("_"), params, e.layer)

    def _row(self, event: ModuleCall | Row | Operation, op: str, params: int, layer: bool) -> list:
        at = self._row_at[id(event)]
        return [at.frame, op, params, at.output, at.ops, int(layer), at.until, at.freed]


def record(net: nn.Module, image: Shape, batch: int, dtype: torch.dtype | None) -> tuple[Recorder, MetaCopy]:
    """One run; where the network refuses the image, ``failed`` says so and the operations until then are there."""
    copy = MetaCopy(net, image, batch, dtype)
    recorder = Recorder(copy)
    inputs = copy.inputs()
    for x in inputs:
        x._cnnlib_axes = (None, None, *(Place(dim, Span()) for dim in range(x.ndim - 2)))
        recorder.alive.add(x)
        recorder.number(x)
    del x
    try:
        copy.run(inputs, recorder)
    except ValueError as error:
        if recorder.refused:
            raise recorder.refused from None
        recorder.failed = str(error)
    return recorder, copy
