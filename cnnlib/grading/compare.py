"""Compares what a student's code returned with what is right, in words that do not tell the right value."""

from __future__ import annotations

import math

from cnnlib.grading.values import is_number, type_name


def same(value: object, reference: object, inputs: object = None) -> str:
    """What is wrong with a plain value, in words that do not tell the right one; "" if nothing is.

    Lists and tuples are alike, and so are 56 and 56.0; numbers may differ by rounding (1e-9 of their size).
    """
    if hasattr(value, "dtype") or hasattr(reference, "dtype"):
        return same_array(value, reference)
    if isinstance(reference, list | tuple):
        if not isinstance(value, list | tuple):
            return f"a list or tuple is needed, not {type_name(value)}"
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
        return f"a number is needed, not {type_name(value)}"
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
        return f"a tensor is needed, not {type_name(value)}"
    try:
        reference = np.asarray(reference, None if hasattr(reference, "dtype") else "float64")
    except (TypeError, ValueError):
        return f"{type_name(reference)} is needed, not a tensor"
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


def both_whole(a: float, b: float) -> bool:
    """Whether two numbers are compared exactly."""
    return type(a) is int and type(b) is int
