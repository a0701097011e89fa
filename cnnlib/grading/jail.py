"""How a student's process is shut in. So far only ``none`` exists: limits, but no walls."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

Jail = Callable[[list[str], Path], list[str]]  # (command, work folder) -> the command that runs it shut in

UNSAFE = (
    "WARNING: --isolation none: student code runs WITHOUT ISOLATION. It can read, change and send every file "
    "that you can, also these grades. Use it only for code that you trust."
)


def open_door(command: list[str], work: Path) -> list[str]:
    """No jail: the command as it is."""
    return command


JAILS: dict[str, Jail] = {"none": open_door}


def choose(isolation: str) -> Jail:
    """The jail of this name; ``auto`` never means ``none``. Raises ``ValueError`` if there is none to use."""
    if isolation not in JAILS:
        raise ValueError(
            f"isolation={isolation!r}: this version has no jail for student code yet; say --isolation none "
            "if you trust the code of every notebook, or run it in a virtual machine that holds nothing else"
        )
    return JAILS[isolation]
