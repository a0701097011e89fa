"""Hidden inputs leave a student's process through no message: what a page shows is made of words that we know."""

import pytest

from cnnlib.grading import grader, jail
from cnnlib.grading.supervise import Outcome

DOOR = ("--isolation", "none" if jail.bwrap_trouble() else "bwrap")
HUNT = """
import gc, sys
SEEN = [thing for thing in gc.get_objects() if isinstance(thing, dict) and {"exercise", "draws"} <= thing.keys()]
frame = sys._getframe()
while frame:
    SEEN += [name for name in frame.f_locals if name in ("draws", "question")]
    frame = frame.f_back
"""
LEAKS = {
    "text": "def conv_macs(*a):\n    raise ValueError(f'SECRET {a}')",
    "class": "def conv_macs(*a):\n    raise type('SECRET' + '_'.join(map(str, a)), (Exception,), {})()",
    "place": "def conv_macs(*a):\n    exec(compile('\\n' * a[0] + 'raise ValueError', 'cell 99991', 'exec'))",
    "type": "def conv_macs(*a):\n    return type('SECRET' + '_'.join(map(str, a)), (), {})()",
    "renamed": "def conv_macs(*a):\n    ZeroDivisionError.__name__ = f'SECRET{a}'\n    1 / 0",
}


@pytest.fixture(scope="module")
def graded(folder, solved):
    for name, code in LEAKS.items():
        folder.put(f"{name}.ipynb", solved(conv_macs=code))
    assert folder.grade(*DOOR, "--seed", 3, "--jobs", 2) == 0
    return folder


@pytest.mark.parametrize("name", LEAKS)
def test_no_message_of_a_student_s_code_reaches_a_page_or_table(graded, name):
    page = (graded.run / "feedback" / f"{name}.html").read_text(encoding="utf-8").split("<details>")[0]
    tables = [path.read_text(encoding="utf-8-sig") for path in (graded.out, *graded.run.glob("*.csv"))]
    for text in (page, *tables, (graded.run / "gradescope" / name / "results.json").read_text()):
        assert "SECRET" not in text and "99991" not in text
    assert graded.rows()[name]["conv_macs status"] == "error"


def test_what_is_said_of_loading_comes_from_a_process_without_inputs(new_folder, solved):
    """Its words are shown, so nothing hidden may be there to be found: neither in frames nor in memory."""
    code = (
        f"if True:\n    exec({HUNT!r})\n    x = int('SEEN' + repr(SEEN))\ndef conv_macs(*a): return len(SEEN)"
    )
    new_folder.put("ada.ipynb", solved(conv_macs=code))
    assert new_folder.grade(*DOOR) == 0
    (note,) = new_folder.results()["ada"]["notes"]
    assert note.endswith("invalid literal for int() with base 10: 'SEEN[]'")


@pytest.mark.parametrize(
    ("status", "said", "shown"),
    [
        (
            "error",
            "ZeroDivisionError: division by zero, cell 7, line 3",
            "ZeroDivisionError: division by zero, cell 7, line 3",
        ),
        ("error", "ValueError: 5 is no size, cell 7, line 3", "ValueError, cell 7, line 3"),
        ("error", "ValueError: 5 is no size, cell 7, line 4", "ValueError"),
        ("error", "ValueError: 5 is no size, cell 8, line 1", "ValueError"),
        ("error", "Five: x, cell 7, line 1", "an error, cell 7, line 1"),
        ("error", "print: x", "an error"),
        (
            "error",
            "a number, a text or a list of them is needed, not Five",
            "a number, a text or a list of them is needed",
        ),
        ("memory", "more memory than allowed, cell 7, line 2", "more memory than allowed, cell 7, line 2"),
        ("memory", "5 is the answer", "an error"),
        ("crashed", "the process died (SIGSEGV)", "the process died (SIGSEGV)"),
        ("timeout", "took too long", "took too long"),
        ("missing", "it is 5", "not attempted"),
    ],
)
def test_messages_are_made_of_words_that_we_know(status, said, shown):
    assert grader.public_message("stem", Outcome(status, None, said), {}, {7: 3}) == shown
