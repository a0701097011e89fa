"""The process that stands between the grader and one student's code: ``python -m cnnlib.grading.child``.

It reads lines of JSON from its standard input, the cells and then the questions, and never runs a line of the
student's. For every probe it forks a process that does, under limits, and writes one line of JSON about it to its
standard output.
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
from functools import partial
from importlib import import_module

from cnnlib.grading import student
from cnnlib.grading.confine import (
    confine,
    die_with_parent,
    forbid_tracing,
    kill_others,
    leave_keyring,
    memory_of_others,
)
from cnnlib.grading.sheet import Sheet, load

MAX_ANSWER = 2**22  # bytes of one line about a probe
MAX_SURVEY = 2**23  # the same for the survey, which returns the cells
MEMORY_POLL = 0.25  # seconds between two looks at what many processes use together
GRACE = 0.5  # seconds to die in, for a process that has closed its pipe
STATUSES = ("missing", "memory", "error")  # those that a forked process may claim, besides a value


@dataclass
class ForkResult:
    """The lines that a forked process wrote; if they are fewer than asked for, why."""

    lines: list[object] = field(default_factory=list)
    status: str = ""  # timeout, crashed or tampered
    message: str = ""
    recheck: bool = False  # the clock, not the CPU time, ended it: that may be the machine's fault


def run_forked(job: Callable[[student.Send], None], count: int, limits: dict, most: int) -> ForkResult:
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
    forked, ended = read_lines(reader, count, limits, most)
    os.close(reader)
    status, cpu = reap(pid, GRACE if ended else 0)
    if limits["walls"]:
        kill_others()
    if ended:
        forked.status, forked.message = explain_exit(status, cpu > limits["cpu"] / 2)
    return forked


def write(writer: int, line: object) -> None:
    """Send one line of JSON."""
    data = json.dumps(line).encode() + b"\n"
    while data:
        data = data[os.write(writer, data) :]


def end_without_grader() -> None:
    """End this process, and with it all that it sees, if nobody reads what it says any more.

    As root bubblewrap may not end a process that became another user, so that a killed grader would leave it running.
    """
    channel = select.poll()
    channel.register(sys.__stdout__.fileno(), 0)
    if channel.poll(0):
        os._exit(1)


def read_lines(reader: int, count: int, limits: dict, most: int) -> tuple[ForkResult, bool]:
    """Up to ``count`` lines of at most ``most`` bytes, and whether the other end closed before that."""
    forked, rest = ForkResult(), b""
    deadline, look = time.monotonic() + limits["wall"], 0.0
    while len(forked.lines) < count:
        left = max(0, deadline - time.monotonic())
        ready, _, _ = select.select([reader], [], [], min(left, MEMORY_POLL))
        end_without_grader()
        if left == 0:
            forked.status, forked.message, forked.recheck = "timeout", "took too long", True
            return forked, False
        if limits["walls"] and time.monotonic() > look:  # also while a pipe drips
            look = time.monotonic() + MEMORY_POLL
            if memory_of_others() > limits["memory"]:
                forked.status, forked.message = "memory", "more memory than allowed"
                return forked, False
        if not ready:
            continue
        data = os.read(reader, 2**16)
        if not data:
            return forked, True
        *complete, rest = (rest + data).split(b"\n")
        try:
            if max(map(len, [*complete, rest])) > most:
                raise ValueError
            forked.lines += map(json.loads, complete)
        except (ValueError, RecursionError):
            forked.status, forked.message = "tampered", "something else than an answer came back"
            return forked, False
    return forked, False


def reap(pid: int, grace: float) -> tuple[int, float]:
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


def explain_exit(status: int, worked: bool) -> tuple[str, str]:
    """Status and message of a process that ended without an answer; ``worked``: it used much of its CPU time.

    The system enforces the limit by counting clock ticks, so a process may seem to die a little before it.
    """
    code = os.waitstatus_to_exitcode(status)
    if code == -signal.SIGXCPU or code == -signal.SIGKILL and worked:
        return "timeout", "took too long"
    if code < 0:
        return "crashed", f"the process died ({signal.Signals(-code).name})"
    return "crashed", "the process ended before it had an answer (os._exit?)"


def report(forked: ForkResult) -> dict:
    """What goes to the grader about one probe: nothing that was not looked at, whatever the process wrote."""
    if len(forked.lines) < 2:
        return {"status": forked.status, "message": forked.message, "recheck": forked.recheck}
    result = forked.lines[1]
    status = result.get("status") if type(result) is dict else None
    if status == "value" and "value" in result:
        return {"status": "value", "value": result["value"]}
    if status in STATUSES:
        return {"status": status, "message": str(result.get("message"))[: 2 * student.MAX_MESSAGE]}
    return {"status": "tampered", "message": "something else than an answer came back"}


def serve(request: dict, following: Callable[[], object], send: Callable[[dict], None]) -> None:
    """Say what the cells hold; when asked, what loading them brings; and only then get the questions.

    So the first line is sent before any student code has run, and the second, errors of loading among it, comes from
    a process that knows no hidden input. Then each question has its line. ``following`` reads the next request.
    """
    sheet, limits = load(request["sheet"]), request["limits"]
    for module in sheet.imports.values():
        import_module(module)
    survey = run_forked(lambda send: send(student.survey(request["cells"], sheet)), 1, limits, MAX_SURVEY)
    found = survey.lines[0] if survey.lines else {"notes": [f"the cells could not be read: {survey.message}"]}
    send({key: found.get(key, empty) for key, empty in (("notes", []), ("shortcuts", []), ("sheet", ""))})
    for module in found.get("imports", ()):  # in a forked process torch would not fit below the limit
        with contextlib.suppress(ImportError):
            import_module(module)
    following()
    cells = found.get("cells", request["cells"])
    for only_literals in (False, True):  # where loading dies or never ends, only what is harmless is loaded
        trial = run_forked(partial(student.try_loading, cells, sheet, only_literals), 1, limits, MAX_SURVEY)
        if trial.lines:
            break
    loaded = trial.lines[0] if trial.lines and type(trial.lines[0]) is dict else {}
    missing = dict(zip(texts(loaded.get("missing")), texts(loaded.get("why")), strict=False))
    send({"notes": texts(loaded.get("notes")), "missing": missing})
    for question in following():
        forked = ask(cells, sheet, question, only_literals, limits)
        if not forked.lines and not only_literals:
            only_literals = True
            forked = ask(cells, sheet, question, only_literals, limits)
        send(report(forked))


def texts(said: object) -> list[str]:
    """The first texts of what should be a list of them, cut short."""
    return [str(text)[: student.MAX_MESSAGE] for text in said[:20]] if type(said) is list else []


def ask(cells: student.Cells, sheet: Sheet, question: dict, only_literals: bool, limits: dict) -> ForkResult:
    """Put one question to the cells: a line when they are loaded, and one with the answer."""
    exercise, draws = sheet.exercise(question["exercise"]), question["draws"]
    job = partial(student.answer_question, cells, sheet, exercise, draws, only_literals)
    return run_forked(job, 2, limits, MAX_ANSWER)


def read_request() -> dict | list:
    """One line of JSON from the grader, who sends the next one when this is answered."""
    data = b""
    while not data.endswith(b"\n"):
        if not (part := os.read(0, 2**20)):
            sys.exit("the grader has gone")
        data += part
    return json.loads(data)


def main() -> None:
    """Serve the request on standard input."""
    die_with_parent()
    forbid_tracing()
    leave_keyring()
    channel = os.dup(sys.stdout.fileno())
    request = read_request()
    signal.alarm(request["seconds"])  # a container does not end with the command that started it
    serve(request, read_request, lambda line: write(channel, line))


if __name__ == "__main__":
    main()
