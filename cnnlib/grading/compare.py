"""Compares what a student's code returned with what is right, in words that do not tell the right value.

A list, an array and a tensor of one shape are alike, and so are 56 and 56.0; `check` and the grade compare alike.
"""

from __future__ import annotations

import functools
import math

from cnnlib.grading.values import is_number, type_name

# What arithmetic in float32 may lose: of a number, and of the largest number of a tensor (1 if that is less).
RELATIVE, ABSOLUTE = 1e-4, 1e-5
WHOLE = 1.2e-7  # of a whole number that float32 rounds


def same(value: object, reference: object, inputs: object = None) -> str:
    """What is wrong with a plain value; "" if nothing is."""
    got, right = to_lists(value), reference.tolist() if hasattr(reference, "dtype") else reference
    shape = shape_of(right)
    if shape is not None and (hasattr(reference, "dtype") or len(shape) > 1):
        return (
            same_tensor(got, right)
            if shape_of(got) is not None
            else f"a tensor is needed, not {type_name(value)}"
        )
    if isinstance(right, list | tuple):
        if not isinstance(got, list):
            return f"a list or tuple is needed, not {type_name(value)}"
        if len(got) != len(right):
            return f"{len(right)} values are needed, not {len(got)}"
        pairs = enumerate(zip(got, right, strict=True), 1)
        return next((f"value {place}: {wrong}" for place, pair in pairs if (wrong := same(*pair))), "")
    if not is_number(right):
        return "" if type(got) is type(right) and got == right else "the value is not the right one"
    if not is_number(got):
        return f"a number is needed, not {type_name(value)}"
    if got != got:
        return "the value is not a number (nan)"
    if is_close(got, right, abs(right)):
        return ""
    return "the value is too large" if got > right else "the value is too small"


def same_tensor(value: object, reference: object) -> str:
    """As ``same``, for nested lists of numbers: their shape, then how many differ, and by how much."""
    if (found := shape_of(value)) != (shape := shape_of(reference)):
        return f"the shape is {list(found)}, and {list(shape)} is needed"
    pairs = list(zip(flat(value), flat(reference), strict=True))
    if any(v != v for v, _ in pairs):
        return "the tensor holds values that are not numbers (nan)"
    size = max((abs(right) for _, right in pairs), default=0)
    wrong = [abs(float(v) - right) for v, right in pairs if not is_close(v, right, size)]
    return f"{len(wrong)} of {len(pairs)} numbers are wrong, by up to {max(wrong):.3g}" if wrong else ""


def is_close(value: float, reference: float, size: float) -> bool:
    """Whether two numbers differ by rounding, in a tensor of numbers up to ``size``; whole ones by that of float32."""
    if value == reference or not isinstance(value, float) and not isinstance(reference, float):
        return value == reference
    try:
        most = RELATIVE * abs(reference) + ABSOLUTE * max(1, size)
        if not isinstance(reference, float):
            most = WHOLE * abs(reference) + ABSOLUTE
        return abs(value - reference) <= most < math.inf
    except OverflowError:  # a whole number beyond the range of floats
        return False


def shape_of(value: object) -> tuple[int, ...] | None:
    """The shape of nested lists of numbers, truth values among them; None for anything else."""
    if not isinstance(value, list | tuple):
        return () if isinstance(value, bool | int | float) else None
    shapes = {shape_of(item) for item in value}
    inner = shapes.pop() if shapes else ()
    return None if shapes or inner is None else (len(value), *inner)


def flat(value: object) -> list[float]:
    """The numbers of nested lists, in their order."""
    return [number for item in value for number in flat(item)] if isinstance(value, list | tuple) else [value]


def to_lists(value: object) -> object:
    """A plain value with lists in place of arrays and tuples."""
    value = value.tolist() if hasattr(value, "dtype") else value
    return [to_lists(item) for item in value] if isinstance(value, list | tuple) else value


def to_whole(value: object) -> object:
    """Nested lists with 6 in place of 6.0, as a float tensor of whole numbers has it."""
    if isinstance(value, list):
        return [to_whole(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def to_arrays(value: object) -> object:
    """A plain value with NumPy arrays in place of nested lists of numbers that have a shape."""
    import numpy as np

    if isinstance(value, list | tuple):
        return (
            np.asarray(to_lists(value)) if shape_of(to_lists(value)) else [to_arrays(item) for item in value]
        )
    return value


def judges_lists(judge):
    """A judge that gets lists and whole numbers, whatever form the answer has."""
    return functools.wraps(judge)(lambda value, *rest: judge(to_whole(to_lists(value)), *rest))


def judges_arrays(judge):
    """A judge that gets arrays, whatever form the answer has."""
    return functools.wraps(judge)(lambda value, *rest: judge(to_arrays(value), *rest))
