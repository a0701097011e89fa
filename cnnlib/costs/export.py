"""A network as a list of operations without sizes, from which another program can work out sizes and costs.

``export(net, image)`` runs the network on a few images without numbers and keeps what is the same on all of them:
which operation reads which tensor, with which kernel, stride and so on. Where an argument hangs on the image, such
as the shape that a map is flattened to, the runs tell how. What cannot be told so is refused, never guessed.

The result holds lists, strings and whole numbers, so that it can be written as JSON:

* ``frames``: calls of modules, ``[name, kind, inputs, call]``, the network itself first;
* ``ops``: operations in order, ``[word, frame, inputs, settings, bytes]``. An input is the number of a tensor, 0 for
  the image and then one for each output of each operation, or the shape of one that does not depend on the image.
  The last entry says how many outputs lie in new memory; for an operation without an input from the image, how many
  elements they have;
* ``frees``: ``[operations before, tensor, ...]``, when the memory of a map is given back;
* ``rows``: ``[frame, operation or "", params, output, ops, layer, until, freed]``, as ``cnnlib.trace`` lists
  them; when a row is done, ``until`` operations have run and ``freed`` maps have died.

In ``settings`` a number may be ``{"tensor": t, "axis": k, "plus": n}``: the length of axis ``k`` of a tensor, and
``n``; and in the shape of a view ``{"product": [i, j]}``: all units of the axes from ``i`` to before ``j``. A stride
or dilation of 1 and a padding of 0 are not written.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import prod
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch._C import DisableTorchFunction
from torch.nn import functional as F

from cnnlib.costs.counter import Counter, tensors_in
from cnnlib.costs.fast_path import FastPath
from cnnlib.costs.memory import LiveMaps, key
from cnnlib.costs.meta_copy import MetaCopy, without_garbage_collection
from cnnlib.costs.places import Place, depends
from cnnlib.costs.receptive_field import each, pool_settings
from cnnlib.costs.rows import ModuleCall, Operation, Row, count_parameters, rows_of, unused_rows
from cnnlib.shapes import Span

Shape = tuple[int, ...]
Settings = dict[str, object]
VERSION = 1


class NotExportable(ValueError):
    """The structure of a network hangs on the image, or on an operation that nobody can replay."""


# What each operation is written as: a word that says how shapes follow, its inputs, and its settings.


def _conv(args: Sequence, out: Tensor) -> tuple[str, list, Settings]:
    x, weight, _, stride, pad, dilation, transposed = args[:7]
    n = weight.ndim - 2
    if transposed or depends(weight) or n != 2:
        raise NotExportable("only convolutions of maps with fixed weights are known")
    settings = {
        "out": weight.shape[0], "per": weight.shape[1], "kernel": weight.shape[2:],
        "stride": each(stride, n), "pad": each(pad, n), "dilation": each(dilation, n),
    }  # fmt: skip
    return "conv", [x], settings


def _linear(i: int) -> Callable[[Sequence, Tensor], tuple[str, list, Settings]]:
    def written(args: Sequence, out: Tensor) -> tuple[str, list, Settings]:
        x, weight = args[i : i + 2]
        if depends(weight) or not depends(x) or (i and depends(args[0])):
            raise NotExportable("only products of a map with fixed weights are known")
        return "linear", [x], {"in": x.shape[-1], "out": out.shape[-1]}

    return written


def _pool(args: Sequence, out: Tensor) -> tuple[str, list, Settings]:
    kernel, stride, pad = pool_settings(args)
    maximum = len(args) > 4 and not isinstance(args[4], bool)
    dilation = args[4] if maximum else 1
    ceil = args[5] if maximum and len(args) > 5 else args[4] if len(args) > 4 and not maximum else False
    settings = {
        "kernel": kernel,
        "stride": stride,
        "pad": pad,
        "dilation": each(dilation, 2),
        "ceil": bool(ceil),
    }
    return "pool", [args[0]], settings


def _max_pool(args: Sequence, out: Tensor) -> tuple[str, list, Settings]:
    word, ins, settings = _pool(args, out)
    return word, ins, {**settings, "max": True}


def _dims(x: Tensor, dims: object) -> list[int]:
    dims = range(x.ndim) if dims is None or dims == [] else dims
    return [d % x.ndim for d in (dims if isinstance(dims, Sequence) else [dims])]


def _reduced(args: Sequence, out: Tensor) -> tuple[str, list, Settings]:
    x, dims = args[0], args[1] if len(args) > 1 else None
    return "reduce", [x], {"dims": _dims(x, dims), "keep": out.ndim == x.ndim}


def _normed(args: Sequence, out: Tensor) -> tuple[str, list, Settings]:
    return "same", [args[0]], {"channels": args[0].shape[1]}


def _layer_norm(args: Sequence, out: Tensor) -> tuple[str, list, Settings]:
    return "norm", [args[0]], {"last": args[1]}


def _same(args: Sequence, out: Tensor) -> tuple[str, list, Settings]:
    return "same", [args[0]], {}


def _joined(args: Sequence, out: Tensor) -> tuple[str, list, Settings]:
    return "join", [t for t in args if isinstance(t, Tensor)], {}


def _slice(args: Sequence, out: Tensor) -> tuple[str, list, Settings]:
    x, (dim, start, end, step) = args[0], (*args[1:], *(0, None, None, 1)[len(args) - 1 :])
    end = None if end is not None and end > 2**60 else end
    return "slice", [x], {"dim": dim % x.ndim, "start": start or 0, "end": end, "step": step}


def _picked(args: Sequence, out: Tensor) -> tuple[str, list, Settings]:
    picks = [(i, pick) for i, pick in enumerate(args[1]) if pick is not None]
    ((dim, pick),) = picks if len(picks) == 1 else [(0, None)]
    if pick is None or depends(pick) or pick.ndim != 1 or pick.dtype is torch.bool or dim != 1:
        raise NotExportable("only a fixed list of channels can be picked")
    return "pick", [args[0]], {"dim": dim, "length": out.shape[dim]}


def _strided(args: Sequence, out: Tensor) -> tuple[str, list, Settings]:
    if out.shape != args[0].shape:
        raise NotExportable("its output lies anywhere in the memory of its input")
    return "lost", [args[0]], {}


def _permuted(args: Sequence, out: Tensor) -> tuple[str, list, Settings]:
    return "permute", [args[0]], {"dims": [d % out.ndim for d in args[1]]}


def _transposed(args: Sequence, out: Tensor) -> tuple[str, list, Settings]:
    dims = list(range(out.ndim))
    i, j = args[1:3] if len(args) > 2 else (0, -1)
    dims[i], dims[j] = dims[j], dims[i]
    return "permute", [args[0]], {"dims": dims}


def _squeezed(args: Sequence, out: Tensor) -> tuple[str, list, Settings]:
    x = args[0]
    dims = [i for i in _dims(x, args[1] if len(args) > 1 else None) if x.shape[i] == 1]
    return "squeeze", [x], {"dims": dims}


def _view(args: Sequence, out: Tensor) -> tuple[str, list, Settings]:
    return "view", [args[0]], {"asked": tuple(args[1]) if len(args) > 1 else tuple(out.shape)}


def _written(names: str, way: Callable) -> dict[str, Callable]:
    return dict.fromkeys(names.split(), way)


_WORDS: dict[str, Callable[[Sequence, Tensor], tuple[str, list, Settings]]] = {
    **_written("convolution", _conv),
    **_written("mm", _linear(0)),
    **_written("addmm", _linear(1)),
    **_written("max_pool2d_with_indices max_pool2d", _max_pool),
    **_written("avg_pool2d", _pool),
    "_adaptive_avg_pool2d": lambda args, out: ("adaptive", [args[0]], {"sizes": args[1]}),
    **_written("mean sum amax amin", _reduced),
    "native_batch_norm": _normed,
    **_written("native_layer_norm", _layer_norm),
    **_written(
        """relu relu6 threshold hardtanh hardswish hardsigmoid sigmoid tanh silu gelu elu celu selu leaky_relu
        softplus mish hardshrink softshrink neg pow square sqrt rsqrt exp log log1p abs sin cos reciprocal clamp
        clamp_min clamp_max clone contiguous alias detach dropout""",
        _same,
    ),
    **_written("add sub rsub mul div maximum minimum prelu _prelu_kernel", _joined),
    "cat": lambda args, out: ("cat", list(args[0]), {"dim": (args[1] if len(args) > 1 else 0) % out.ndim}),
    **_written("view _unsafe_view reshape _reshape_alias view_copy flatten", _view),
    "permute": _permuted,
    **_written("transpose t numpy_T", _transposed),
    "unsqueeze": lambda args, out: ("unsqueeze", [args[0]], {"dim": args[1] % out.ndim}),
    "squeeze": _squeezed,
    "slice": _slice,
    "index": _picked,
    "constant_pad_nd": lambda args, out: ("pad", [args[0]], {"pads": tuple(args[1])}),
    "as_strided": _strided,
    **_written(
        "_softmax _log_softmax",
        lambda args, out: ("along", [args[0]], {"dim": args[1] % out.ndim}),
    ),
}  # fmt: skip
_SPLITS = ("split", "split_with_sizes", "chunk", "unsafe_split", "unsafe_chunk")


# One run, written down


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


class _Recorder(Counter):
    """Writes down every operation of a run."""

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

    def __enter__(self) -> Counter:
        found = super().__enter__()
        self._shortcuts.__exit__(None, None, None)
        self._shortcuts = _WholeCalls(self._answered)
        self._shortcuts.__enter__()
        return found

    def enter(self, module: nn.Module, args: Sequence) -> None:
        super().enter(module, args)
        call = self.stack[-1]
        with DisableTorchFunction():
            inputs = [self._reference(t) for t in tensors_in(args)]
        self._frame_of[id(call)] = len(self.frames)
        self.frames.append([call.name, type(module).__name__, inputs, call.call])

    def leave(self, module: nn.Module, args: Sequence, out: object) -> None:
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
            raise NotExportable(f"{self._place(frame)} makes a map of another dtype, in {name}")
        if not any(map(depends, outs)):
            self.alive.time = len(self.written) + 1
            shapes = [list(t.shape) for t in outs]
            self.written.append(["fixed", frame, [], {"shapes": shapes}, new])
            return shapes[0]
        if name in _SPLITS:
            return self._write_pieces(args, outs, frame)
        written = _WORDS.get(name)
        if written is None:
            raise NotExportable(f"{self._place(frame)} runs {name}, for which there is no rule")
        try:
            word, ins, settings = written(args, outs[0])
        except NotExportable as why:
            raise NotExportable(f"{self._place(frame)} runs {name}: {why}") from None
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

    def _place(self, frame: int) -> str:
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


def _run(net: nn.Module, image: Shape, batch: int, dtype: torch.dtype | None) -> tuple[_Recorder, MetaCopy]:
    """One run; where the network refuses the image, ``failed`` says so and the operations until then are there."""
    copy = MetaCopy(net, image, batch, dtype)
    recorder = _Recorder(copy)
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


# What several runs have in common

Axis = dict[str, int]  # {"tensor": number, "axis": k, "plus": n}: a length that depends on the image


@dataclass(frozen=True)
class _Seen:
    """What one operation read and made in each of several runs, to tell where its numbers come from."""

    what: str
    known: Sequence[
        tuple[int, Sequence[Shape]]
    ]  # tensors that it may have asked for a length, the likeliest first
    made: Sequence[Shape]

    def cannot(self) -> NotExportable:
        return NotExportable(f"{self.what} depends on the size of the image in a way that cannot be followed")

    def fitted(self, values: Sequence[object]) -> object:
        """A setting as a constant, or by the length of an axis."""
        if all(v == values[0] for v in values):
            return (
                list(values[0])
                if isinstance(values[0], Sequence) and type(values[0]) is not str
                else values[0]
            )
        if all(isinstance(v, Sequence) and len(v) == len(values[0]) for v in values):
            return [self.fitted(each_axis) for each_axis in zip(*values, strict=True)]
        if not all(isinstance(v, int) for v in values):
            raise self.cannot()
        for most in (0, 10**9):  # a length as it is, rather than a sum
            for tensor, shapes in self.known:
                for axis in range(len(shapes[0])):
                    more = {v - shape[axis] for v, shape in zip(values, shapes, strict=True)}
                    if len(more) == 1 and abs(plus := more.pop()) <= most:
                        return {"tensor": tensor, "axis": axis, "plus": plus}
        raise self.cannot()

    def fitted_view(self, asked: Sequence[Shape]) -> list[object]:
        """The shape that a view asks for: with a -1 as it stands, else by runs of axes that hold the same units."""
        if any(-1 in shape for shape in asked):
            return self.fitted(asked)
        (tensor, ins), outs = self.known[0], self.made
        found: list[object] = []
        i = 0
        while i < len(ins[0]) or len(found) < len(outs[0]):
            i_end, j_end = self._same_units(ins, i, len(found))
            sides = [[shape[k] for shape in outs] for k in range(len(found), j_end)]
            varied = [k for k, side in enumerate(sides) if len(set(side)) > 1]
            if i_end == i + 1 and len(sides) == 1:
                found.append({"tensor": tensor, "axis": i, "plus": 0})
            elif len(sides) == 1:
                found.append({"product": [i, i_end]})
            elif len(varied) == 1 and -1 not in found:
                found += [-1 if k in varied else side[0] for k, side in enumerate(sides)]
            else:
                found += map(self.fitted, sides)
            i = i_end
        return found

    def _same_units(self, ins: Sequence[Shape], i: int, j: int) -> tuple[int, int]:
        """The shortest runs of axes from ``i`` and ``j`` on that hold equally many units in every run."""
        ends = [
            (a, b)
            for a in range(i, len(ins[0]) + 1)
            for b in range(j, len(self.made[0]) + 1)
            if (a, b) != (i, j)
        ]
        for a, b in sorted(ends, key=lambda end: (sum(end), end)):
            if all(prod(x[i:a]) == prod(y[j:b]) for x, y in zip(ins, self.made, strict=True)):
                return a, b
        raise self.cannot()


_USUAL = {"stride": [1, 1], "pad": [0, 0], "dilation": [1, 1], "ceil": False}  # need not be written


def _common(runs: Sequence[_Recorder]) -> list[list]:
    """The operations of the first run, with settings that hold for all."""
    first, number, found = runs[0], 1, []
    for i, (word, frame, inputs, settings, new) in enumerate(first.written):
        here = [run for run in runs if i < len(run.written)]
        what = f"{first._place(frame)}: its {settings.get('name', word)}"
        if any(not run.failed for run in runs if run not in here):
            raise NotExportable(f"{what} does not run on another image")
        if any(run.written[i][:3] != [word, frame, inputs] or run.written[i][4] != new for run in here):
            raise NotExportable(f"{what} is something else on another image")
        sources = dict.fromkeys(n for n in (*inputs, *first.frames[frame][2]) if type(n) is int)
        known = [(n, [run.shapes[n] for run in here]) for n in sources]
        made = [run.shapes[number] for run in here] if word != "fixed" else ()
        seen = _Seen(what, known, made)
        values = {name: [run.written[i][3][name] for run in here] for name in settings}
        common = {
            name: seen.fitted_view(v) if (word, name) == ("view", "asked") else seen.fitted(v)
            for name, v in values.items()
        }
        number += word != "fixed"
        common = {name: value for name, value in common.items() if value != _USUAL.get(name)}
        found.append([word, frame, inputs, common, new])
    return found


def _probes(image: Shape, smallest: int) -> list[tuple[Shape, int]]:
    """The images to run: its own, a larger one that is not square, and the smallest, in batches of other sizes."""
    channels, h, w = image
    return [(image, 1), (image, 3), ((channels, h + 64, w + 32), 5), ((channels, smallest, smallest), 2)]


def _export(net: nn.Module, image: Shape, dtype: torch.dtype | None) -> dict:
    limits = getattr(net, "image_limits", None)
    smallest = limits.smallest if limits else max(1, min(image[1:]) // 2)
    (first, copy), *others = [_run(net, shape, batch, dtype) for shape, batch in _probes(image, smallest)]
    if first.failed:
        raise ValueError(first.failed)
    ops = _common([first, *(recorder for recorder, _ in others)])
    return {
        "format": "cnnlib costs", "version": VERSION, "name": copy.name, "image": list(image),
        "limits": [limits.channels, limits.smallest, limits.largest] if limits else None,
        "dtype": str(copy.dtype)[6:],
        "frames": first.frames,
        "ops": ops,
        "frees": [n for death in first.alive.deaths for n in death],
        "rows": list(first.rows(copy)),
    }  # fmt: skip


def export(net: nn.Module, image: Shape, dtype: torch.dtype | None = None) -> dict:
    """The operations of ``net`` for images like ``image``, (C, H, W), as the module's own words describe them.

    Raises ``NotExportable``, a ``ValueError``, where the structure depends on the image or an operation is not
    known, and ``ValueError`` if the network cannot run on ``image``.
    """
    if not (isinstance(image, tuple) and len(image) == 3):
        raise ValueError(f"image={image!r}: need (channels, height, width) of one image")
    return without_garbage_collection(lambda: _export(net, image, dtype))
