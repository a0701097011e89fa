"""Limits that a process puts on itself before it runs student code, and how it is watched and ended."""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import resource
import signal
import sys
import time

MAX_FILE = 2**26  # bytes that a probe may write into one file
MAX_OPEN = 64
LIBC = ctypes.CDLL(None)
KEYCTL, JOIN_SESSION_KEYRING = (
    {"x86_64": 250, "aarch64": 219},
    1,
)  # number of the system call, its first argument
PR_SET_PDEATHSIG, PR_SET_DUMPABLE = 1, 4


def confine(writer: int, limits: dict) -> None:
    """In the new process: no channel but the pipe, and limits that it cannot raise again."""
    os.setsid()
    die_with_parent()
    nothing = os.open(os.devnull, os.O_RDWR)
    for channel in (0, 1, 2):
        os.dup2(nothing, channel)
    os.closerange(3, writer)
    os.closerange(writer + 1, os.sysconf("SC_OPEN_MAX"))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (MAX_FILE, MAX_FILE))
    resource.setrlimit(resource.RLIMIT_NOFILE, (MAX_OPEN, MAX_OPEN))
    if limits["walls"]:  # elsewhere the user's other processes count, too
        resource.setrlimit(resource.RLIMIT_NPROC, (limits["processes"],) * 2)
    resource.setrlimit(resource.RLIMIT_CPU, (limits["cpu"], limits["cpu"] + 1))
    if memory := address_space():
        resource.setrlimit(resource.RLIMIT_AS, (memory + limits["memory"],) * 2)


def die_with_parent() -> None:
    """On Linux: this process is killed when the one that started it dies."""
    if hasattr(LIBC, "prctl"):
        LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def forbid_tracing() -> None:
    """On Linux: no process of the same user may look into this one, or into those that it forks."""
    if hasattr(LIBC, "prctl"):
        LIBC.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)


def leave_keyring() -> None:
    """On Linux: an empty session keyring in place of the one that the grader's user was logged in with."""
    if (number := KEYCTL.get(platform.machine())) and sys.platform == "linux":
        LIBC.syscall(number, JOIN_SESSION_KEYRING, None)


def kill_others() -> None:
    """End every other process that this one sees, and wait until they are gone."""
    with contextlib.suppress(OSError):
        while True:
            os.kill(-1, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                while os.waitpid(-1, os.WNOHANG)[0]:
                    pass
            time.sleep(0.002)


def memory_of_others() -> int:
    """Bytes of memory that all other processes use beyond what they were forked with."""
    own, page, total = os.getpid(), resource.getpagesize(), 0
    start = resident_pages(own)
    for name in os.listdir("/proc"):
        if name.isdecimal() and int(name) not in (1, own):
            total += max(0, resident_pages(name) - start)
    return total * page


def resident_pages(pid: int | str) -> int:
    """Pages of a process in memory; 0 if it is gone."""
    try:
        with open(f"/proc/{pid}/statm", encoding="ascii") as file:
            return int(file.read().split()[1])
    except (OSError, IndexError):
        return 0


def address_space() -> int:
    """Bytes of address space that this process uses; 0 where the system does not tell (macOS)."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[0]) * resource.getpagesize()
    except OSError:
        return 0
