"""What stops a grading half way, and what does not: Ctrl-C, a plain terminal, a process that dies beside others."""

import os
import signal
import subprocess
import sys
import time

import pytest
from handins import ROOT

from cnnlib.grading import jail, supervise

DOOR = ("--isolation", "none" if jail.bwrap_trouble() else "bwrap")
LOOP = "def conv_macs(*a):\n    while True: pass"


def started(folder, *options, **variables):
    """`cnnlib grade` as a program of its own."""
    command = [
        *("-m", "cnnlib", "grade", folder.path, "--sheet", "cost", "--out", folder.out),
        *DOOR,
        *options,
    ]
    return subprocess.Popen(
        [sys.executable, *map(str, command)],
        cwd=ROOT,
        env=os.environ | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_ctrl_c_ends_at_once_and_keeps_what_is_graded(new_folder, solved):
    new_folder.put("ada.ipynb", solved())
    new_folder.put("bob.ipynb", solved(conv_macs=LOOP))
    process = started(new_folder, "--time", 60)
    end = time.monotonic() + 60
    while len(new_folder.results()) < 1 and time.monotonic() < end:
        time.sleep(0.05)
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    asked = time.monotonic()
    _, said = process.communicate(timeout=20)
    assert time.monotonic() - asked < 5, "it waited for the loop"
    assert process.returncode == 130 and "the same command does the rest" in said and "Traceback" not in said
    assert list(new_folder.results()) == ["ada"]
    kept = {path: path.stat().st_mtime_ns for path in (new_folder.run / "results").iterdir()}
    new_folder.put("bob.ipynb", solved(conv_macs=""))
    assert new_folder.grade(*DOOR, "--time", 60) == 0
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    assert {id: row["total"] for id, row in new_folder.rows().items()} == {"ada": "15", "bob": "12"}


def test_a_name_that_the_terminal_cannot_show_stops_nobody(new_folder):
    for name in ("名前", "zoë", "ada"):
        new_folder.put(f"{name}.ipynb", {"cells": []})
    process = started(new_folder, PYTHONIOENCODING="ascii:strict")
    said, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    assert set(new_folder.rows()) == {"名前", "zoë", "ada"}
    assert "zo\\xeb: 0" in said


@pytest.mark.parametrize(("jobs", "runs"), [(1, 1), (2, 2)])
def test_a_process_that_dies_beside_others_gets_a_second_run_alone(
    new_folder, solved, monkeypatch, jobs, runs
):
    """Where memory runs out, the system ends processes: that may have been the neighbour's doing."""
    new_folder.put("ada.ipynb", solved())
    real, calls = supervise.ask_process, []

    def dies(sheet, cells, questions, *rest):
        survey, reports = real(sheet, cells, questions, *rest)
        calls.append(len(questions))
        if len(calls) in (2, 3):  # the first is the reference; twice at its first question
            return survey, []
        return survey, reports

    monkeypatch.setattr(supervise, "ask_process", dies)
    assert new_folder.grade(*DOOR, "--jobs", jobs) == 0
    assert len(calls) == 3 + runs
    total, status = (new_folder.rows()["ada"][key] for key in ("total", "conv_macs status"))
    assert (total, status) == {1: ("14", "crashed"), 2: ("15", "ok")}[jobs]


@pytest.mark.skipif(DOOR[1] == "none", reason="no jail here")
def test_a_jail_that_opens_for_the_reference_alone_gives_nobody_a_zero(new_folder, solved, monkeypatch):
    new_folder.put("ada.ipynb", solved())
    real, made = jail.bwrap, []

    def once(*given):
        made.append(given)
        command = real(*given)
        return command if len(made) == 1 else type(command)(["false"], command.env)

    monkeypatch.setitem(jail.JAILS, "bwrap", (once, lambda: ""))
    assert new_folder.grade("--isolation", "bwrap") == 1
    assert (new_folder.rows()["ada"]["status"], new_folder.rows()["ada"]["total"]) == ("infra", "")
    assert new_folder.results() == {}
