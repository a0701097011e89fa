"""Bytes of feature maps: how many are alive at once, and how many each operation reads and writes."""

from __future__ import annotations

import weakref

from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from cnnlib.costs.meta_copy import MetaCopy, Observer, Shape
from cnnlib.costs.operations import RULES


def key(tensor: Tensor) -> int:
    """Names the memory behind a tensor; views share it."""
    return tensor.untyped_storage()._cdata


class LiveMaps:
    """How many bytes they take, and the most they ever took. Integers and masks are no maps."""

    def __init__(self) -> None:
        self.n_bytes = self.peak = 0
        self._held: dict[int, weakref.ref] = {}

    def __contains__(self, tensor: Tensor) -> bool:
        return key(tensor) in self._held

    def add(self, tensor: Tensor) -> int:
        """Counts a new map until it is freed; returns its bytes."""
        if not (tensor.is_floating_point() or tensor.is_complex()):
            return 0
        storage = tensor.untyped_storage()
        held, n_bytes = storage._cdata, storage.nbytes()
        self.n_bytes += n_bytes
        if self.n_bytes > self.peak:
            self.peak = self.n_bytes

        def free(_: weakref.ref) -> None:
            self.n_bytes -= n_bytes
            del self._held[held]

        self._held[held] = weakref.ref(storage, free)
        return n_bytes


class _Traffic(Observer, TorchDispatchMode):
    """Adds up what each operation reads and writes."""

    def __init__(self) -> None:
        super().__init__()
        self.n_bytes = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        ins = [t for t in tree_leaves((args, kwargs)) if isinstance(t, Tensor)]
        outs = [t for t in tree_leaves(result) if isinstance(t, Tensor)]
        looks = {key(t) for t in ins}.issuperset(map(key, outs)) and func.overloadpacket not in RULES
        if not looks:  # a view moves nothing
            self.n_bytes += sum(t.numel() * t.element_size() for t in ins + outs)
        return result


def traffic(net: nn.Module, image: Shape | list[Shape], batch: int = 1) -> int:
    """Bytes that one forward pass moves if each operation reads its inputs and writes its outputs once.

    Weights are read once a batch. Nothing is assumed to stay in a cache from one operation to the next, and
    none is read twice within one; a real machine errs on both sides. Arguments as those of ``cnnlib.trace``.
    """
    copy, mode = MetaCopy(net, image, batch, None), _Traffic()
    copy.run(copy.inputs(), mode)
    return mode.n_bytes
