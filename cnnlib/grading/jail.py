"""How a student's process is shut in: the limits it gets, and the choice of its walls."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

CHILD = ("-m", "cnnlib.grading.child")
PACKAGE = Path(__file__).resolve().parents[1]
ALWAYS_ABSENT = ("cnnlib", "cnnlib_data")  # an installed package: its networks and images answer exercises

UNSAFE = (
    "WARNING: --isolation none: student code runs WITHOUT ISOLATION. It can read, change and send every file "
    "that you can, also these grades. Use it only for code that you trust."
)
NO_JAIL = (
    "there is no jail for student code here ({reasons}); `cnnlib doctor` tells how to get one. Say "
    "--isolation none only if you trust the code of every notebook"
)


@dataclass(frozen=True)
class Limits:
    """What one probe may use: CPU seconds, and gigabytes on top of the interpreter."""

    cpu: int = 10
    memory: float = 2.0

    processes = 64  # threads count, too
    scratch = 2**28  # bytes of all files in its folder
    shared = 2**26  # bytes in /dev/shm

    @property
    def wall(self) -> int:
        """Seconds by the clock: generous, since a busy machine is not the student's fault."""
        return 3 * self.cpu + 5


@dataclass(frozen=True)
class Command:
    """What starts a shut-in process: a command and its variables.

    ``walls``: the process sees no others, so it may end all that it sees. ``afterwards``: ends what the
    command may have left running, for jails that are no child of this process.
    """

    argv: list[str]
    env: dict[str, str]
    walls: bool = True
    afterwards: list[str] = field(default_factory=list)


# (empty folder, modules that must not be there, limits) -> the command that runs `child` shut in
Jail = Callable[[Path, tuple[str, ...], Limits], Command]


def variables(home: str, path: str) -> dict[str, str]:
    """The few variables that a student's process sees."""
    keep = {key: os.environ[key] for key in ("PATH", "LD_LIBRARY_PATH", "SYSTEMROOT") if key in os.environ}
    return keep | {
        "HOME": home,
        "TMPDIR": home,
        "PYTHONPATH": path,
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONHASHSEED": "0",
        "PYTHONIOENCODING": "utf-8",
        "OMP_NUM_THREADS": "1",
        "MPLBACKEND": "Agg",
    }


def open_door(work: Path, absent: tuple[str, ...], limits: Limits) -> Command:
    """No jail: the command as it is."""
    return Command([sys.executable, *CHILD], variables(str(work), str(PACKAGE.parent)), walls=False)


def places(modules: tuple[str, ...]) -> list[Path]:
    """Where installed packages lie, without importing them."""
    found = []
    for name in (*modules, *ALWAYS_ABSENT):
        spec = find_spec(name)
        found += [Path(place).resolve() for place in (spec and spec.submodule_search_locations) or ()]
    return found


def jails() -> dict[str, tuple[Jail, Callable[[], str]]]:
    """Every jail by its name, the best first, with a function that says why it does not work here ("" if so)."""
    from cnnlib.grading import bwrap, container

    return {
        "bwrap": (bwrap.jail, bwrap.trouble),
        "docker": (container.docker, lambda: container.trouble("docker")),
        "podman": (container.podman, lambda: container.trouble("podman")),
    }


def name_of(jail: Jail) -> str:
    """The name by which a jail is chosen."""
    return next((name for name, (other, _) in jails().items() if other is jail), "none")


NAMES = ("auto", "bwrap", "docker", "podman", "none")


def choose(isolation: str) -> Jail:
    """The jail of this name; ``auto`` is the first that works and never ``none``.

    Raises ``ValueError`` if there is none to use.
    """
    if isolation == "none":
        return open_door
    asked = {name: found for name, found in jails().items() if isolation in (name, "auto")}
    reasons = {}
    for name, (jail, trouble) in asked.items():
        if not (why := trouble()):
            return jail
        reasons[name] = why
    if not asked:
        raise ValueError(f"isolation={isolation!r} must be one of {', '.join(NAMES)}")
    raise ValueError(NO_JAIL.format(reasons="; ".join(f"{name}: {why}" for name, why in reasons.items())))
