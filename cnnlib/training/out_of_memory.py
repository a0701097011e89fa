"""When memory runs out: a sentence that says what to lower, and the memory back."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import TypeVar

import torch

Result = TypeVar("Result")


class OutOfMemory(ValueError):
    """The device has not enough memory for what was asked."""


def _ran_out(error: RuntimeError) -> bool:
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)


def within(call: Callable[[], Result], cure: str) -> Result:
    """What ``call`` returns; raises ``OutOfMemory`` with the ``cure`` if it runs out, holding nothing of it."""
    try:
        return call()
    except RuntimeError as error:
        if not _ran_out(error):
            raise
    # Out here the error is gone, and with its traceback the tensors of all frames that it passed.
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    raise OutOfMemory(f"the memory of the device ran out: {cure}")
