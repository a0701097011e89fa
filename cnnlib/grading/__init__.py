"""Exercise sheets: notebooks of students go in, rows of verdicts and points come out.

``check("conv_out")`` tries an answer in the student's own notebook; ``cnnlib grade`` marks a folder of them, each in a
jail, judged outside of it. Names resolve on first use, since this door also stands inside the jail, where most modules
and torch are not.
"""

from importlib import import_module

_HOME = {
    "Assignment": "grader", "ISOLATION": "jail", "Infra": "jail", "JAILS": "jail", "Limits": "jail",
    "NAME_PATTERNS": "roster", "RunFolder": "session", "check": "practice", "find_text": "source",
    "grade_class": "session", "make_demo": "build", "make_handout": "build", "prove": "build", "sheet_of": "source",
    "write_atomically": "batch",
}  # fmt: skip

__all__ = sorted(_HOME)


def __getattr__(name: str):
    if name not in _HOME:
        raise AttributeError(f"module 'cnnlib.grading' has no attribute {name!r}")
    return getattr(import_module(f"cnnlib.grading.{_HOME[name]}"), name)
