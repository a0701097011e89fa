"""The process that stands between the grader and one student's code: ``python -m cnnlib.grading.child``.

It reads one request (JSON) from its standard input and never runs a line of the student's. For every probe it
forks a process that does, under limits, and writes one line of JSON about it to its standard output.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module

from cnnlib.grading import student
from cnnlib.grading.confine import be_opaque, confine, die_with_parent, end_all, together
from cnnlib.grading.sheet import Sheet, load

FRAME = 2**20  # bytes of one line about a probe
SURVEY = 2**23  # the same for the survey, which returns the cells
WATCH = 0.25  # seconds between two looks at what many processes use together
GRACE = 0.5  # seconds to die in, for a process that has closed its pipe
STATUSES = ("missing", "memory", "error")  # those that a forked process may claim, besides a value


@dataclass
class Ending:
    """The lines that a forked process wrote; if they are fewer than asked for, why."""

    lines: list[object] = field(default_factory=list)
    status: str = ""  # timeout, crashed or tampered
    message: str = ""
    late: bool = False  # the clock, not the CPU time, ended it: that may be the machine's fault


def forked(job: Callable[[student.Say], None], count: int, limits: dict, most: int) -> Ending:
    """Run ``job`` in a process of its own until it has said ``count`` lines, died, or met a limit.

    ``limits``: ``cpu`` and ``wall`` in seconds, ``memory`` in bytes on top of what the process starts with,
    ``processes`` in number; ``walls``: whatever this process sees belongs to the job.
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
    ending, ended = listen(reader, count, limits, most)
    os.close(reader)
    status, cpu = buried(pid, GRACE if ended else 0)
    if limits["walls"]:
        end_all()
    if ended:
        ending.status, ending.message = death(status, cpu > limits["cpu"] / 2)
    return ending


def write(writer: int, line: object) -> None:
    """Send one line of JSON."""
    data = json.dumps(line).encode() + b"\n"
    while data:
        data = data[os.write(writer, data) :]


def listen(reader: int, count: int, limits: dict, most: int) -> tuple[Ending, bool]:
    """Up to ``count`` lines of at most ``most`` bytes, and whether the other end closed before that."""
    ending, rest = Ending(), b""
    deadline = time.monotonic() + limits["wall"]
    while len(ending.lines) < count:
        left = max(0, deadline - time.monotonic())
        ready, _, _ = select.select([reader], [], [], min(left, WATCH))
        if not ready and left == 0:
            ending.status, ending.message, ending.late = "timeout", "took too long", True
            return ending, False
        if not ready:
            if limits["walls"] and together() > limits["memory"]:
                ending.status, ending.message = "memory", "more memory than allowed"
                return ending, False
            continue
        data = os.read(reader, 2**16)
        if not data:
            return ending, True
        *complete, rest = (rest + data).split(b"\n")
        try:
            if max(map(len, [*complete, rest])) > most:
                raise ValueError
            ending.lines += map(json.loads, complete)
        except (ValueError, RecursionError):
            ending.status, ending.message = "tampered", "something else than an answer came back"
            return ending, False
    return ending, False


def buried(pid: int, grace: float) -> tuple[int, float]:
    """Kill a process and its group, ``grace`` seconds from now; its wait status and CPU seconds."""
    end = time.monotonic() + grace
    gone, status, usage = os.wait4(pid, os.WNOHANG)
    while not gone and time.monotonic() < end:
        time.sleep(0.005)
        gone, status, usage = os.wait4(pid, os.WNOHANG)
    with contextlib.suppress(OSError):
        os.killpg(pid, signal.SIGKILL)
    if not gone:
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGKILL)
        _, status, usage = os.wait4(pid, 0)
    return status, usage.ru_utime + usage.ru_stime


def death(status: int, worked: bool) -> tuple[str, str]:
    """Status and message of a process that ended without an answer; ``worked``: it used much of its CPU time.

    The system enforces the limit by counting clock ticks, so a process may seem to die a little before it.
    """
    code = os.waitstatus_to_exitcode(status)
    if code == -signal.SIGXCPU or code == -signal.SIGKILL and worked:
        return "timeout", "took too long"
    if code < 0:
        return "crashed", f"the process died ({signal.Signals(-code).name})"
    return "crashed", "the process ended before it had an answer (os._exit?)"


def report(ending: Ending) -> dict:
    """What goes to the grader about one probe: nothing that was not looked at, whatever the process wrote."""
    said = ending.lines[0] if ending.lines else {"loaded": []}
    if type(said) is not dict or type(notes := said.get("loaded")) is not list:
        return {"status": "tampered", "message": "something else than an answer came back", "notes": []}
    notes = [str(note)[: student.LONGEST] for note in notes[:20]]
    if len(ending.lines) < 2:
        return {"status": ending.status, "message": ending.message, "notes": notes, "late": ending.late}
    result = ending.lines[1]
    status = result.get("status") if type(result) is dict else None
    if status == "value" and "value" in result:
        return {"status": "value", "value": result["value"], "notes": notes}
    if status in STATUSES:
        return {
            "status": status,
            "message": str(result.get("message"))[: 2 * student.LONGEST],
            "notes": notes,
        }
    return {"status": "tampered", "message": "something else than an answer came back", "notes": notes}


def serve(request: dict, tell: Callable[[dict], None]) -> None:
    """Answer a request: one line for the survey of the cells, then one for each question."""
    sheet, limits = load(request["sheet"]), request["limits"]
    for module in sheet.imports.values():
        import_module(module)
    survey = forked(lambda say: say(student.survey(request["cells"], sheet)), 1, limits, SURVEY)
    found = survey.lines[0] if survey.lines else {"notes": [f"the cells could not be read: {survey.message}"]}
    tell({key: found.get(key, empty) for key, empty in (("notes", []), ("shortcuts", []), ("sheet", ""))})
    cells, safe = found.get("cells", request["cells"]), False
    for question in request["questions"]:
        ending = probe(cells, sheet, question, safe, limits)
        if not ending.lines and not safe:  # loading died or never ended: from here on only what is harmless
            safe = True
            ending = probe(cells, sheet, question, safe, limits)
        tell(report(ending))


def probe(cells: student.Cells, sheet: Sheet, question: dict, safe: bool, limits: dict) -> Ending:
    """Put one question to the cells: a line when they are loaded, and one with the answer."""
    exercise, draws = sheet.exercise(question["exercise"]), question["draws"]
    return forked(lambda say: student.answer(cells, sheet, exercise, draws, safe, say), 2, limits, FRAME)


def main() -> None:
    """Serve the request on standard input."""
    die_with_parent()
    be_opaque()
    channel = os.dup(sys.stdout.fileno())
    request = json.load(sys.stdin)
    signal.alarm(request["seconds"])  # a container does not end with the command that started it
    serve(request, lambda line: write(channel, line))


if __name__ == "__main__":
    main()
