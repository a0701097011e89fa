"""The stored table of five counters: the right numbers are ours too, and its cases are those of the tool."""

import compare_counters as tool
import pytest
import torch
import torchvision
from rivals import COUNTERS, asked
from torch import nn

import cnnlib
from cnnlib import resources
from cnnlib.costs import conventions

STORED = {row["case"]: row for row in resources.facts("counters_compared")}


def test_the_table_holds_every_case_and_every_tool():
    assert list(STORED) == [*tool.CASES, *tool.NETWORKS]
    assert all(list(row)[3:] == list(COUNTERS) for row in STORED.values())


@pytest.mark.parametrize("case", tool.CASES)
def test_small_cases_cost_what_the_table_says(case):
    net, image = tool.CASES[case]
    assert cnnlib.trace(net, image).macs == STORED[case]["macs"]


@pytest.mark.parametrize("name", tool.NETWORKS)
def test_networks_cost_what_the_table_says(name):
    with torch.device("meta"):
        cost = cnnlib.trace(torchvision.models.get_model(name), (3, 224, 224))
    told = STORED[name]
    assert cost.macs == told["macs"]
    said = {c.who: c.count(cost) for c in conventions.CONVENTIONS}
    # fvcore does not know the fused attention that ViT calls, and torchinfo reads no product of its weights.
    if name not in ("vit_b_16", "swin_t"):
        assert (said["fvcore"], said["torchinfo"]) == (told["fvcore"], told["torchinfo"])


def test_a_tool_that_fails_leaves_the_name_of_its_error(monkeypatch):
    def breaks(net, image):
        raise KeyError("x")

    monkeypatch.setitem(COUNTERS, "breaks", breaks)
    assert asked("breaks", nn.ReLU(), (1,)) == "KeyError"
