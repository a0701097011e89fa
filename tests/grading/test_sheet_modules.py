"""The sheets of Network in Network and GoogLeNet: solutions and judges against the package, torch and the papers."""

import random
import re

import pytest
import torch
from solving import opened
from torch import nn
from torch.nn import functional as F

import cnnlib
from cnnlib import probe, resources
from cnnlib.grading.sheets import googlenet as googlenet_sheet
from cnnlib.grading.sheets import nin as nin_sheet
from cnnlib.grading.values import plain
from cnnlib.models import googlenet, nin


@pytest.fixture(scope="module")
def old():
    return opened("nin").reference


@pytest.fixture(scope="module")
def new():
    return opened("googlenet").reference


# Network in Network


@pytest.mark.parametrize("case", [(3, 32, 5, 1, 2, [192, 160, 96]), (3, 227, 11, 4, 0, [96, 96, 96])])
def test_the_bill_is_that_of_an_mlpconv_layer(old, case):
    c_in, side, kernel, stride, pad, units = case
    layer = nin.mlpconv(c_in, nin.Mlp(kernel, *units, stride=stride, pad=pad), units[-1])
    window, *points = [r for r in cnnlib.trace(layer, (c_in, side, side)).rows if r.layer]
    sums = [sum(getattr(r, what) for r in points) for what in ("params", "macs")]
    assert old["mlp_bill"](*case) == [window.params, sums[0], window.macs, sums[1]]


def test_convolutions_say_what_the_perceptron_says_of_patches_as_numpy_has_them(old):
    torch.manual_seed(0)
    perceptron = nn.Sequential(nn.Linear(27, 5), nn.ReLU(), nn.Linear(5, 4), nn.ReLU())
    pictures = torch.randn(2, 7, 6, 3)  # rows, columns, channels
    x = pictures.permute(0, 3, 1, 2)
    for weight, bias in old["as_convs"]([(m.weight, m.bias) for m in perceptron[::2]], 3):
        assert bias is not None
        x = F.conv2d(x, weight, bias).relu()
    for row, column in ((0, 0), (4, 3), (2, 1)):
        patches = pictures[:, row : row + 3, column : column + 3].reshape(2, 27)
        assert torch.allclose(x[:, :, row, column], perceptron(patches), atol=1e-5)


def test_evidence_is_the_package_s_class_map(old):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 6, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 4)).eval()
    x = torch.randn(3, 3, 8, 9)
    maps, scores = probe.class_maps(net, x), net(x)
    mine = old["evidence"](net[0](x), net[3].weight, net[3].bias)
    assert torch.allclose(mine, maps[torch.arange(3), scores.argmax(1)], atol=1e-5)
    assert torch.allclose(mine.mean((1, 2)), scores.amax(1), atol=1e-5)


def meets(image):
    """Pairs of channels that fire at one place of an image, and how often each channel fires."""
    on = torch.as_tensor(image) >= 1
    together = torch.einsum("chw,dhw->cd", on.long(), on.long())
    pairs = {(a, b): int(together[a, b]) for a in range(6) for b in range(a) if together[a, b]}
    return pairs, together.diagonal().tolist()


def test_only_who_meets_whom_tells_the_classes_apart(old):
    """In the grader's images, and in those that the sheet's own function makes."""
    pairs = nin_sheet.meeting(5)
    torch.manual_seed(0)
    labels = [3, 0, 1, 2, 2]
    for images, y in (nin_sheet.firings(5, "learn", 8), (old["images"](pairs, labels), labels)):
        for image, label in zip(images, y, strict=True):
            assert meets(image) == ({tuple(pairs[label]): 2}, [3] * 6)
    assert nin_sheet.firings(5, "learn", 8) != nin_sheet.firings(5, "judge", 8)


def test_the_head_is_judged_as_torch_computes_it_and_a_head_by_hand_is_as_good():
    """A unit for each pair, which fires only where both do: 28 + 20 parameters, nothing learned."""
    pairs = nin_sheet.meeting(7)
    weight = torch.zeros(4, 6)
    for unit, pair in enumerate(pairs):
        weight[unit, pair] = 1
    net = nn.Sequential(nn.Conv2d(6, 4, 1), nn.ReLU(), nn.Conv2d(4, 4, 1))
    net[0].weight.data, net[0].bias.data = weight[:, :, None, None], torch.full((4,), -1.9)
    net[2].weight.data, net[2].bias.data = torch.eye(4)[:, :, None, None], torch.zeros(4)
    layers, wrong = nin_sheet.head_of(plain([(net[0].weight, net[0].bias), (net[2].weight, net[2].bias)]))
    assert not wrong
    images, labels = nin_sheet.firings(7, "judge", nin_sheet.NEW)
    answers = net(torch.tensor(images)).mean((2, 3)).argmax(1)
    share = 100 * (answers == torch.tensor(labels)).float().mean().item()
    assert nin_sheet.right_share(layers, 7)[0] == pytest.approx(share)
    assert share > 95


def test_the_reference_passes_with_room_and_no_weighted_sum_comes_near(old):
    for seed in range(20):
        layers, _ = nin_sheet.head_of(plain(nin_sheet.run_head(old, seed)))
        assert nin_sheet.right_share(layers, seed)[0] >= nin_sheet.ASKED + 5
        images, labels = nin_sheet.firings(seed, "learn", nin_sheet.IMAGES)
        means = torch.tensor(images).mean((2, 3))
        inputs = torch.cat([means, torch.ones(len(means), 1)], 1)
        fit = torch.linalg.lstsq(inputs, F.one_hot(torch.tensor(labels)).float()).solution.T
        lazy = [(fit[:, :6].double().numpy(), fit[:, 6].double().numpy())]
        assert nin_sheet.right_share(lazy, seed)[0] < nin_sheet.CHANCE - 5


@pytest.mark.parametrize(
    ("head", "words"),
    [
        (None, "must return a list"),
        ([torch.zeros(4, 6)], "layer 1 must be a pair"),
        ([(torch.zeros(4, 5), torch.zeros(4))], "layer 1 reads 6 channels"),
        (
            [(torch.zeros(8, 6), torch.zeros(8)), (torch.zeros(4, 6), torch.zeros(4))],
            "layer 2 reads 8 channels",
        ),
        ([(torch.zeros(4, 6, 3, 3), torch.zeros(4))], r"not \[4, 6, 3, 3\]"),
        ([(torch.zeros(5, 6), torch.zeros(5))], "puts out 5 maps"),
        ([(torch.full((4, 6), torch.nan), torch.zeros(4))], "not finite"),
    ],
)
def test_a_head_of_the_wrong_form_is_told_so(head, words):
    layers, wrong = nin_sheet.head_of(plain(head))
    assert layers == []
    assert re.search(words, wrong), wrong


def test_three_mlps_are_counted_as_the_engine_counts(old):
    for rows in (((192, 160, 96), (192, 192, 192), (192, 192, 10)), old["three_mlps"]()):
        table = [
            nin.Mlp(kernel, *row[:2], None if row is rows[-1] else row[2], pad=kernel // 2)
            for row, (kernel, _) in zip(rows, nin_sheet.WINDOWS, strict=True)
        ]
        cost = cnnlib.trace(nin.nin(tuple(table), 10), (3, 32, 32))
        params, windows, points = nin_sheet.totals(rows)
        assert (params, windows + points) == (cost.params, cost.macs)
        assert points == sum(r.macs for r in cost.rows if r.name.split(".")[-1].startswith("cccp"))
    assert 0.3 < points / (windows + points) < 0.45
    (paper,) = [r for r in resources.facts("architectures") if r["name"] == "nin_cifar10"]
    params, *macs = nin_sheet.totals(((192, 160, 96), (192, 192, 192), (192, 192, 10)))
    assert (params, sum(macs)) == (paper["params"], paper["macs"]) and round(10 * macs[1] / sum(macs)) == 3


# GoogLeNet


def test_the_table_with_misprints_is_the_paper_s_and_the_engine_finds_the_same(new):
    rows = [
        (stage + letter, *row)
        for stage, blocks in googlenet.TABLE_1.items()
        for letter, row in blocks.items()
    ]
    assert [(r[0], *r[2:8]) for r in googlenet_sheet.TABLE_1] == rows
    cost = cnnlib.trace(cnnlib.build("googlenet_2014"), (3, 224, 224))
    wrong = [[], []]
    for name, side, *_, params, ops in googlenet_sheet.TABLE_1:
        layers = [r for r in cost.rows if r.layer and r.name.startswith(f"inception{name}.")]
        assert {r.out[1] for r in layers} == {side}
        found = sum(r.params - r.out[0] for r in layers) / 1024, sum(r.macs for r in layers) / 1e6
        for column, pair in enumerate(zip(found, (params, ops), strict=True)):
            if abs(pair[0] - pair[1]) > 1:
                wrong[column].append(name)
    assert new["misprints"](googlenet_sheet.TABLE_1, 192) == wrong
    assert wrong[1] == ["5a"] and len(wrong[0]) == 6


def test_four_paths_are_the_package_s_module(new):
    torch.manual_seed(0)
    block = googlenet.inception(12, googlenet.Row(3, 4, 5, 2, 6, 7), googlenet.PAPER)
    x = torch.randn(2, 12, 7, 6)
    pairs = [(m.weight, m.bias) for m in block.modules() if isinstance(m, nn.Conv2d)]
    assert torch.allclose(new["four_paths"](x, *pairs), block(x), atol=1e-5)


def test_the_unseen_part_is_not_seen_and_the_rest_is_at_right_angles_to_it(new):
    torch.manual_seed(0)
    weight = torch.randn(3, 8, dtype=torch.float64)
    weight[2] = weight[0] - 2 * weight[1]
    x = torch.randn(2, 8, 3, 4, dtype=torch.float64)
    part = new["unseen_part"](x, weight)
    layer = weight[:, :, None, None]
    assert F.conv2d(part, layer).abs().max() < 1e-10
    assert torch.allclose(F.conv2d(x - part, layer), F.conv2d(x, layer))
    assert (part * (x - part)).sum(1).abs().max() < 1e-10  # so no other rest with the same answer is shorter
    assert part.square().sum() > 0.3 * x.square().sum()


def test_what_heads_add_is_what_backward_finds(new):
    gains, heads, weight = [0.5, 0.25, 1.5, 0.75, 0.5], [2, 3], 0.3
    pulls = []
    for w in (0.0, weight):
        outputs = [torch.ones((), requires_grad=True)]
        for gain in gains:
            outputs.append(gain * outputs[-1])
            outputs[-1].retain_grad()
        (outputs[-1] + w * sum(outputs[a] for a in heads)).backward()
        pulls.append([float(out.grad) for out in outputs[1:]])
    factors = [b / a for a, b in zip(*pulls, strict=True)]
    assert new["head_factors"](gains, heads, weight) == pytest.approx(factors)


def test_the_thin_module_is_counted_as_the_engine_counts(new):
    for row in ((256, 160, 320, 32, 128, 128), new["thin_row"]()):
        module = googlenet.inception(528, googlenet.Row(*row), googlenet.PAPER)
        cost = cnnlib.trace(module, (528, 14, 14))
        assert googlenet_sheet.macs(row) == cost.macs
        assert cost.rows[-1].out[0] == 832


def test_inputs_keep_apart_what_mistakes_confuse():
    for seed in range(40):
        rng = random.Random(seed)
        case = googlenet_sheet.module(rng, True)
        layers = dict(zip(googlenet_sheet.LAYERS, case["layers"], strict=True))
        ends = [len(layers[end][0]) for end in ("one", "three", "five", "pool")]
        assert len(set(ends)) == 4 and len(layers["reduce3"][0]) == len(layers["reduce5"][0])
        assert all(v < 0 or v == 0 for row in case["x"][0] for line in row for v in line)
        for made, rank in ((googlenet_sheet.oblique, 0), (googlenet_sheet.dependent, 2)):
            weight = torch.tensor(made(rng)["weight"])
            assert torch.linalg.matrix_rank(weight) == len(weight) - rank < weight.shape[1]
        case = nin_sheet.perceptron(rng, 3)
        assert case["kernel"] != 3
