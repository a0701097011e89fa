"""What an option may be, and how a wrong one is told: one sentence, and exit code 2."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable
from typing import NoReturn


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line, as those of the commands are."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong, and end."""
        print(f"cnnlib: {message}; see {self.prog} --help", file=sys.stderr)
        raise SystemExit(2)


def whole(low: int, high: float = math.inf) -> Callable[[str], int]:
    """The type of an option that is a whole number of at least ``low`` and at most ``high``."""

    def number(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = low - 1
        if not low <= value <= high:
            upper = "" if high == math.inf else f" and at most {high:,}"
            raise argparse.ArgumentTypeError(f"{text!r}: need a whole number of at least {low}{upper}")
        return value

    return number


def positive(text: str) -> float:
    """The type of an option that is a finite number above 0."""
    try:
        value = float(text)
    except ValueError:
        value = 0
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r}: need a number above 0")
    return value
