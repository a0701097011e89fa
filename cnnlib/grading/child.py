"""The process that stands between the grader and one student's code: ``python -m cnnlib.grading.child``.

It reads one request (JSON) from its standard input and never runs a line of the student's. For every probe it forks
a process that does, under limits, and writes one line of JSON about it to its standard output.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import resource
import select
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module

from cnnlib.grading import student
from cnnlib.grading.sheet import load

FRAME = 2**16  # bytes of one line of a probe
SURVEY = 2**23  # the same of the survey, which returns the cells
FILES = 2**26  # bytes that a probe may write into one file
STATUSES = ("value", "missing", "memory", "error")


@dataclass
class Ending:
    """The lines that a forked process wrote, and how it ended."""

    lines: list[dict] = field(default_factory=list)
    status: str = ""  # "", or why there are fewer lines than asked for: timeout, crashed, tampered
    message: str = ""
    cpu: float = 0.0


def forked(job: Callable[[student.Say], None], lines: int, limits: dict, most: int) -> Ending:
    """Run ``job`` in a process of its own until it has said ``lines`` lines, died, or met a limit.

    ``limits``: CPU and wall seconds, and bytes of memory on top of what the process has now.
    """
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            confine(writer, limits)
            job(lambda line: write(writer, line))
        finally:
            os._exit(0)
    os.close(writer)
    with contextlib.suppress(OSError):
        os.setpgid(pid, pid)
    ending = listen(reader, lines, time.monotonic() + limits["wall"], most)
    os.close(reader)
    for kill in (os.killpg, os.kill):  # the whole group; and the process itself, which may have left it
        with contextlib.suppress(OSError):
            if kill is os.killpg or not ending.lines[lines - 1 :]:
                kill(pid, signal.SIGKILL) if ending.status != "ended" else None
    return ending


def confine(writer: int, limits: dict) -> None:
    """In the new process: no channel but the pipe, and limits that cannot be raised again."""


def main() -> None:
    """Serve one request."""


if __name__ == "__main__":
    main()
