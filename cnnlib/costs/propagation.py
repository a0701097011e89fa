"""What the outputs of an operation see: its rule is found and its outputs are marked."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from cnnlib.costs.clone import ATOMIC_TYPES
from cnnlib.costs.data_movement import SPLITS, each_piece
from cnnlib.costs.indexing import mark_range
from cnnlib.costs.operations import aten
from cnnlib.costs.places import LOST, Axes, Unknown, depends, joined

Look = Callable[[Sequence, Tensor], Axes]


def tensors_in(tree: object) -> list[Tensor]:
    """All tensors in a structure; the usual ones, which are flat, take a short way."""
    if isinstance(tree, Tensor):
        return [tree]
    if type(tree) not in (tuple, list):
        return [] if type(tree) in ATOMIC_TYPES else [t for t in tree_leaves(tree) if isinstance(t, Tensor)]
    found: list[Tensor] = []
    for part in tree:
        kind = type(part)
        if kind is Tensor or kind is nn.Parameter:
            found.append(part)
        elif kind not in ATOMIC_TYPES:
            found += tensors_in(part)
    return found


def propagate(
    packet, look: Look | None, args: Sequence, outs: Sequence[Tensor], ins: Sequence[Tensor], layer: str
) -> Axes:
    """Marks what the outputs of an operation see, which runs in ``layer``, and returns what the first does.

    ``look``: its rule; without one an output sees what the inputs see.
    """
    if not any(map(depends, ins)):
        if packet is aten.slice:
            look(args, outs[0])  # remembers of what, as images are written into zeros
        elif packet is aten.arange:
            mark_range(args, outs[0])
        found = [()] * len(outs)
    elif look is each_piece:
        found = SPLITS[packet](args, outs)
    else:
        found = [look(args, outs[0]) if look else joined(ins, outs[0].ndim)] * len(outs)
    for t, axes in zip(outs, found, strict=True):
        axes = named(axes, packet, layer)
        t._cnnlib_axes = axes if t.ndim == len(axes) or not axes else joined(ins, t.ndim)
    whole = outs[0]
    while packet is aten.copy_ and hasattr(whole, "_cnnlib_slice_of"):  # what was written into
        whole = whole._cnnlib_slice_of[0]
    return whole._cnnlib_axes


def named(axes: Axes, packet, layer: str) -> Axes:
    """Places that were lost just now, with the operation that lost them and where it stands."""
    if LOST not in axes:
        return axes
    here = Unknown(packet.__name__.strip("_") + (f" in {layer}" if layer else ""))
    return tuple(here if entry == LOST else entry for entry in axes)
