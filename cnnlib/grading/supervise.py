"""The grader's side of one student's process: sends cells and questions, takes back lines, believes none."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path

from cnnlib.grading.jail import Jail
from cnnlib.grading.sheet import Inputs

LINE = 2**20  # bytes of a line that the supervisor may send
STATUSES = ("value", "missing", "memory", "error", "timeout", "crashed", "tampered")
CHILD = [sys.executable, "-m", "cnnlib.grading.child"]


class Infra(RuntimeError):
    """The grader's own failure: nobody's zero."""


@dataclass(frozen=True)
class Limits:
    """What one probe may use: CPU seconds, and gigabytes on top of the interpreter."""

    cpu: int = 10
    memory: float = 2.0

    @property
    def wall(self) -> int:
        """Seconds by the clock: generous, since a busy machine is not the student's fault."""
        return 3 * self.cpu + 5


@dataclass(frozen=True)
class Question:
    """One probe with the inputs drawn for this run."""

    exercise: str
    draws: list[Inputs]


@dataclass(frozen=True)
class Outcome:
    """What came back for a question: ``value`` holds one value for each input if ``status`` is "value"."""

    status: str
    value: object = None
    message: str = ""


@dataclass(frozen=True)
class Run:
    """All outcomes of one notebook, and what was noticed on the way."""

    outcomes: list[Outcome]
    notes: list[str]
    shortcuts: list[str]
    sheet_id: str
    late: bool  # a probe was stopped by the clock


def environment(work: str) -> dict[str, str]:
    """The few variables that a student's process sees."""
    keep = {key: os.environ[key] for key in ("PATH", "LD_LIBRARY_PATH", "SYSTEMROOT") if key in os.environ}
    return keep | {
        "HOME": work,
        "TMPDIR": work,
        "PYTHONPATH": str(Path(__file__).resolve().parents[2]),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONHASHSEED": "0",
        "PYTHONIOENCODING": "utf-8",
        "OMP_NUM_THREADS": "1",
        "MPLBACKEND": "Agg",
    }


def run(
    sheet: str, cells: list[tuple[int, str]], questions: list[Question], limits: Limits, jail: Jail
) -> Run:
    """Put questions to the code of one notebook, in a process of its own; raises ``Infra``."""
    request = {
        "sheet": sheet,
        "cells": cells,
        "questions": [{"exercise": question.exercise, "draws": question.draws} for question in questions],
        "limits": {"cpu": limits.cpu, "wall": limits.wall, "memory": int(limits.memory * 2**30)},
    }
    with tempfile.TemporaryDirectory(prefix="cnnlib-grade-", ignore_cleanup_errors=True) as work:
        lines = talk(
            jail(CHILD, Path(work)),
            work,
            json.dumps(request).encode(),
            (2 * len(questions) + 2) * limits.wall,
        )
    try:
        survey, *reports = [json.loads(line) for line in lines]
        outcomes = [outcome(report) for report in reports]
        notes = [*survey["notes"], *(reports[0]["notes"] if reports else [])]
        late = any(report.get("late") for report in reports)
        result = Run(outcomes, [str(note) for note in notes], survey["shortcuts"], str(survey["sheet"]), late)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise Infra(f"the student's process said something unknown: {error}") from None
    if len(outcomes) != len(questions):
        raise Infra(f"the student's process ended after {len(outcomes)} of {len(questions)} probes")
    return result


def talk(command: list[str], work: str, request: bytes, seconds: float) -> list[bytes]:
    """The lines that a command writes for a request, until it ends or its time is over."""
    with tempfile.TemporaryFile() as errors:
        try:
            with subprocess.Popen(
                command,
                cwd=work,
                env=environment(work),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                start_new_session=True,
            ) as process:
                timer = threading.Timer(seconds, process.kill)
                timer.start()
                try:
                    process.stdin.write(request)
                    process.stdin.close()
                    lines = list(iter(lambda: process.stdout.readline(LINE), b""))
                finally:
                    timer.cancel()
                    process.kill()
        except OSError as error:
            raise Infra(f"the student's process cannot be reached: {error}") from None
        errors.seek(0)
        if not lines:
            said = errors.read()[-300:].decode(errors="replace").strip()
            raise Infra(f"the student's process did not start: {said}")
    return lines


def outcome(report: dict) -> Outcome:
    """One line about a probe; raises ``ValueError`` for a status that does not exist."""
    if report["status"] not in STATUSES:
        raise ValueError(f"status {report['status']!r}")
    return Outcome(report["status"], report.get("value"), str(report.get("message", "")))
