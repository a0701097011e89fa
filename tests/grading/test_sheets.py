"""Every sheet proves itself: solutions get all points, the blank form none, and no known mistake gets all."""

import ast
import itertools
import random
import re
import runpy

import nbformat
import pytest
import torch
from handins import TEXT
from nbclient import NotebookClient
from torch import nn

import cnnlib
from cnnlib.grading import grader, jail, source, supervise
from cnnlib.grading.practice import verdict
from cnnlib.grading.sheet import load, names
from cnnlib.grading.values import plain

SEEDS = range(25)


def namespace(cells, constants):
    """What the code cells define, without their checks."""
    ns = dict(constants)
    for _, code in cells:
        if not code.startswith("check("):
            exec(code, ns)
    return ns


@pytest.fixture(scope="module")
def constants(sheet):
    return source.constants(sheet.text)


@pytest.fixture(scope="module")
def reference(sheet, constants):
    return namespace(source.code_cells(source.solved_notebook(sheet.text)), constants)


def points(exercise, ns, reference, constants, seed):
    """Points of each probe, in this process: the known mistakes are ours and end."""
    given = {name: constants[name] for name in exercise.given}
    got = []
    for number, probe in enumerate(exercise.probes):
        rng = random.Random(f"{seed} {number}")
        draws = [given | probe.inputs(rng) for _ in range(probe.draws)]
        pairs = [(plain(exercise.answer(ns, d)), plain(exercise.answer(reference, d)), d) for d in draws]
        got.append(0 if any(probe.judge(*pair) for pair in pairs) else probe.points)
    return got


def test_the_solutions_pass_every_check(sheet, reference):
    for exercise in sheet.sheet.exercises:
        assert verdict(exercise, reference).startswith("ok, "), exercise.name


def test_solutions_get_all_points_and_a_blank_sheet_none(sheet):
    """Through the same processes as in a grading, for two seeds and a variant."""
    for seed, variant in ((1, None), (2, None), (3, 11)):
        task = grader.Task(sheet.sheet, sheet.text, variant, seed, supervise.Limits())
        right = grader.reference(task, jail.open_door)
        assert sum(e["points"] for e in grader.exercises(task, right, right)) == sheet.sheet.points == 15
        cells = source.code_cells(source.student_notebook(sheet.text, variant))
        blank = supervise.run(sheet.sheet, cells, task.questions, task.limits, jail.open_door)
        assert {(o.status, o.message) for o in blank.outcomes} == {("missing", "not attempted")}
        assert blank.notes == []


def mistakes():
    wrong = runpy.run_path(str(TEXT.parent / "answers" / "cost.py"))["WRONG"]
    return [
        pytest.param(name, code, id=f"{name}: {m}")
        for name, found in wrong.items()
        for m, code in found.items()
    ]


@pytest.mark.parametrize(("name", "code"), mistakes())
def test_no_known_mistake_gets_full_points_or_passes_its_check(sheet, reference, constants, name, code):
    exercise = sheet.sheet.exercise(name)
    ns = namespace([(1, code)], constants)
    assert verdict(exercise, ns).startswith("failed. ")
    for seed in SEEDS if exercise.probes else ():
        assert sum(points(exercise, ns, reference, constants, seed)) < exercise.points


def test_probes_tell_mistakes_apart(sheet, reference, constants):
    """Probes that all fail or all pass together would be one probe with more points."""
    for exercise in sheet.sheet.graded:
        found = [
            tuple(points(exercise, namespace([(1, code)], constants), reference, constants, seed=7))
            for code in sheet.wrong[exercise.name].values()
        ]
        passed_somewhere = [any(got[i] for got in found) for i in range(len(exercise.probes))]
        assert passed_somewhere[:-1] == [True] * (len(exercise.probes) - 1), exercise.name
        assert any(0 < sum(got) < exercise.points for got in found), exercise.name


def test_every_exercise_has_known_mistakes(sheet):
    assert list(sheet.wrong) == [exercise.name for exercise in sheet.sheet.exercises]
    assert all(len(found) >= 6 for found in sheet.wrong.values())


def test_practice_values_have_a_second_witness(sheet):
    """The stored values against torch and the package's engine, which share no code with the solutions."""
    cases = {e.name: [(c.inputs, c.value) for c in e.practice] for e in sheet.sheet.exercises}
    for inputs, value in cases["conv_out"]:
        options = {torch_name: inputs[ours] for ours, torch_name in RENAMED.items() if ours in inputs}
        conv = nn.Conv1d(1, 1, inputs["kernel"], **options, device="meta")
        assert conv(torch.empty(1, 1, inputs["n"], device="meta")).shape[-1] == value
    for inputs, value in cases["conv_params"]:
        c_in, c_out, kernel, *rest = inputs.values()
        conv = nn.Conv2d(
            c_in, c_out, kernel, **dict(zip(("groups", "bias"), rest, strict=False)), device="meta"
        )
        assert sum(p.numel() for p in conv.parameters()) == value
    for inputs, value in cases["conv_macs"]:
        c_in, c_out, kernel, h, w, *rest = inputs.values()
        options = dict(zip(("stride", "padding", "groups"), rest, strict=False))
        assert cnnlib.trace(nn.Conv2d(c_in, c_out, kernel, **options), (c_in, h, w)).macs == value
    for inputs, value in cases["receptive_field"]:
        layers = [nn.Conv2d(1, 1, k, s, dilation=d) for k, s, d in inputs["layers"]]
        assert not layers or cnnlib.trace(nn.Sequential(*layers), (1, 255, 255)).receptive_field == value


RENAMED = {"stride": "stride", "pad": "padding", "dilation": "dilation"}


def test_the_worked_examples_of_the_text_are_right(sheet, reference):
    calls = re.findall(r"`((?:conv_\w+|peak_memory)\([\d, ]+\))` is ([\d,]+)", sheet.text)
    assert len(calls) == 3
    for call, value in calls:
        assert eval(call, reference) == int(value.replace(",", "").rstrip("."))
    assert reference["peak_memory"]([(1, 4, 4), (2, 4, 4), (8, 2, 2)]) == 256
    assert reference["receptive_field"]([(3, 2, 1), (3, 1, 1)]) == 7


def test_the_stem_is_judged_as_a_real_network_is_counted(sheet, reference, constants):
    layers, channels = [], 3
    for c_out, kernel, stride, pad in eval("stem()", reference):
        layers.append(nn.Conv2d(channels, c_out, kernel, stride, pad))
        channels = c_out
    cost = cnnlib.trace(nn.Sequential(*layers), (3, constants["SIDE"], constants["SIDE"]))
    side = constants["SIDE"] // 8
    assert cost.rows[-1].out == (constants["CHANNELS"], side, side)
    assert cost.receptive_field >= constants["SEES"]
    assert cost.macs <= constants["MACS"] * constants["SIDE"] ** 2
    assert cost.params <= constants["PARAMS"]


def test_every_variant_can_be_solved(sheet, constants):
    ns = namespace(source.code_cells(source.solved_notebook(sheet.text)), constants)
    cell = next(c.source for c in source.read(sheet.text).cells if c.source.startswith("VARIANT = "))
    table = ast.literal_eval(cell.removeprefix("VARIANT = "))
    exercise = sheet.sheet.exercise("stem")
    for values in itertools.product(*table.values()):
        given = dict(zip(table, values, strict=True))
        answer = exercise.answer(ns, given)
        assert not exercise.probes[-1].judge(plain(answer), None, given), given


# Student form


def test_no_graded_solution_is_in_the_student_form(sheet):
    """Neither in the student form nor in the committed notebook, which the site shows."""
    published = sheet.path.with_suffix(".ipynb").read_text(encoding="utf-8")
    student = nbformat.writes(source.student_notebook(sheet.text))
    seen = 0
    for cell in source.read(sheet.text).cells:
        header = source.HEADER.match(cell.source)
        for _, solution in source.SOLUTION.findall(cell.source):
            lines = [line.strip() for line in solution.splitlines() if len(line.strip()) > 20]
            for form in (published, student):
                shown = [line for line in lines if line.replace('"', '\\"') in form]
                assert shown == (lines if header[2] == "practice" else []), header[1]
            seen += 1
    assert seen == len(sheet.sheet.exercises)


def test_text_and_sheet_agree_on_what_is_graded(sheet):
    told = dict(source.HEADER.findall("\n".join(c.source for c in source.read(sheet.text).cells)))
    assert told == {e.name: "graded" if e.probes else "practice" for e in sheet.sheet.exercises}
    headings = re.findall(r"^## Exercise .*\((practice|graded, (\d+) points)\)$", sheet.text, re.M)
    assert [int(n or 0) for _, n in headings] == [e.points for e in sheet.sheet.exercises]


@pytest.mark.parametrize("form", ["blank", "solved"])
def test_the_sheet_runs_from_top_to_bottom(sheet, form):
    nb = {"blank": source.student_notebook, "solved": source.solved_notebook}[form](sheet.text)
    NotebookClient(nb, timeout=60, kernel_name="python3").execute()
    said = [cell.outputs[0].text for cell in nb.cells if cell.source.startswith("check(")]
    words = [re.match(r"\w+: (ok|not attempted)", line)[1] for line in said]
    assert words == [{"blank": "not attempted", "solved": "ok"}[form]] * len(sheet.sheet.exercises)


def test_a_marker_without_its_partner_is_an_error(sheet):
    for text in (
        sheet.text.replace("    ### END SOLUTION\n", "", 1),
        sheet.text.replace("    ### BEGIN SOLUTION\n", "", 1),
        sheet.text.replace(": conv_macs, graded", ": conv_macs", 1),
    ):
        with pytest.raises(ValueError, match="partner|header line"):
            source.student_notebook(text)


def test_a_variant_changes_constants_and_says_so(sheet):
    book, other = source.student_notebook(sheet.text), source.student_notebook(sheet.text, 5)
    different = [
        (a.source, b.source) for a, b in zip(book.cells, other.cells, strict=True) if a.source != b.source
    ]
    assert any("SIDE = " in a for a, _ in different)
    assert all("cost/1/5" in b or "SIDE = " in b for _, b in different)
    assert source.constants(sheet.text, 5) == source.constants(sheet.text, 5) != source.constants(sheet.text)


def test_names_of_checks_are_unique_over_all_sheets():
    found = [exercise.name for sheet in map(load, names()) for exercise in sheet.exercises]
    assert len(found) == len(set(found))
    assert "cost" in names()
