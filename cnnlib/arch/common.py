"""What residual networks and their kin share: the rule of their depth."""

from __future__ import annotations


def repeats(depth: int, each: int, ends: int) -> int:
    """How often a group of ``each`` layers stands in a network of ``depth`` layers, ``ends`` of them outside.

    Raises ``ValueError`` if ``depth`` is not ``each`` n + ``ends`` with a whole n >= 1.
    """
    n, rest = divmod(depth - ends, each)
    if rest or n < 1 or not isinstance(depth, int):
        below = int(max(n, 1)) * each + ends
        raise ValueError(f"depth={depth}: need {each}n + {ends}, such as {below} or {below + each}")
    return n
