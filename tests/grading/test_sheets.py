"""Every sheet proves itself: solutions get all points, the blank form none, and no known mistake gets all."""

import ast
import functools
import itertools
import random
import re

import nbformat
import pytest
from nbclient import NotebookClient
from notebook_faults import compared
from solving import namespace, opened
from warm import warm_jail

from cnnlib.grading import grader, source, supervise
from cnnlib.grading.jail import Limits
from cnnlib.grading.practice import verdict
from cnnlib.grading.sheet import load, names
from cnnlib.grading.values import plain

SEEDS = range(20)
SHEETS = {name: opened(name) for name in names()}


@pytest.fixture(scope="module", params=SHEETS)
def sheet(request):
    return SHEETS[request.param]


@functools.cache
def right_values(name, exercise, seed, number):
    """The inputs that a probe draws, each with the value of the solution; the same for every mistake.

    Where a public case has no value, its judge looks at the answer alone, and the solution is not asked.
    """
    sheet = SHEETS[name]
    exercise = sheet.sheet.exercise(exercise)
    given = {name: sheet.constants[name] for name in exercise.given}
    probe, rng = exercise.probes[number], random.Random(f"{seed} {number}")
    draws = [given | probe.inputs(rng) for _ in range(probe.draws)]
    alone = probe.judge in [case.judge for case in exercise.practice if case.value is None]
    return [(d, None if alone else plain(exercise.answer(sheet.reference, d))) for d in draws]


@functools.cache
def passes(name, exercise, mistake, seed, number):
    """Whether a known mistake passes a probe, in this process: they are ours and end."""
    sheet, ns = SHEETS[name], mistaken(name, exercise, mistake)
    exercise = sheet.sheet.exercise(exercise)
    pairs = right_values(name, exercise.name, seed, number)
    return not any(
        exercise.probes[number].judge(plain(exercise.answer(ns, d)), right, d) for d, right in pairs
    )


def points(name, exercise, mistake, seed):
    """Points of each probe, one after the other."""
    for number, probe in enumerate(SHEETS[name].sheet.exercise(exercise).probes):
        yield probe.points if passes(name, exercise, mistake, seed, number) else 0


def mistaken(name, exercise, mistake):
    """What the code of a known mistake defines."""
    sheet = SHEETS[name]
    return namespace(sheet.sheet, [(1, sheet.wrong[exercise][mistake])], sheet.constants)


def test_the_solutions_pass_every_check(sheet):
    for exercise in sheet.sheet.exercises:
        assert verdict(exercise, sheet.reference).startswith("ok, "), exercise.name


def test_solutions_get_all_points_and_a_blank_sheet_none(sheet):
    """Through the same kind of processes as in a grading, for the book's constants and for a class's own."""
    for seed, variant in ((1, None), (3, 11)):
        task = grader.Assignment(sheet.sheet, sheet.text, variant, seed, Limits())
        right = grader.run_reference(task, warm_jail)
        assert sum(e["points"] for e in grader.judge_exercises(task, right, right)) == sheet.sheet.points > 10
    cells = source.code_cells(source.student_notebook(sheet.text, variant))
    blank = supervise.run(sheet.sheet, cells, task.questions, task.limits, warm_jail)
    assert {(o.status, o.message) for o in blank.outcomes} == {("missing", "not attempted")}
    assert blank.notes == []


MISTAKES = [
    pytest.param(name, exercise, mistake, id=f"{name}: {exercise}: {mistake}")
    for name, sheet in SHEETS.items()
    for exercise, found in sheet.wrong.items()
    for mistake in found
]


@pytest.mark.parametrize(("name", "exercise", "mistake"), MISTAKES)
def test_no_known_mistake_gets_full_points_or_passes_its_check(name, exercise, mistake):
    written = SHEETS[name].sheet.exercise(exercise)
    assert verdict(written, mistaken(name, exercise, mistake)).startswith("failed. ")
    for seed in SEEDS if written.probes else ():
        assert not all(points(name, exercise, mistake, seed))  # stops at the first probe that fails


def test_probes_tell_mistakes_apart(sheet):
    """Probes that all fail or all pass together would be one probe with more points."""
    for exercise in sheet.sheet.graded:
        found = [
            tuple(points(sheet.sheet.name, exercise.name, mistake, seed=7))
            for mistake in sheet.wrong[exercise.name]
        ]
        passed_somewhere = [any(got[i] for got in found) for i in range(len(exercise.probes))]
        assert passed_somewhere[:-1] == [True] * (len(exercise.probes) - 1), exercise.name
        assert any(0 < sum(got) < exercise.points for got in found), exercise.name


def test_what_fails_says_what_to_look_at(sheet):
    """A verdict without a word on the mistake teaches nothing: a judge that names it, or a hint."""
    for exercise in sheet.sheet.graded:
        for probe in exercise.probes:
            assert probe.hint or probe.judge.__module__.startswith("cnnlib.grading.sheets."), probe.claim
        assert all(case.hint for case in exercise.practice)


def test_every_exercise_has_known_mistakes(sheet):
    assert list(sheet.wrong) == [exercise.name for exercise in sheet.sheet.exercises]
    assert all(len(found) >= 6 for found in sheet.wrong.values())


def test_every_variant_can_be_solved(sheet):
    ns = sheet.reference
    cell = next(c.source for c in source.parse_text(sheet.text).cells if c.source.startswith("VARIANT = "))
    table = ast.literal_eval(cell.removeprefix("VARIANT = "))
    (exercise,) = [exercise for exercise in sheet.sheet.graded if exercise.given]
    for values in itertools.product(*table.values()):
        given = dict(zip(table, values, strict=True))
        answer = exercise.answer(ns, given)
        assert not exercise.probes[-1].judge(plain(answer), None, given), given
    ns.update(sheet.constants)


# Student form


def test_no_graded_solution_is_in_the_student_form(sheet):
    """Neither in the student form nor in the committed notebook, which the site shows."""
    published = sheet.path.with_suffix(".ipynb").read_text(encoding="utf-8")
    student = nbformat.writes(source.student_notebook(sheet.text))
    seen = 0
    for cell in source.parse_text(sheet.text).cells:
        header = source.HEADER.match(cell.source)
        for _, solution in source.SOLUTION.findall(cell.source):
            lines = [line.strip() for line in solution.splitlines() if len(line.strip()) > 20]
            for form in (published, student):
                shown = [line for line in lines if line.replace('"', '\\"') in form]
                assert shown == (lines if header[2] == "practice" else []), header[1]
            seen += 1
    assert seen == len(sheet.sheet.exercises)


def test_text_and_sheet_agree_on_what_is_graded(sheet):
    told = dict(source.HEADER.findall("\n".join(c.source for c in source.parse_text(sheet.text).cells)))
    assert told == {e.name: "graded" if e.probes else "practice" for e in sheet.sheet.exercises}
    headings = re.findall(r"^## Exercise .*\((practice|graded, (\d+) points)\)$", sheet.text, re.M)
    assert [int(n or 0) for _, n in headings] == [e.points for e in sheet.sheet.exercises]


def said_by_checks(nb):
    said = [cell.outputs[0].text for cell in nb.cells if cell.source.startswith("check(")]
    return [re.match(r"\w+: (ok|not attempted)", line)[1] for line in said]


def test_the_solved_sheet_runs_from_top_to_bottom(sheet):
    nb = source.solved_notebook(sheet.text)
    NotebookClient(nb, timeout=60, kernel_name="python3").execute()
    assert said_by_checks(nb) == ["ok"] * len(sheet.sheet.exercises)


def test_the_blank_sheet_says_so_at_every_check(sheet):
    """The committed notebook is the blank form; nbval runs it from top to bottom and compares these outputs."""
    nb = nbformat.read(sheet.path.with_suffix(".ipynb"), as_version=4)
    assert said_by_checks(nb) == ["not attempted"] * len(sheet.sheet.exercises)
    assert all(compared(cell) for cell in nb.cells if cell.source.startswith("check("))


def test_a_marker_without_its_partner_is_an_error(sheet):
    for text in (
        sheet.text.replace("    ### END SOLUTION\n", "", 1),
        sheet.text.replace("    ### BEGIN SOLUTION\n", "", 1),
        re.sub(r": (\w+), graded", r": \1", sheet.text, count=1),
    ):
        with pytest.raises(ValueError, match="partner|header line"):
            source.student_notebook(text)


def test_a_variant_changes_constants_and_says_so(sheet):
    book, other = source.student_notebook(sheet.text), source.student_notebook(sheet.text, 5)
    different = [
        (a.source, b.source) for a, b in zip(book.cells, other.cells, strict=True) if a.source != b.source
    ]
    first = next(iter(sheet.constants))
    assert any(f"{first} = " in a for a, _ in different)
    assert all(f"{sheet.sheet.id}/5" in b or f"{first} = " in b for _, b in different)
    assert source.constants(sheet.text, 5) == source.constants(sheet.text, 5) != source.constants(sheet.text)


def test_names_of_checks_are_unique_over_all_sheets():
    found = [exercise.name for sheet in map(load, names()) for exercise in sheet.exercises]
    assert len(found) == len(set(found))
    assert {"cost", "lenet", "alexnet"} <= set(names())
