"""The jail of macOS, Windows and locked-down Linux: a container of Docker or Podman, one a student."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
from pathlib import Path

import cnnlib
from cnnlib.grading.walls import CHILD, PACKAGE, Command, Limits, variables

IMAGE = f"cnnlib-grade:{cnnlib.__version__}"
BASE = 2**31  # bytes for the interpreter and torch, besides what a probe may use
NOBODY = 65534
OWN = {"PATH", "LD_LIBRARY_PATH", "SYSTEMROOT"}  # those of the image differ
containers = itertools.count()


def docker(work: Path, absent: tuple[str, ...], limits: Limits) -> Command:
    """A container of Docker."""
    return command("docker", limits)


def podman(work: Path, absent: tuple[str, ...], limits: Limits) -> Command:
    """A container of Podman."""
    return command("podman", limits)


def command(engine: str, limits: Limits) -> Command:
    """Read-only but for small folders in memory; no network; no rights; gone when it ends.

    The image holds Python and what sheets import, nothing of the course: what must be absent never was there.
    """
    name = f"cnnlib-grade-{os.getpid()}-{next(containers)}"
    memory = int(limits.memory * 2**30) + BASE + limits.scratch
    env = variables("/tmp", "/course")
    options = [x for key in sorted(env.keys() - OWN) for x in ("--env", f"{key}={env[key]}")]
    argv = [
        engine, "run", "--rm", "--interactive", "--name", name, "--pull", "never",
        *("--network", "none", "--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"),
        *("--user", f"{NOBODY}:{NOBODY}", "--pids-limit", str(limits.processes + 16), "--cpus", "1"),
        *("--memory", str(memory), "--memory-swap", str(memory), "--shm-size", str(limits.shared)),
        *("--tmpfs", f"/tmp:rw,nosuid,nodev,size={limits.scratch},mode=1777", "--workdir", "/tmp"),
        *("--ulimit", "core=0:0", "--log-driver", "none", *options),
        *("--volume", f"{PACKAGE / '__init__.py'}:/course/cnnlib/__init__.py:ro"),
        *("--volume", f"{PACKAGE / 'grading'}:/course/cnnlib/grading:ro"),
        *(IMAGE, "python", *CHILD),
    ]  # fmt: skip
    return Command(argv, dict(os.environ), afterwards=[engine, "rm", "--force", name])


def trouble(engine: str) -> str:
    """Why this engine cannot be used here, and what to do; "" if it can."""
    if not shutil.which(engine):
        return f"{engine} is not installed"
    for question, answer in (
        (["info"], "is not running: start it"),
        (["image", "inspect", IMAGE], f"has no image {IMAGE}: make it with `{engine} build -t {IMAGE} -f "
         "tools/grade.Dockerfile .` in a clone of the course"),
    ):  # fmt: skip
        try:
            done = subprocess.run([engine, *question], capture_output=True, timeout=30)
        except (OSError, subprocess.TimeoutExpired):
            return f"{engine} does not answer"
        if done.returncode:
            return f"{engine} {answer}"
    return ""
