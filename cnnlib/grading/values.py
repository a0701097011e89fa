"""Values that cross from a student's process as lines of JSON.

Plain are exact builtin types, as JSON knows them, and arrays of NumPy, which travel in the format safetensors: it
runs no code when it is read.
"""

from __future__ import annotations

import base64
import binascii
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
