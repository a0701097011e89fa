"""Values that cross from a student's process as lines of JSON, and how they are compared with what is right.

Plain are exact builtin types, as JSON knows them, and arrays of NumPy, which travel in the format safetensors: it
runs no code when it is read.
"""

from __future__ import annotations

import base64
import binascii
import functools
import math
import sys

MAX_ITEMS = 60_000  # numbers and texts in one answer or tensor
MAX_TEXT = 10_000  # characters
MAX_DEPTH = 20
MAX_BITS = 1_000  # of a whole number
TENSOR = "safetensors"  # {"safetensors": base64} stands for an array
DTYPES = ("bool", "uint8", "int32", "int64", "float32", "float64")


class NotPlain(TypeError):
    """An answer that is neither number nor text nor a list of them; the message says what it is."""


def plain(value: object) -> object:
    """The same value out of exact builtin types and arrays; raises ``NotPlain``.

    A subclass may lie about what it equals, so it does not pass. Scalars of NumPy become Python's, and tensors
    and parameters of torch become arrays, of float32 if their own type is shorter.
    """
    room = [MAX_ITEMS]

    def walk(value: object, depth: int) -> object:
        room[0] -= 1
        if room[0] < 0 or depth > MAX_DEPTH:
            raise NotPlain("the returned value is too large")
        if (array := as_array(value)) is not None:
            return array
        kind = type(value)
        if kind.__module__ == "numpy" and getattr(value, "shape", None) == () and hasattr(value, "item"):
            value = value.item()
            kind = type(value)
        if value is None or kind in (bool, float):
            return value
        if kind is int and value.bit_length() <= MAX_BITS:
            return value
        if kind is str and len(value) <= MAX_TEXT:
            return value
        if kind in (int, str):
            raise NotPlain("the returned value is too large")
        if kind in (list, tuple):
            return [walk(item, depth + 1) for item in value]
        if kind is dict:
            return {walk_key(key): walk(item, depth + 1) for key, item in value.items()}
        raise NotPlain(f"a number, a text or a list of them is needed, not {kind.__name__}")

    def walk_key(key: object) -> str:
        if type(key) is not str or len(key) > MAX_TEXT:
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
    if value.size > MAX_ITEMS:
        raise NotPlain("the returned value is too large")
    if value.dtype.name not in DTYPES:
        raise NotPlain(f"a tensor of numbers is needed, not one of {value.dtype.name}")
    return value


def is_number(value: object) -> bool:
    """Whether it counts as a number; True and False do not."""
    return type(value) in (int, float)


def is_whole(value: object, least: int) -> bool:
    """Whether it is an ``int`` of at least ``least``."""
    return type(value) is int and value >= least


def printable(text: str, keep: str = "") -> str:
    """A text without codes that steer a terminal or turn the direction of writing; ``keep``: those that may stay."""
    return "".join(c if c.isprintable() or c in keep else " " for c in text)


def type_name(value: object) -> str:
    """The type of a plain value, as a student would say it."""
    if hasattr(value, "dtype"):
        return "tensor"
    return "None (is there a return?)" if value is None else type(value).__name__


def encode(value: object) -> object:
    """The same value with arrays as JSON can hold them."""
    if hasattr(value, "dtype"):
        from safetensors.numpy import save

        return {TENSOR: base64.b64encode(save({"value": value.copy(order="C")})).decode()}
    if isinstance(value, list):
        return [encode(item) for item in value]
    return {key: encode(item) for key, item in value.items()} if isinstance(value, dict) else value


def decode(value: object) -> object:
    """The plain value again; raises ``ValueError`` for what only claims to be an array."""
    if isinstance(value, list):
        return [decode(item) for item in value]
    if not isinstance(value, dict):
        return value
    if value.keys() != {TENSOR}:
        return {key: decode(item) for key, item in value.items()}
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        (array,) = load(base64.b64decode(value[TENSOR], validate=True)).values()
    except (SafetensorError, binascii.Error, ValueError, TypeError, KeyError, MemoryError) as error:
        raise ValueError(f"this is no tensor: {type(error).__name__}") from None
    return array


# Comparison, in words that do not tell the right value. A list, an array and a tensor of one shape are alike, and so
# are 56 and 56.0; `check` and the grade compare alike.

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
