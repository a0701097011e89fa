"""Values that cross from a student's process: how they are made plain there, and compared outside."""

from __future__ import annotations

import math

MOST = 10_000  # numbers and texts in one answer, and characters in one text
DEEPEST = 20
BITS = 1_000  # of a whole number


class NotPlain(TypeError):
    """An answer that is neither number nor text nor a list of them; the message says what it is."""


def plain(value: object) -> object:
    """The same value out of exact builtin types, as JSON knows them; raises ``NotPlain``.

    A subclass may lie about what it equals, so it does not pass. Scalars of NumPy become Python's.
    """
    room = [MOST]

    def walk(value: object, depth: int) -> object:
        room[0] -= 1
        if room[0] < 0 or depth > DEEPEST:
            raise NotPlain("the returned value is too large")
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


def same(value: object, reference: object, inputs: object = None) -> str:
    """What is wrong with a plain value, in words that do not tell the right one; "" if nothing is.

    Lists and tuples are alike, and so are 56 and 56.0; numbers may differ by rounding (1e-9 of their size).
    """
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
    return "None (is there a return?)" if value is None else type(value).__name__
