"""Students side by side, with torch in the jail: one's bomb is not the other's, and one thread is one's share."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from solving import opened

from cnnlib.grading import jail, supervise
from cnnlib.grading.jail import Limits
from cnnlib.grading.sheet import load

pytestmark = pytest.mark.skipif(bool(jail.bwrap_trouble()), reason="no jail here")

BOMB = """
import os, time
def conv_macs(*a):
    while True:
        try: os.fork()
        except OSError: time.sleep(0.01)"""
NEEDS_SOME = """
import os, time
def conv_macs(*a):
    made = 0
    for _ in range(40):
        if os.fork() == 0:
            time.sleep(5)
            os._exit(0)
        made += 1
    return made"""


def test_a_fork_bomb_takes_no_process_from_the_student_beside_it():
    """The limit counts inside each jail: with one for the user, the neighbour could not even start."""
    limits, question = Limits(1, 0.5), [supervise.Question("conv_macs", [{"x": 1}])]

    def run(code, times):
        return [
            supervise.run(load("cost"), [(1, code)], question, limits, jail.bwrap).outcomes[0]
            for _ in range(times)
        ]

    with ThreadPoolExecutor(2) as pool:
        # The bomb goes on until its time by the clock is over, eight seconds; a neighbour needs half a second.
        bomb, beside = pool.submit(run, BOMB, 1), pool.submit(run, NEEDS_SOME, 4)
        assert [(o.status, o.value) for o in beside.result()] == [("value", [40])] * 4
        assert not {o.status for o in bomb.result()} & {"value", "missing"}


@pytest.fixture(scope="module")
def lenet():
    sheet = opened("lenet")
    return sheet.sheet, sheet.sheet.exercise("subsample").practice[0].inputs


def with_torch(lenet, *cells):
    """What `subsample` of these cells comes to in the jail."""
    sheet, draw = lenet
    question = [supervise.Question("subsample", [draw])]
    run = supervise.run(
        sheet, list(enumerate(cells, 1)), question, Limits(5, 1.0), jail.bwrap
    )  # fmt: skip
    return run.outcomes[0], run.notes


def test_torch_starts_in_the_jail_with_a_place_for_temporary_files(lenet):
    """`import torch` fails where there is none, and that would look like the student's error."""
    outcome, notes = with_torch(
        lenet,
        "import tempfile\nimport torch\ndef subsample(*a):\n"
        "    with tempfile.TemporaryFile() as file:\n        return [file.write(b'x'), tempfile.gettempdir()]",
    )
    assert (outcome.status, outcome.value, notes) == ("value", [[1, "/tmp"]], [])


def test_a_student_has_one_thread_and_may_ask_for_more(lenet):
    """A parallel operation in a process that was forked hangs if its parent had threads of its own."""
    outcome, _ = with_torch(
        lenet,
        "def subsample(*a):\n    before = torch.get_num_threads()\n    torch.set_num_threads(4)\n"
        "    x = torch.ones(400, 400)\n    return [before, float((x @ x).sum())]",
    )
    assert (outcome.status, outcome.value) == ("value", [[1, 400.0**3]])


@pytest.mark.parametrize("bomb", ["x = torch.zeros(10**12)", "x = [torch.ones(10**7) for _ in range(10**4)]"])
def test_a_memory_bomb_of_torch_between_the_cells_costs_nothing(lenet, bomb):
    outcome, notes = with_torch(lenet, f"import torch\n{bomb}", "def subsample(*a): return 7")
    assert (outcome.status, outcome.value) == ("value", [7])
    assert "cell 1, line 2" in notes[0] and "allocate" in notes[0]
