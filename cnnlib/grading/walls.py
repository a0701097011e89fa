"""What every jail for student code shares: the limits, the command inside, the variables that it sees."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

CHILD = ("-m", "cnnlib.grading.child")
PACKAGE = Path(__file__).resolve().parents[1]


class Infra(RuntimeError):
    """The grader's own failure: nobody's zero."""


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


def no_jail(work: Path, absent: tuple[str, ...], limits: Limits) -> Command:
    """The command as it is, without walls."""
    return Command([sys.executable, *CHILD], variables(str(work), str(PACKAGE.parent)), walls=False)
