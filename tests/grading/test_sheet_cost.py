"""The sheet *What a layer costs*: its values against torch and the package's engine, which share no code with it."""

import re

import pytest
import torch
from solving import opened
from torch import nn

import cnnlib


@pytest.fixture(scope="module")
def cost():
    return opened("cost")


def test_practice_values_have_a_second_witness(cost):
    """The stored values against torch and the package's engine, which share no code with the solutions."""
    cases = {e.name: [(c.inputs, c.value) for c in e.practice] for e in cost.sheet.exercises}
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


def test_the_worked_examples_of_the_text_are_right(cost):
    calls = re.findall(r"`((?:conv_\w+|peak_memory)\([\d, ]+\))` is ([\d,]+)", cost.text)
    assert len(calls) == 3
    for call, value in calls:
        assert eval(call, cost.reference) == int(value.replace(",", "").rstrip("."))
    assert cost.reference["peak_memory"]([(1, 4, 4), (2, 4, 4), (8, 2, 2)]) == 256
    assert cost.reference["receptive_field"]([(3, 2, 1), (3, 1, 1)]) == 7


def test_the_stem_is_judged_as_a_real_network_is_counted(cost):
    layers, channels = [], 3
    for c_out, kernel, stride, pad in eval("stem()", cost.reference):
        layers.append(nn.Conv2d(channels, c_out, kernel, stride, pad))
        channels = c_out
    found = cnnlib.trace(nn.Sequential(*layers), (3, cost.constants["SIDE"], cost.constants["SIDE"]))
    side = cost.constants["SIDE"] // 8
    assert found.rows[-1].out == (cost.constants["CHANNELS"], side, side)
    assert found.receptive_field >= cost.constants["SEES"]
    assert found.macs <= cost.constants["MACS"] * cost.constants["SIDE"] ** 2
    assert found.params <= cost.constants["PARAMS"]
