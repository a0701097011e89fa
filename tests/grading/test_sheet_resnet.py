"""The sheet of ResNet: its solutions and judges against torch, the package's networks and the engine."""

import random
import re

import pytest
import torch
from solving import namespace, opened
from torch import nn

import cnnlib
from cnnlib.grading import source
from cnnlib.grading.sheets import resnet as sheet
from cnnlib.grading.values import plain
from cnnlib.models import resnet
from cnnlib.models.layers import conv


@pytest.fixture(scope="module")
def own():
    return opened("resnet")


def test_the_rows_of_the_text_are_told_apart(own):
    """Rows a, b and c of the table in exercise 1."""
    rows = re.findall(r"^\| ([abc]) \| (\d+) \| (\d+) \| (\d+) \| (\d+) \|$", own.text, re.M)
    told = {
        name: own.reference["diagnose"]([(int(a), int(b))], [(int(c), int(d))], 1)
        for name, a, b, c, d in rows
    }
    assert told == {"a": "optimisation", "b": "over-fitting", "c": "fine"}


def test_the_network_is_the_package_s_for_any_row_of_the_table(own):
    """Blocks are made in the package's order, so that one seed draws the same weights for both."""
    block = resnet.residual(resnet.basic, resnet.option_a)
    for counts, widths in (((2, 1), (8, 16)), ((1, 2, 3), (4, 8, 12))):
        net = own.reference["assemble"](block, counts, widths, 5).eval()
        twin = resnet.cifar(resnet.Plan(block, counts, widths, stem=widths[0]), 5).eval()
        weights = dict(zip(twin.state_dict(), net.state_dict().values(), strict=True))
        twin.load_state_dict(weights)
        x = torch.randn(2, 3, 16, 16)
        with torch.no_grad():
            assert torch.allclose(net(x), twin(x), atol=1e-6)


def test_the_number_of_parameters_of_the_public_row_is_right(own):
    """Convolution 216, normalisation 16, blocks 64 + 64 + 128, linear layer 170."""
    (case,) = [c for c in own.sheet.exercise("assemble").practice if c.inputs["what"] == "parameters"]
    assert case.value == 3 * 8 * 9 + 2 * 8 + 8 * 8 + 8 * 8 + 8 * 16 + 16 * 10 + 10


PACKAGE_S = {"make_block": resnet.residual(resnet.basic, resnet.option_a)}


def test_the_block_is_the_package_s_and_so_are_the_practice_values(own):
    exercise = own.sheet.exercise("make_block")
    for case in exercise.practice:
        assert not case.judge(plain(exercise.answer(PACKAGE_S, case.inputs)), case.value, case.inputs)
    for number, probe in enumerate(exercise.probes):
        for draw in [probe.inputs(random.Random(number)) for _ in range(3)]:
            values = [plain(exercise.answer(ns, draw)) for ns in (own.reference, PACKAGE_S)]
            assert not probe.judge(*values, draw)


def test_the_block_to_mend_runs_and_passes_nothing(own):
    """As it stands in the text: it gives the right shapes, and fails whatever is asked."""
    code = re.search(r"```python\n(class Block.*?)```", own.text, re.S)[1]
    ns = namespace(own.sheet, [(1, code + "\nmake_block = Block")], own.constants)
    exercise = own.sheet.exercise("make_block")
    for probe in exercise.probes:
        draw = probe.inputs(random.Random(1))
        value, right = (plain(exercise.answer(answer, draw)) for answer in (ns, own.reference))
        assert probe.judge(value, right, draw)
        if draw["what"] != "parameters":
            assert value[0].shape == right[0].shape
    x = torch.ones(1, 2, 4, 4)
    ns["make_block"](2, 2, 1)(x)
    assert not torch.equal(x, torch.ones(1, 2, 4, 4))


def test_the_network_of_the_text_is_the_one_that_is_judged(own):
    for depth in (6, 30):
        told, judged = own.reference["plain_net"](depth), sheet.plain_net(depth)
        assert str(told) == str(judged)
        assert sum(isinstance(m, nn.Conv2d | nn.Linear) for m in judged) == depth
        assert judged(torch.rand(2, 1, 8, 8)).shape == (2, 4)


def test_the_classes_of_the_waves_are_what_an_eye_would_say():
    """Waves without noise, drawn here; and of the noisy ones nearly all keep the class they were drawn with."""
    row = [[float(r % 4 < 2) for _ in range(8)] for r in range(8)]
    slope = [[float((r + c) % 4 < 2) for c in range(8)] for r in range(8)]
    turned = [list(column) for column in zip(*row, strict=True)]
    mirrored = [line[::-1] for line in slope]
    assert [sheet.direction(p) for p in (turned, row, slope, mirrored)] == [0, 1, 2, 3]
    rng = random.Random(0)
    kept = [sheet.direction(sheet.wave(rng, i % 4)) == i % 4 for i in range(400)]
    assert sum(kept) >= 396


def test_no_class_of_a_judged_picture_goes_into_the_process():
    case = sheet.deep_case(random.Random(0), 30)
    assert set(case) == {"depth", "x", "y", "images", "seed"}
    assert len(case["y"]) == len(case["x"]) == 256 and len(case["images"]) == 96
    assert not [picture for picture in case["images"] if picture in case["x"]]


@pytest.mark.parametrize("seed", range(20))
def test_the_solution_of_the_deep_network_passes_with_a_margin(own, seed):
    case = sheet.deep_case(random.Random(f"margin {seed}"), 30)
    scores = plain(own.sheet.exercise("fit").answer(own.reference, case))
    right = sum(int(s.argmax()) == sheet.direction(i[0]) for s, i in zip(scores, case["images"], strict=True))
    assert right >= (sheet.ENOUGH + 0.04) * sheet.JUDGE


def test_exchanged_layers_and_broken_scores_are_found(own):
    case = sheet.deep_case(random.Random(0), 6)
    inputs = {"depth": 6, "images": case["images"]}

    def normalised(net, x, y):
        net.insert(1, nn.BatchNorm2d(16))

    with pytest.raises(ValueError, match="layers were changed"):
        sheet.run_fit({"fit": normalised}, **case)

    def burst(net, x, y):
        net[-1].weight.data.fill_(float("inf"))

    assert "diverged" in sheet.learned(plain(sheet.run_fit({"fit": burst}, **case)), None, inputs)
    still = sheet.run_fit({"fit": lambda net, x, y: net[-1].weight.data.zero_()}, **case)
    assert "the same scores" in sheet.learned(plain(still), None, inputs)
    assert "told right" in sheet.learned(plain(torch.rand(96, 4)), None, inputs)
    assert sheet.learned(plain(torch.rand(95, 4)), None, inputs)


def test_stages_are_counted_as_the_engine_counts(own):
    mixed = [
        [("bottleneck", 2), ("basic", 3), ("bottleneck", 2)],
        [("basic", 3)] * 3,
        own.reference["stages"](),
    ]
    for stages in mixed:
        layers, c_in = {"stem": conv(3, 16, 3), "bn": nn.BatchNorm2d(16)}, 16
        for number, ((kind, blocks), inner) in enumerate(zip(stages, sheet.INNER, strict=True)):
            make = resnet.residual({"basic": resnet.basic, "bottleneck": resnet.bottleneck}[kind])
            for block in range(blocks):
                c_out = inner * sheet.KINDS[kind]
                layers[f"{number}{block}"] = make(c_in, c_out, 2 if number and not block else 1)
                c_in = c_out
        net = nn.Sequential(*layers.values(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(c_in, 10))
        cost, found = cnnlib.trace(net, (3, 32, 32)), sheet.stage_totals(stages)
        assert (found["MACS"], found["PARAMS"]) == (cost.macs, cost.params)
        convs = [row for row in cost.rows if row.kind == "Conv2d"]
        assert found["KEPT"] == sum(torch.Size(row.out).numel() for row in convs)
        assert found["LAYERS"] == 1 + len([row for row in convs if "downsample" not in row.name])
        assert own.reference["bill"](stages) == tuple(found[n] for n in ("LAYERS", "MACS", "PARAMS", "KEPT"))
    assert sheet.stage_totals([("basic", 3)] * 3)["LAYERS"] == 20


def test_only_late_bottlenecks_are_deep_enough(own):
    """The lesson of exercise 5, for every set of constants: other choices of blocks cannot reach the depth."""
    table = source.constants(own.text)
    others = [k for k in sheet.KINDS]
    for a in others:
        for b in others:
            for c in others:
                deep = [
                    stages
                    for i in range(2, 9)
                    for j in range(2, 9)
                    for k in range(2, 9)
                    if not sheet.deep_enough(stages := [(a, i), (b, j), (c, k)], None, table)
                ]
                assert bool(deep) == ((a, b, c) == ("basic", "basic", "bottleneck")), (a, b, c)
