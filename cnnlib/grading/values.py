"""Values that cross from a student's process: how they are made plain there, and compared outside.

Plain are exact builtin types, as JSON knows them, and arrays of NumPy, which ``wire`` puts into safetensors.
"""

from __future__ import annotations

import math
import random
import sys

MOST = 10_000  # numbers and texts in one answer, and characters in one text
DEEPEST = 20
BITS = 1_000  # of a whole number
MOST_IN_ARRAY = 60_000  # numbers in one tensor
ARRAYS = ("bool", "uint8", "int32", "int64", "float32", "float64")


class NotPlain(TypeError):
    """An answer that is neither number nor text nor a list of them; the message says what it is."""


def plain(value: object) -> object:
    """The same value out of exact builtin types and arrays; raises ``NotPlain``.

    A subclass may lie about what it equals, so it does not pass. Scalars of NumPy become Python's, and tensors
    and parameters of torch become arrays, of float32 if their own type is shorter.
    """
    room = [MOST]

    def walk(value: object, depth: int) -> object:
        room[0] -= 1
        if room[0] < 0 or depth > DEEPEST:
            raise NotPlain("the returned value is too large")
        if (array := as_array(value)) is not None:
            return array
        kind = type(value)
        if kind.__module__ == "numpy" and getattr(value, "shape", None) == () and hasattr(value, "item"):
            value = value.item()
            kind = type(value)
        if value is None or kind in (bool, float):
            return value
        if kind is int and value.bit_length() <= BITS:
            return value
        if kind is str and len(value) <= MOST:
            return value
        if kind in (int, str):
            raise NotPlain("the returned value is too large")
        if kind in (list, tuple):
            return [walk(item, depth + 1) for item in value]
        if kind is dict:
            return {walk_key(key): walk(item, depth + 1) for key, item in value.items()}
        raise NotPlain(f"a number, a text or a list of them is needed, not {kind.__name__}")

    def walk_key(key: object) -> str:
        if type(key) is not str or len(key) > MOST:
            raise NotPlain("the keys of a dict must be texts")
        return key

    return walk(value, 0)


def as_array(value: object) -> object:
    """The NumPy array in a tensor of torch or an array; None for other values."""
    torch, numpy = sys.modules.get("torch"), sys.modules.get("numpy")
    if torch and type(value) in (torch.Tensor, torch.nn.Parameter):
        try:
            value = value.detach().cpu()
            value = value.float() if value.dtype in (torch.float16, torch.bfloat16) else value
            value = value.resolve_neg().numpy()
        except (
            TypeError,
            ValueError,
            RuntimeError,
        ):  # NotImplementedError is one, for tensors without numbers
            raise NotPlain("a dense tensor of real numbers is needed") from None
    if not numpy or type(value) is not numpy.ndarray:
        return None
    if value.size > MOST_IN_ARRAY:
        raise NotPlain("the returned value is too large")
    if value.dtype.name not in ARRAYS:
        raise NotPlain(f"a tensor of numbers is needed, not one of {value.dtype.name}")
    return value


def same(value: object, reference: object, inputs: object = None) -> str:
    """What is wrong with a plain value, in words that do not tell the right one; "" if nothing is.

    Lists and tuples are alike, and so are 56 and 56.0; numbers may differ by rounding (1e-9 of their size).
    """
    if hasattr(value, "dtype") or hasattr(reference, "dtype"):
        return same_array(value, reference)
    if isinstance(reference, list | tuple):
        if not isinstance(value, list | tuple):
            return f"a list or tuple is needed, not {name(value)}"
        if len(value) != len(reference):
            return f"{len(reference)} values are needed, not {len(value)}"
        for place, pair in enumerate(zip(value, reference, strict=True), 1):
            if wrong := same(*pair):
                return f"value {place}: {wrong}"
        return ""
    if is_number(reference):
        return number(value, reference)
    return "" if type(value) is type(reference) and value == reference else "the value is not the right one"


def number(value: object, reference: float) -> str:
    """As ``same``, for a number."""
    if not is_number(value):
        return f"a number is needed, not {name(value)}"
    if value != value:
        return "the value is not a number (nan)"
    try:
        close = value == reference or not both_whole(value, reference) and math.isclose(value, reference)
    except OverflowError:  # a whole number beyond the range of floats
        close = False
    if close:
        return ""
    return "the value is too large" if value > reference else "the value is too small"


def same_array(value: object, reference: object) -> str:
    """As ``same``, for a tensor: its shape, then its numbers, as exactly as the shorter of the two types.

    A number may stand for a tensor without axes, and lists for a tensor that is expected.
    """
    import numpy as np

    if is_number(value) and np.shape(reference) == ():
        value = np.asarray(value, "float64")
    if not hasattr(value, "dtype"):
        return f"a tensor is needed, not {name(value)}"
    try:
        reference = np.asarray(reference, None if hasattr(reference, "dtype") else "float64")
    except (TypeError, ValueError):
        return f"{name(reference)} is needed, not a tensor"
    if value.shape != reference.shape:
        return f"the shape is {list(value.shape)}, and {list(reference.shape)} is needed"
    if np.isnan(value).any():
        return "the tensor holds values that are not numbers (nan)"
    short = "float32" in (value.dtype.name, reference.dtype.name)
    relative, absolute = (1e-3, 1e-5) if short else (1e-7, 1e-9)
    whole = value.dtype.kind in "biu" and reference.dtype.kind in "biu"
    differs = value != reference
    value, reference = value.astype("float64"), reference.astype("float64")
    size = np.abs(reference).max(initial=0)
    close = np.isclose(value, reference, rtol=relative, atol=absolute * max(1, size))
    wrong = differs if whole else ~close
    if not wrong.any():
        return ""
    far = np.abs(value - reference)[wrong].max()
    return f"{wrong.sum()} of {wrong.size} numbers are wrong, by up to {far:.3g}"


def numbers(rng: random.Random, *shape: int, zero: bool = True) -> list:
    """Nested lists of quarters between -2 and 2, which every float type holds exactly."""
    if not shape:
        return (rng.randrange(-8, 9) if zero else rng.choice((-1, 1)) * rng.randrange(1, 9)) / 4
    return [numbers(rng, *shape[1:], zero=zero) for _ in range(shape[0])]


def is_number(value: object) -> bool:
    """Whether it counts as a number; True and False do not."""
    return type(value) in (int, float)


def is_whole(value: object, least: int) -> bool:
    """Whether it is an ``int`` of at least ``least``."""
    return type(value) is int and value >= least


def both_whole(a: float, b: float) -> bool:
    """Whether two numbers are compared exactly."""
    return type(a) is int and type(b) is int


def name(value: object) -> str:
    """The type of a plain value, as a student would say it."""
    if hasattr(value, "dtype"):
        return "tensor"
    return "None (is there a return?)" if value is None else type(value).__name__
