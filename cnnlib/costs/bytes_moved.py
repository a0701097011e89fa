"""Bytes that a network moves: what each operation reads and writes."""

from __future__ import annotations

from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from cnnlib.costs.liveness import key
from cnnlib.costs.meta_copy import MetaCopy, Observer, Shape
from cnnlib.costs.operations import RULES


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
