"""The sheets of LeNet-5 and AlexNet: solutions and judges against the package's networks and the papers' numbers."""

import random

import pytest
import torch
from solving import opened
from torch import nn
from torch.nn import functional as F

import cnnlib
from cnnlib.grading.sheets import alexnet as alexnet_sheet
from cnnlib.grading.sheets import lenet as lenet_sheet
from cnnlib.models import lenet
from cnnlib.models.layers import chain


@pytest.fixture(scope="module")
def old():
    return opened("lenet").reference


@pytest.fixture(scope="module")
def new():
    return opened("alexnet").reference


# LeNet-5


def test_three_ways_counts_what_the_engine_counts(old):
    for c_in, side, c_out, kernel in ((1, 32, 6, 5), (3, 20, 8, 3)):
        row = cnnlib.trace(nn.Conv2d(c_in, c_out, kernel), (c_in, side, side)).rows[-1]
        everything, own, shared = old["three_ways"](c_in, side, c_out, kernel)
        units = row.out[0] * row.out[1] * row.out[2]
        dense = nn.Linear(c_in * side * side, units, device="meta")
        assert everything[0] == everything[1] == sum(p.numel() for p in dense.parameters())
        assert shared == (row.params, row.macs + units) and own == (shared[1], shared[1])


def test_a_layer_with_holes_is_the_package_s_c3(old):
    torch.manual_seed(0)
    net, links, full = lenet.PartialConv(), torch.zeros(16, 6), torch.randn(16, 6, 5, 5)
    for m, (seen, conv) in enumerate(zip(lenet.C3_TABLE, net.maps, strict=True)):
        links[m, list(seen)] = 1
        full[m, list(seen)] = conv.weight[0].detach()
    bias = torch.cat([conv.bias for conv in net.maps])
    x = torch.randn(2, 6, 14, 14)
    assert torch.allclose(old["partial"](x, full, bias, links), net(x), atol=1e-5)


def test_subsampling_is_the_package_s_s2_and_its_squashing(old):
    torch.manual_seed(0)
    s2 = lenet.Subsample(6)
    nn.init.normal_(s2.weight)
    nn.init.normal_(s2.bias)
    x = torch.randn(3, 6, 10, 8)
    assert torch.allclose(old["subsample"](x, s2.weight, s2.bias), lenet.ScaledTanh()(s2(x)), atol=1e-5)


def test_the_loss_is_cross_entropy_behind_the_codes(old):
    """As the package has it: minus the distances, and -j behind them as a class that is never right."""
    torch.manual_seed(0)
    codes = lenet.DigitCodes()
    x, y, j = codes.codes[[3, 5, 8]] + torch.randn(3, 84), torch.tensor([3, 8, 8]), 40.0
    logits = nn.ConstantPad1d((0, 1), -j)(codes(x))
    assert torch.allclose(old["drawing_loss"](x, codes.codes, y, j), F.cross_entropy(logits, y), rtol=1e-4)


def test_widths_are_counted_as_the_engine_counts(old):
    for c1, c3, c5, f6 in ((6, 16, 120, 84), (old["widths"]())):
        net = chain(
            c1=nn.Conv2d(1, c1, 5), s2=nn.AvgPool2d(2), c3=nn.Conv2d(c1, c3, 5), s4=nn.AvgPool2d(2),
            c5=nn.Conv2d(c3, c5, 5), flat=nn.Flatten(), f6=nn.Linear(c5, f6), out=nn.Linear(f6, 10),
        )  # fmt: skip
        cost = cnnlib.trace(net, (1, 32, 32))
        assert lenet_sheet.totals(c1, c3, c5, f6) == (cost.params, cost.macs)
    assert lenet_sheet.totals(6, 16, 120, 84) == (61_706, 416_520)


# AlexNet


def test_the_walk_is_that_of_the_network(new):
    net = cnnlib.build("alexnet_2012")
    rows = cnnlib.trace(net, (3, 227, 227)).rows
    sides = [row.out[1] for row in rows if row.kind in ("Conv2d", "MaxPool2d")]
    assert new["walk"](227, 0) == [sides[0], sides[1], sides[3], sides[-1], 256 * sides[-1] ** 2]


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_groups_are_torch_s(new, groups):
    torch.manual_seed(0)
    conv = nn.Conv2d(8, 12, 3, padding=1, groups=groups)
    x = torch.randn(2, 8, 7, 6)
    ours = new["grouped"](x, conv.weight, conv.bias, groups, 1)
    assert torch.allclose(ours, conv(x), atol=1e-5)


def test_response_normalisation_is_torch_s_with_the_paper_s_alpha(new):
    torch.manual_seed(0)
    a = 30 * torch.randn(2, 9, 4, 4)
    for n, k, alpha, beta in ((5, 2.0, 1e-4, 0.75), (3, 1.0, 0.5, 1.0)):
        theirs = F.local_response_norm(a, n, alpha * n, beta, k)
        assert torch.allclose(new["lrn"](a, n, k, alpha, beta), theirs, rtol=1e-4)


def test_the_average_of_dropout_is_what_many_draws_give(new):
    torch.manual_seed(0)
    x, weight = [1.0, 0.5, 2.0], [1.0, -2.0, 0.25]
    for p in (0.5, 0.2):
        drawn = F.dropout(torch.tensor(x).expand(200_000, 3), p) @ torch.tensor(weight)
        average, prediction = new["dropout_average"](x, weight, p)
        assert abs(drawn.relu().mean() - average) < 0.01
        assert prediction == 0.5


def test_the_card_is_filled_as_the_engine_counts(new):
    for filters, hidden in (([64, 192, 384, 256, 256], 4096), new["fit_card"]()):
        layers, c_in = [], 3
        for c_out, (kernel, stride, pad), pooled in zip(
            filters, alexnet_sheet.CONVS, alexnet_sheet.POOLED, strict=True
        ):
            layers += [nn.Conv2d(c_in, c_out, kernel, stride, pad), nn.ReLU(inplace=True)]
            layers += [nn.MaxPool2d(3, 2)] if pooled else []
            c_in = c_out
        layers += [
            nn.Flatten(),
            nn.Linear(36 * c_in, hidden),
            nn.Linear(hidden, hidden),
            nn.Linear(hidden, 1000),
        ]
        cost = cnnlib.trace(nn.Sequential(*layers), (3, 224, 224))
        kinds = ("Conv2d", "MaxPool2d", "Linear")
        kept = sum(torch.Size(row.out).numel() for row in cost.rows if row.kind in kinds)
        assert alexnet_sheet.totals(filters, hidden, 7) == (12 * cost.params + 28 * kept, cost.macs)


def test_inputs_keep_apart_what_mistakes_confuse():
    rng = random.Random(0)
    for _ in range(50):
        case = lenet_sheet.partial_case(rng, "output")
        assert 0 < sum(map(sum, case["links"])) < len(case["links"]) * len(case["links"][0])
        case = alexnet_sheet.group_case(rng, 4)
        assert len(case["weight"]) > len(case["x"][0])
