"""Exercise sheets: notebooks of students go in, rows of verdicts and points come out.

``check("conv_out")`` tries an answer in the student's own notebook; ``cnnlib grade`` marks a folder of them, each in a
jail, judged outside of it. The modules that the command line calls are handed on lazily, since this door also stands
inside the jail, where most of them, and torch, are not.
"""

from importlib import import_module

_NAMES = {
    "check": "practice", "Infra": "supervise", "Limits": "jail", "Task": "grader", "jails": "jail",
    "handout": "build", "proof": "build",
}  # fmt: skip
_MODULES = ("batch", "demo", "jail", "roster", "session", "source")

__all__ = [*_NAMES, *_MODULES]


def __getattr__(name: str):
    if name in _NAMES:
        return getattr(import_module(f"cnnlib.grading.{_NAMES[name]}"), name)
    if name in _MODULES:
        return import_module(f"cnnlib.grading.{name}")
    raise AttributeError(f"module 'cnnlib.grading' has no attribute {name!r}")
