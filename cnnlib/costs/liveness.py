"""Feature maps that are alive in a run, from the moment they are made until the network lets go of them."""

from __future__ import annotations

import weakref

from torch import Tensor


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
