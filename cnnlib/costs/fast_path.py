"""Answers the usual calls of a network in place of PyTorch, and passes on the others."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch._C import DisableTorchFunction, _DisableTorchDispatch
from torch._C._functorch import peek_interpreter_stack
from torch.overrides import TorchFunctionMode

from cnnlib.costs.shape_inference import FUNCTIONS


def no_transforms() -> bool:
    """Does a call do what it says and no more? Not while gradients are recorded, or under ``torch.func``."""
    return not torch.is_grad_enabled() and peek_interpreter_stack() is None


class FastPath(TorchFunctionMode):
    """Answers the calls in ``FUNCTIONS`` and tells ``seen(operation, arguments, result)`` of each."""

    def __init__(self, seen: Callable[[object, tuple, object], None]) -> None:
        super().__init__()
        self.seen = seen

    def __torch_function__(self, func, types, args=(), kwargs=None):
        short = FUNCTIONS.get(func)
        if short is not None and no_transforms():
            # What happens in here is no call of the network.
            with DisableTorchFunction(), _DisableTorchDispatch():
                try:
                    answer = short(*args, **(kwargs or {}))
                except TypeError:  # an argument that is seldom given, such as alpha or out
                    answer = None
                if answer is not None:
                    self.seen(*answer)
                    result = answer[2]
                    return result[0] if type(result) is tuple else result
        return func(*args, **(kwargs or {}))
