"""A network as a list of operations without sizes, from which another program can work out sizes and costs.

``export(net, image)`` runs the network on a few images without numbers and keeps what is the same on all of them:
which operation reads which tensor, with which kernel, stride and so on. Where an argument hangs on the image, such
as the shape that a map is flattened to, the runs tell how. What cannot be told so is refused, never guessed.

The result holds lists, strings and whole numbers, so that it can be written as JSON:

* ``frames``: calls of modules, ``[name, kind, inputs, call]``, the network itself first;
* ``ops``: operations in order, ``[word, frame, inputs, settings, new]``. An input is the number of a tensor, 0 for
  the image and then one for each output of each operation, or the shape of one that does not depend on the image.
  ``new`` says how many outputs lie in new memory, each of which is a map. An operation without an input from the
  image is ``fixed``: it lists the shapes of its outputs, which get no numbers;
* ``frees``: ``[operations before, map, ...]``, when the memory of a map, counted from 0 for the image, is given back;
* ``rows``: ``[frame, operation or "", params, output, ops, layer, until, freed]``, as ``cnnlib.trace`` lists
  them; when a row is done, ``until`` operations have run and ``freed`` maps have died. The row of a module that never
  ran holds its name and kind in the first two places, and no output.

In ``settings`` a number may be ``{"tensor": t, "axis": k, "plus": n}``: the length of axis ``k`` of a tensor, and
``n``; and in the shape of a view ``{"product": [i, j]}``: all units of the axes from ``i`` to before ``j``. A stride
or dilation of 1, a padding of 0 and a ``ceil`` of false are not written.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import torch
from torch import nn

from cnnlib.costs.meta_copy import Shape, without_garbage_collection
from cnnlib.costs.operation_words import NotExportable
from cnnlib.costs.recorder import Recorder, record

VERSION = 1


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


def _common(runs: Sequence[Recorder]) -> list[list]:
    """The operations of the first run, with settings that hold for all."""
    first, number, found = runs[0], 1, []
    for i, (word, frame, inputs, settings, new) in enumerate(first.written):
        here = [run for run in runs if i < len(run.written)]
        what = f"{first.place(frame)}: its {settings.get('name', word)}"
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
    if any(len(run.written) > len(first.written) for run in runs):
        raise NotExportable(f"{first.place(0)}: it does more on another image")
    return found


def _probes(image: Shape, smallest: int) -> list[tuple[Shape, int]]:
    """The images to run: its own, a larger one that is not square, and the smallest, in batches of other sizes."""
    channels, h, w = image
    return [(image, 1), (image, 3), ((channels, h + 64, w + 32), 5), ((channels, smallest, smallest), 2)]


def _export(net: nn.Module, image: Shape, dtype: torch.dtype | None) -> dict:
    limits = getattr(net, "image_limits", None)
    smallest = limits.smallest if limits else max(1, min(image[1:]) // 2)
    (first, copy), *others = [record(net, shape, batch, dtype) for shape, batch in _probes(image, smallest)]
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
