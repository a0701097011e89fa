"""What is hidden from an answer: inputs that differ from the public cases, and labels that stay outside."""

import json
import random

import pytest
from solving import opened
from warm import warm_jail

from cnnlib.grading import grader, supervise
from cnnlib.grading.jail import Limits
from cnnlib.grading.sheet import Probe, names
from cnnlib.grading.values import plain, same

SEEDS = range(3)
SHEETS = {name: opened(name) for name in names()}
GRADED = [
    pytest.param(sheet, exercise, id=exercise.name)
    for sheet in SHEETS.values()
    for exercise in sheet.sheet.graded
]


def passed(sheet, exercise, ns, seed):
    """Points of an answer in this process, which is fair for answers of ours."""
    given = {name: sheet.constants[name] for name in exercise.given}
    total = 0
    for number, probe in enumerate(exercise.probes):
        rng = random.Random(f"{seed} {exercise.name} {number}")
        for draw in [given | probe.inputs(rng) for _ in range(probe.draws)]:
            right = plain(exercise.answer(sheet.reference, draw))
            try:
                value = plain(exercise.answer(ns, draw))
            except Exception:  # whatever the wrong value meets where it is used
                break
            if probe.judge(value, right, draw):
                break
        else:
            total += probe.points
    return total


class Recorded(Exception):
    """Carries what a function was called with."""


def memorised(sheet, exercise):
    """An answer that knows the public cases by heart and gives the first one's value for anything else."""
    known, ns, solution = [], dict(sheet.reference), sheet.reference[exercise.name]

    def record(*args):
        raise Recorded(args)

    for case in exercise.practice:
        try:
            exercise.answer(ns | {exercise.name: record}, dict(case.inputs))
        except Recorded as call:
            known.append(call.args[0])

    def answer(*args):
        return solution(*args if repr(args) in map(repr, known) else known[0])

    return ns | {exercise.name: answer}


@pytest.mark.parametrize(
    ("sheet", "exercise"), [p for p in GRADED if all(probe.judge is same for probe in p.values[1].probes)]
)
def test_a_table_of_the_public_cases_brings_nothing(sheet, exercise):
    """It passes every check, so the grade must come from other inputs."""
    ns = memorised(sheet, exercise)
    for case in exercise.practice:
        value = plain(exercise.answer(ns, dict(case.inputs)))
        assert not case.judge(value, case.value, case.inputs)
    for seed in SEEDS:
        assert passed(sheet, exercise, ns, seed) == 0, seed


# Training


def two_groups(labels):
    """Inputs of a small training task; the labels of the held-out points go into ``labels`` and nowhere else."""

    def inputs(rng):
        def points(count):
            kinds = [rng.randrange(2) for _ in range(count)]
            return [[rng.gauss(4 * kind - 2, 1), rng.gauss(0, 1)] for kind in kinds], kinds

        x, y = points(40)
        held_out, hidden = points(60)
        labels[json.dumps(held_out)] = hidden
        return {"x": x, "y": y, "held_out": held_out}

    return inputs


def accuracy_of(labels, least):
    """A judge outside of the jail: class scores for the held-out points, of which enough must be right."""

    def judge(value, reference, inputs):
        right = labels[json.dumps(inputs["held_out"])]
        if getattr(value, "shape", None) != (len(right), 2):
            return "one row of two scores a point is needed"
        if not abs(value).max() < 1e30:
            return "the scores must be finite numbers"
        hits = sum(int(row[1] > row[0]) == kind for row, kind in zip(value.tolist(), right, strict=True))
        return "" if hits >= least * len(right) else f"{hits} of {len(right)} are right"

    return judge


TRAINED = """
def subsample(x, y, held_out):
    means = torch.stack([x[y == kind].mean(0) for kind in (0, 1)])
    scores = -torch.cdist(held_out, means)
    return {}"""
RETURNS = {
    "scores": "ok",
    "torch.zeros_like(scores)": "failed",
    "torch.ones_like(scores) * torch.tensor([0.0, 1.0])": "failed",
    "-scores": "failed",
    "scores * float('nan')": "failed",
    "scores / 0": "failed",
    "scores[:, :1]": "failed",
    "scores[:-1]": "failed",
    "scores.argmax(1)": "failed",
}


def test_training_is_judged_by_labels_that_never_go_in(monkeypatch):
    """Points of an exercise whose value is a network's scores, and what is sent to the student's process."""
    labels, sent = {}, []
    real = supervise.exchange

    def spy(command, work, requests, *times, **more):
        sent.append(b"".join(requests).decode())
        return real(command, work, requests, *times, **more)

    monkeypatch.setattr(supervise, "exchange", spy)
    probe = Probe("learns", 3, two_groups(labels), 1, accuracy_of(labels, 0.8))
    draw = probe.inputs(random.Random(5))
    # A function of the sheet that gets three tensors stands for `train(x, y, held_out)`.
    as_sent = dict(zip(("x", "weight", "bias"), draw.values(), strict=True))
    question = supervise.Question("subsample", [as_sent])
    found = {}
    for code in RETURNS:
        cells = [(1, TRAINED.format(code))]
        run = supervise.run(SHEETS["lenet"].sheet, cells, [question], Limits(5, 1.0), warm_jail)
        verdict = grader.judge_probe(probe, [draw], run.outcomes[0], supervise.Outcome("value", [None]))
        found[code] = verdict["status"]
    assert found == RETURNS
    (hidden,) = labels.values()
    assert len(sent) == len(RETURNS) and not any(json.dumps(hidden)[1:-1] in request for request in sent)
