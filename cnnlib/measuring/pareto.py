"""What no other choice beats on both counts: the Pareto front."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

Choice = TypeVar("Choice")


def pareto_front(
    choices: Iterable[Choice], cost: Callable[[Choice], float], worth: Callable[[Choice], float]
) -> list[Choice]:
    """The choices to which no other is at most as dear and at least as good, and better in one; cheapest first.

    Equals stay together.
    """
    best, kept = float("-inf"), []
    for choice in sorted(choices, key=lambda c: (cost(c), -worth(c))):
        here = cost(choice), worth(choice)
        if here[1] > best or (kept and here == (cost(kept[-1]), worth(kept[-1]))):
            kept.append(choice)
            best = here[1]
    return kept
