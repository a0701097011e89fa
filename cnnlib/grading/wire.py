"""Plain values as lines of JSON; an array travels in the format safetensors, which runs no code to be read."""

from __future__ import annotations

import base64
import binascii

TENSOR = "safetensors"  # {"safetensors": base64} stands for an array
CALL = "value"


def packed(value: object) -> object:
    """The same value with arrays as JSON can hold them."""
    if hasattr(value, "dtype"):
        from safetensors.numpy import save

        return {TENSOR: base64.b64encode(save({CALL: value.copy(order="C")})).decode()}
    if isinstance(value, list):
        return [packed(item) for item in value]
    return {key: packed(item) for key, item in value.items()} if isinstance(value, dict) else value


def unpacked(value: object) -> object:
    """The plain value again; raises ``ValueError`` for what only claims to be an array."""
    if isinstance(value, list):
        return [unpacked(item) for item in value]
    if not isinstance(value, dict):
        return value
    if value.keys() != {TENSOR}:
        return {key: unpacked(item) for key, item in value.items()}
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        (array,) = load(base64.b64decode(value[TENSOR], validate=True)).values()
    except (SafetensorError, binascii.Error, ValueError, TypeError, KeyError, MemoryError) as error:
        raise ValueError(f"this is no tensor: {type(error).__name__}") from None
    return array
