"""Which walls shut a student's process in: the first kind that works here, and never none by itself."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from cnnlib.grading import bwrap, container
from cnnlib.grading.walls import CHILD, PACKAGE, Command, Jail, Limits, variables

UNSAFE = (
    "WARNING: --isolation none: student code runs WITHOUT ISOLATION. It can read, change and send every file "
    "that you can, also these grades. Use it only for code that you trust."
)
NO_JAIL = (
    "there is no jail for student code here ({reasons}); `cnnlib doctor` tells how to get one. Say "
    "--isolation none only if you trust the code of every notebook"
)
# Every jail by its name, the best first, with a function that says why it does not work here ("" if it does).
JAILS: dict[str, tuple[Jail, Callable[[], str]]] = {
    "bwrap": (bwrap.jail, bwrap.trouble),
    "docker": (container.docker, partial(container.trouble, "docker")),
    "podman": (container.podman, partial(container.trouble, "podman")),
}
ISOLATION = ("auto", *JAILS, "none")


def no_jail(work: Path, absent: tuple[str, ...], limits: Limits) -> Command:
    """The command as it is, without walls."""
    return Command([sys.executable, *CHILD], variables(str(work), str(PACKAGE.parent)), walls=False)


def name_of(jail: Jail) -> str:
    """The name by which a jail is chosen."""
    return next((name for name, (other, _) in JAILS.items() if other is jail), "none")


def choose(isolation: str) -> Jail:
    """The jail of this name; ``auto`` is the first that works and never ``none``.

    Raises ``ValueError`` if there is none to use.
    """
    if isolation not in ISOLATION:
        raise ValueError(f"isolation={isolation!r} must be one of {', '.join(ISOLATION)}")
    if isolation == "none":
        return no_jail
    reasons = []
    for name in JAILS if isolation == "auto" else (isolation,):
        jail, trouble = JAILS[name]
        if not (why := trouble()):
            return jail
        reasons.append(f"{name}: {why}")
    raise ValueError(NO_JAIL.format(reasons="; ".join(reasons)))
