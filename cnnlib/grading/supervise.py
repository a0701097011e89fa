"""The grader's side of one student's process: sends cells and questions, takes back lines, believes none."""

from __future__ import annotations

import contextlib
import json
import subprocess
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from cnnlib.grading.jail import Command, Infra, Jail, Limits
from cnnlib.grading.sheet import Inputs, Sheet
from cnnlib.grading.values import decode, printable

MAX_LINE = 2**23  # bytes of a line that the supervisor may send
STATUSES = ("value", "missing", "memory", "error", "timeout", "crashed", "tampered")
GONE = "ended the process that every probe is started from"


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
class NotebookRun:
    """All outcomes of one notebook, and what was noticed on the way."""

    outcomes: list[Outcome]
    notes: list[str]
    missing: dict[str, str]  # why there is no answer, by exercise
    shortcuts: list[str]
    sheet_id: str
    recheck: bool  # a probe was stopped by the clock, or its process by what may have been the machine


def run(
    sheet: Sheet, cells: list[tuple[int, str]], questions: list[Question], limits: Limits, jail: Jail
) -> NotebookRun:
    """Put questions to the code of one notebook, in a process of its own; raises ``Infra``.

    A process that ends half way is started again for the rest. Whoever ends it twice at the same question,
    from inside, has ``crashed`` there.
    """
    outcomes: list[Outcome] = []
    recheck, died_at, survey = False, -1, {}
    deadline = (
        time.monotonic() + (len(questions) + 2) * limits.wall
    )  # of one student, however often it starts again
    while not survey or len(outcomes) < len(questions):
        rest = questions[len(outcomes) :]
        seconds = int(deadline - time.monotonic())
        if seconds <= 0:
            outcomes += [Outcome("timeout", None, "took too long")] * len(rest)
            recheck = True
            break
        survey, reports = ask_process(sheet, cells, rest, limits, jail, seconds)
        outcomes += map(to_outcome, reports)
        recheck |= any(bool(report.get("recheck")) for report in reports)
        if len(reports) < len(rest):
            if died_at == len(outcomes):
                outcomes.append(Outcome("crashed", None, GONE))
                recheck = True
            died_at = len(outcomes)
    return NotebookRun(outcomes, recheck=recheck, **survey)


def ask_process(
    sheet: Sheet,
    cells: list[tuple[int, str]],
    questions: list[Question],
    limits: Limits,
    jail: Jail,
    seconds: int,
) -> tuple[dict, list[dict]]:
    """What one process says: about the cells, and about each question until it ends; raises ``Infra``."""
    with tempfile.TemporaryDirectory(prefix="cnnlib-grade-", ignore_cleanup_errors=True) as work:
        command = jail(Path(work), sheet.absent, limits)
        bounds = {"cpu": limits.cpu, "wall": limits.wall, "memory": int(limits.memory * 2**30)}
        request = {
            "sheet": sheet.name,
            "cells": cells,
            "limits": bounds | {"processes": limits.processes, "walls": command.walls},
            "seconds": seconds,
        }
        asked = [{"exercise": question.exercise, "draws": question.draws} for question in questions]
        parts = [json.dumps(part).encode() + b"\n" for part in (request, "load", asked)]
        lines = exchange(command, work, parts, seconds, silence=3 * limits.wall)
    try:
        survey, *reports = [json.loads(line) for line in lines]
        loaded, *reports = reports or [{"notes": [], "missing": {}}]  # unless loading ended the process
        survey = {
            "notes": [printable(str(note)) for note in survey["notes"] + loaded["notes"]],
            "missing": {str(name): printable(str(why)) for name, why in loaded["missing"].items()},
            "shortcuts": list(map(str, survey["shortcuts"])),
            "sheet_id": str(survey["sheet"]),
        }
        return survey, reports
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise Infra(f"the student's process said something unknown: {error}") from None


def exchange(
    command: Command, work: str, requests: list[bytes], seconds: float, silence: float
) -> list[bytes]:
    """The lines that a command writes: one to each request, then the rest; each after ``silence`` seconds at most.

    It is killed when its ``seconds`` are over.
    """
    with tempfile.TemporaryFile() as errors:
        try:
            with subprocess.Popen(
                command.argv,
                cwd=work,
                env=command.env,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                start_new_session=True,
            ) as process:
                end = time.monotonic() + seconds

                def answer() -> bytes:
                    """The next line, or what there is of it when the process ends or must end."""
                    timer = threading.Timer(max(0, min(silence, end - time.monotonic())), process.kill)
                    timer.start()
                    try:
                        return process.stdout.readline(MAX_LINE)
                    finally:
                        timer.cancel()

                lines = []
                try:
                    with contextlib.suppress(BrokenPipeError):  # what it wrote about its end says more
                        for number, request in enumerate(requests, 1):
                            process.stdin.write(request)
                            process.stdin.flush()
                            if number < len(requests):
                                lines.append(answer())
                    with contextlib.suppress(BrokenPipeError):
                        process.stdin.close()
                    lines += iter(answer, b"")
                    lines = [line for line in lines if line]
                finally:
                    process.kill()
                    if command.afterwards:
                        subprocess.run(command.afterwards, capture_output=True, timeout=60)
        except (OSError, subprocess.SubprocessError) as error:
            raise Infra(f"the student's process cannot be reached: {error}") from None
        errors.seek(0)
        if not lines:
            said = errors.read()[-300:].decode(errors="replace").strip()
            raise Infra(f"the student's process did not start: {said}")
    return lines if lines[-1].endswith(b"\n") else lines[:-1]


def to_outcome(report: dict) -> Outcome:
    """One line about a probe; raises ``Infra`` for a status that does not exist."""
    try:
        if report["status"] not in STATUSES:
            raise ValueError(f"status {report['status']!r}")
        status, message = report["status"], printable(str(report.get("message", "")))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise Infra(f"the student's process said something unknown: {error}") from None
    try:
        return Outcome(status, decode(report.get("value")), message)
    except (ValueError, RecursionError):
        return Outcome("tampered", None, "something else than an answer came back")
