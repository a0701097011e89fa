"""``check("conv_out")``: tries an answer in the student's notebook on public inputs and says how it did."""

from __future__ import annotations

import sys
from collections.abc import MutableMapping
from difflib import get_close_matches

from cnnlib.grading.sheet import Case, Exercise, load, names
from cnnlib.grading.values import NotPlain, plain

PRACTICE = "This is practice: the grade comes from a rerun with other inputs."
UNGRADED = "This exercise is for practice only."
MAX_SHOWN = 1000  # characters of a value that is shown: nobody reads the scores of a hundred pictures


def check(name: str) -> None:
    """Print how the answer ``name`` does on the public inputs of its exercise.

    The answer is looked up where the call stands, else in the notebook. The first word after the name is
    ``ok``, ``failed``, ``error`` or ``not attempted``. A wrong value brings a hint, not the right value.
    """
    exercises = {exercise.name: exercise for sheet in map(load, names()) for exercise in sheet.exercises}
    if name not in exercises:
        near = get_close_matches(str(name), exercises) or sorted(exercises)
        print(f"There is no check {name!r}. Did you mean {', '.join(map(repr, near))}?")
        return
    ns = sys._getframe(1).f_globals
    if name not in ns:
        ns = vars(sys.modules["__main__"])
    print(f"{name}: {verdict(exercises[name], ns)}")


def verdict(exercise: Exercise, ns: MutableMapping[str, object]) -> str:
    """Status and explanation of one answer."""
    name = exercise.name
    if name not in ns:
        return f"not attempted. There is no {name} here yet: write it, run its cell, then check again."
    if not callable(ns[name]):
        return f"error. {name} is not a function any more; was it assigned to?"
    if missing := [constant for constant in exercise.given if constant not in ns]:
        return f"error. First run the cell that sets {', '.join(missing)}."
    given = {constant: ns[constant] for constant in exercise.given}
    for number, case in enumerate(exercise.practice):
        try:
            value = plain(exercise.answer(ns, given | case.inputs))
        except NotImplementedError:
            return "not attempted yet."
        except NotPlain as error:
            return f"failed on {call_text(name, case)}: {error}."
        except (KeyboardInterrupt, GeneratorExit):
            raise
        except BaseException as error:  # whatever a student's code may raise, SystemExit too
            return f"error on {call_text(name, case)}: {type(error).__name__}: {error}"
        if wrong := case.judge(value, case.value, given | case.inputs):
            shown = repr(value.tolist() if hasattr(value, "tolist") else value)
            got = f" returns {shown}" if case.inputs and len(shown) <= MAX_SHOWN else ""
            right = f"\n  The {number} before it came out right." if number else ""
            return f"failed. {call_text(name, case)}{got}: {wrong}.\n  Hint: {case.hint}{right}"
    closing = PRACTICE if exercise.probes else UNGRADED
    count = len(exercise.practice)
    return f"ok, {count} of {count} tries are right. {closing}"


def call_text(name: str, case: Case) -> str:
    """The call as a student would type it."""
    return f"{name}({', '.join(f'{key}={value!r}' for key, value in case.inputs.items())})"
