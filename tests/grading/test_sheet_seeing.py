"""The sheets of ZFNet and VGG: solutions and judges against torch, the package's networks and the chapters' facts."""

import ast
import itertools
import random

import numpy as np
import pytest
import torch
from solving import namespace, opened
from torch import nn
from torch.nn import functional as F

import cnnlib
from cnnlib import datasets, probe
from cnnlib.grading import source
from cnnlib.grading.sheets import vgg as vgg_sheet
from cnnlib.grading.sheets import zfnet as zfnet_sheet
from cnnlib.grading.values import plain


@pytest.fixture(scope="module")
def zf():
    return opened("zfnet")


@pytest.fixture(scope="module")
def vgg():
    return opened("vgg")


# ZFNet


def test_the_wave_that_is_left_is_the_one_that_a_transform_finds(zf):
    for pixels, periods, step in (
        (64, 20, 4),
        (64, 13, 4),
        (96, 40, 2),
        (96, 40, 4),
        (90, 31, 3),
        (48, 24, 2),
    ):
        wave = torch.cos(2 * torch.pi * periods * torch.arange(pixels, dtype=torch.float64) / pixels)
        loudest = int(torch.fft.rfft(wave[::step]).abs().argmax())
        assert zf.reference["folded_periods"](pixels, periods, step) == loudest


@pytest.mark.parametrize(("kernel", "step"), [(2, 2), (3, 2), (3, 1), (2, 3)])
def test_unpooling_is_the_gradient_of_the_pool(zf, kernel, step):
    torch.manual_seed(0)
    x = torch.randn(2, 3, 8, 7, requires_grad=True)
    top = F.max_pool2d(x, kernel, step)
    signal = torch.randn_like(top)
    (gradient,) = torch.autograd.grad((top * signal).sum(), x)
    assert torch.allclose(zf.reference["unpool"](signal, x.detach(), kernel, step), gradient)


@pytest.mark.parametrize(
    ("stride", "pad", "size"), [(1, 0, (6, 9)), (1, 2, (5, 7)), (2, 1, (8, 6)), (3, 1, (9, 11))]
)
def test_a_convolution_in_reverse_is_its_gradient(zf, stride, pad, size):
    torch.manual_seed(0)
    a, weight = torch.randn(2, 4, *size, requires_grad=True), torch.randn(5, 4, 3, 3)
    there = F.conv2d(a, weight, stride=stride, padding=pad)
    y = torch.randn_like(there)
    (gradient,) = torch.autograd.grad((there * y).sum(), a)
    assert torch.allclose(zf.reference["spread"](y, weight, stride, pad, size), gradient, atol=1e-5)


def test_the_two_ways_back_make_the_deconvnet_of_the_package(zf):
    """As in the chapter, one block of a real network: unpool, rectify, filter transposed."""
    torch.manual_seed(0)
    net, x = cnnlib.build("zfnet_small"), torch.rand(1, 1, 28, 28)
    conv = net.features[0]
    up = F.conv2d(x, conv.weight, conv.bias, padding=2).relu()
    top = F.max_pool2d(up, 3, 2, ceil_mode=True)[:, :, :13, :13]  # the windows that fit whole
    lone = torch.where(top == top[0, 3].max(), top, 0) * (torch.arange(20) == 3)[:, None, None]
    down = zf.reference["unpool"](lone, up, 3, 2).relu()
    by_hand = zf.reference["spread"](down, conv.weight, 1, 2, (28, 28))
    assert torch.allclose(by_hand, probe.deconvnet(net, x, "features.2", 3), atol=1e-5)


def test_the_mended_map_is_the_package_s_occlusion(zf):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 8 * 12, 5)).eval()
    image = torch.randn(3, 10, 14)
    with torch.no_grad():
        falls = zf.reference["covered"](lambda x: net(x).softmax(1)[:, 2], image, 4, 3)
        whole = net(image[None]).softmax(1)[0, 2]
    assert torch.allclose(whole - falls, probe.occlusion(net, image, 2, side=4, step=3), atol=1e-6)


def test_the_faulty_map_of_the_text_has_the_faults_that_it_says(zf):
    """It runs, on the text's word; the known mistakes hold each fault alone."""
    code = zf.text.split("```python\n")[1].split("```")[0]
    faulty = namespace(zf.sheet, [(1, code)], {})["covered"]
    image = torch.arange(1.0, 26).view(1, 5, 5)
    kept = image.clone()
    assert faulty(lambda x: x.sum((1, 2, 3)), image, 2, 1).shape == (3, 3)
    assert not torch.equal(image, kept)


def test_gains_are_those_of_a_transform_and_the_window_mends_the_chapter_s_measure(zf):
    window = zf.reference["before_step"]()
    spectrum = torch.fft.rfft(torch.tensor(window, dtype=torch.float64), 240).abs()
    for k in (0, 10, 30, 77, 120):
        assert zfnet_sheet.gain(window, k / 240) == pytest.approx(float(spectrum[k]))
    trained = cnnlib.build("squeezenet1_1", weights="bundled").features[0].weight.detach()
    photo = datasets.photo("temple")[None, :, 16:272, 16:272] / 255
    maps = F.conv2d(photo - photo.mean((2, 3), keepdim=True), trained)
    line = torch.tensor(window)
    soft = F.conv2d(maps.transpose(0, 1), torch.outer(line, line)[None, None]).transpose(0, 1)
    before, after = (probe.aliased_share(m, zf.constants["STEP"]).median().item() for m in (maps, soft))
    assert before > 0.5 and after < 0.1


# VGG


def test_the_exchange_is_counted_as_the_engine_counts(vgg):
    for kernel, c_in, c_out in ((5, 3, 8), (7, 4, 4), (11, 3, 6), (3, 2, 5)):
        layers, one, stack = vgg.reference["exchange"](kernel, c_in, c_out)
        small = nn.Sequential(
            *[nn.Conv2d(c_in if i == 0 else c_out, c_out, 3, padding=1, bias=False) for i in range(layers)]
        )
        large = nn.Conv2d(c_in, c_out, kernel, padding=kernel // 2, bias=False)
        found = [cnnlib.trace(net, (c_in, 16, 16)) for net in (large, small)]
        assert [c.params for c in found] == [one, stack]
        assert found[0].receptive_field == found[1].receptive_field == kernel


def test_the_melted_window_does_what_the_two_did(vgg):
    torch.manual_seed(0)
    first, second, x = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 2, 5), torch.randn(2, 3, 12, 11)
    kernel, bias = vgg.reference["one_window"](first.weight, first.bias, second.weight, second.bias)
    assert torch.allclose(F.conv2d(x, kernel, bias), second(first(x)), atol=1e-5)


def test_the_lecture_s_slip_is_found(vgg):
    """Both wrong totals that lectures print fit one row of stage 3 only."""
    with torch.device("meta"):
        net = cnnlib.build("vgg16").features
    rows = [r for r in cnnlib.trace(net, (3, 224, 224)).rows if r.kind == "Conv2d"]
    plan = [64, 64, "M", 128, 128, "M", *[256] * 3, "M", *[512] * 3, "M", *[512] * 3]
    assert vgg_sheet.bill_rows(plan, 224) == [(r.macs, r.activations) for r in rows]
    macs, outputs = (sum(getattr(r, kind) for r in rows) for kind in ("macs", "activations"))
    assert vgg.reference["left_out"](plan, 224, macs - rows[6].macs, outputs - rows[6].activations) == [6, 7]


def test_a_bill_never_fits_by_chance_what_was_not_left_out(vgg):
    """Every draw has an answer, and one stage's totals never name two rows."""
    rng = random.Random(0)
    for kind, most in (("one", 1), ("unlike", 1), ("vgg", 4)):
        sizes = {len(vgg.reference["left_out"](**vgg_sheet.bill_case(rng, kind))) for _ in range(200)}
        assert min(sizes) == 1 and max(sizes) <= most
    assert max(sizes) > 1


def test_frozen_features_are_two_convolutions_of_torch(vgg):
    images = vgg_sheet.shipped()["x_test"][:5]
    layers = [nn.MaxPool2d(2)]
    for c_in in (1, vgg_sheet.MAPS):
        layers += [nn.Conv2d(c_in, vgg_sheet.MAPS, 3, bias=False), nn.ReLU(), nn.MaxPool2d(2)]
    net, rng = nn.Sequential(*layers).double(), np.random.default_rng(0)
    for conv in (net[1], net[4]):
        weight = rng.standard_normal(tuple(conv.weight.shape)) / 3 / conv.in_channels**0.5
        conv.weight.data = torch.from_numpy(weight)
    with torch.no_grad():
        theirs = net(torch.from_numpy(images)[:, None].double() / 255).flatten(1)
    assert torch.allclose(torch.from_numpy(vgg_sheet.frozen(images)), theirs, atol=1e-5)


LAZY = (
    "the nearest mean of a class",
    "read the features as they are",
    "least squares",
    "stopped after one step",
)


def test_the_probe_s_bar_stands_between_the_solution_and_lazy_answers(vgg):
    """Over twenty draws of images: the solution has two points to spare, a lazy answer lacks two."""
    shares = {}
    for seed in range(20):
        drawn = vgg_sheet.digits(random.Random(seed))
        for name in ("solution", *LAZY):
            code = [] if name == "solution" else [(1, vgg.wrong["linear_probe"][name])]
            ns = namespace(vgg.sheet, code, {}) if code else vgg.reference
            weight, bias = plain(vgg_sheet.run_probe(ns, **drawn))
            shares.setdefault(name, []).append(vgg_sheet.right_share(weight, bias)[0])
    assert min(shares.pop("solution")) >= vgg_sheet.ASKED + 2
    assert max(shares.pop("the nearest mean of a class")) < vgg_sheet.ENOUGH
    assert all(max(found) <= vgg_sheet.ASKED - 2 for found in shares.values()), shares


def test_what_is_drawn_holds_no_image_that_is_judged(vgg):
    learn, judged = (
        set(map(bytes, vgg_sheet.shipped()[name].reshape(-1, 784))) for name in ("x_train", "x_test")
    )
    assert not learn & judged
    drawn = vgg_sheet.digits(random.Random(0))
    assert len(drawn["x"]) == 200 and sorted(drawn["y"]) == [d for d in range(10) for _ in range(20)]


def test_several_choices_fit_every_set_of_constants(vgg):
    """Not one answer in other orders: choices that cost different sums."""

    def stacks(pixels):
        return (
            [[2 * k + 1, *rest] for k in range(1, pixels + 1) for rest in stacks(pixels - k)]
            if pixels
            else [[]]
        )

    cell = next(c.source for c in source.parse_text(vgg.text).cells if c.source.startswith("VARIANT = "))
    table = ast.literal_eval(cell.removeprefix("VARIANT = "))
    choices = list(itertools.product(*(stacks(kernel // 2) for kernel, *_ in vgg_sheet.LAYERS)))
    for macs, maps in itertools.product(table["MACS"], table["MAPS"]):
        given = {"MACS": macs, "MAPS": maps}
        fitting = {vgg_sheet.totals(c) for c in choices if not vgg_sheet.keeps_few(c, None, given)}
        assert len(fitting) >= 4 and len(fitting) < len(choices) / 50


def test_stacks_are_counted_as_the_engine_counts(vgg):
    for stacks in ([[k] for k, *_ in vgg_sheet.LAYERS], vgg.reference["break_up"]()):
        macs = outputs = 0
        for windows, (kernel, c_in, c_out, side) in zip(stacks, vgg_sheet.LAYERS, strict=True):
            channels = [c_in] + [c_out] * len(windows)
            net = nn.Sequential(
                *[
                    nn.Conv2d(a, b, k, padding=k // 2)
                    for a, b, k in zip(channels, channels[1:], windows, strict=False)
                ]
            )
            cost = cnnlib.trace(net, (c_in, side, side))
            assert cost.receptive_field == kernel
            macs, outputs = macs + cost.macs, outputs + cost.activations
        assert vgg_sheet.totals(stacks) == (macs, outputs)
    assert vgg_sheet.totals([[11], [5], [7], [7], [9]]) == (1_973_302_976, 466_752)
