"""When memory runs out: a sentence that says what to lower, and the memory back."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import TypeVar

import torch

Result = TypeVar("Result")


class OutOfMemory(ValueError):
    """The device has not enough memory for what was asked."""


def _is_out_of_memory(error: RuntimeError) -> bool:
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)


def call_with_advice(function: Callable[[], Result], advice: str) -> Result:
    """What ``function`` returns; raises ``OutOfMemory`` with the ``advice`` if it runs out, holding nothing of it."""
    try:
        return function()
    except RuntimeError as error:
        if not _is_out_of_memory(error):
            raise
    # Out here the error is gone, and with its traceback the tensors of all frames that it passed.
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    raise OutOfMemory(f"the memory of the device ran out: {advice}")
