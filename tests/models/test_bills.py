"""Residual networks and their kin cost what the facts say, to the last digit; torch's counter is the second witness."""

import pytest
import torch
from twins import bill, fact, on_meta, torch_macs

import cnnlib
from cnnlib.models import (
    densenet,
    fractalnet,
    preact,
    registry,
    resnet,
    resnext,
    senet,
    stochastic_depth,
    wide_resnet,
)

FAMILIES = (resnet, preact, wide_resnet, resnext, stochastic_depth, densenet, senet, fractalnet)
NAMES = [name for family in FAMILIES for name in family.NETWORKS] + list(registry.TORCHVISION)
OWN = [n for n in NAMES if n.endswith(("_small", "_w8"))]
RATED = [n for n in NAMES if n not in OWN]


def of(row, told):
    return {key: row[key] for key in told}


@pytest.mark.parametrize("name", RATED)
def test_it_costs_what_the_facts_say(name):
    row, image = fact(name), cnnlib.models.image_shape(name)
    assert row["input"] == "x".join(map(str, image))
    # The constructor of RegNet computes its widths with tensors, so it needs numbers.
    net = cnnlib.build(name) if name.startswith("regnet") else on_meta(name)
    told = bill(net, image)
    assert told == of(row, told)


@pytest.mark.parametrize(
    "name",
    ["resnet50_v1", "plain20_cifar", "preresnet164_cifar", "preresnet50", "wrn_40_4", "resnext29_8x64d",
     "seresnext50_32x4d", "fractalnet20", "fractalnet40", "densenet_40_12", "densenet_bc_100_12"],
)  # fmt: skip
def test_torchs_counter_agrees(name):
    assert torch_macs(on_meta(name), cnnlib.models.image_shape(name)) == fact(name)["macs"]


@pytest.mark.parametrize("depth", [20, 32, 44, 56, 110])
def test_projections_where_the_shape_changes(depth):
    told = bill(on_meta(f"resnet{depth}_cifar", shortcut=resnet.option_b), (3, 32, 32))
    assert told == of(fact(f"resnet{depth}_cifar_B"), told)


def test_projections_everywhere_cost_one_more_in_each_other_block():
    b, c = (
        bill(on_meta("resnet56_cifar", shortcut=option), (3, 32, 32))
        for option in (resnet.option_b, resnet.option_c)
    )
    assert c["params"] - b["params"] == 9 * (16**2 + 2 * 16) + 8 * (32**2 + 2 * 32 + 64**2 + 2 * 64)
    assert c["receptive_field"] == b["receptive_field"]


@pytest.mark.parametrize("depth", [18, 34])
def test_the_imagenet_form_with_padded_shortcuts(depth):
    plan = resnet.Plan(resnet.residual(resnet.basic, resnet.option_a), resnet.DEPTHS[depth], resnet.NARROW)
    with torch.device("meta"):
        told = bill(resnet.imagenet(plan), (3, 224, 224))
    assert told == of(fact(f"resnet{depth}_optA"), told)


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_other_numbers_of_paths(groups):
    with torch.device("meta"):
        told = bill(resnext.resnext_cifar(29, groups, 64), (3, 32, 32))
    assert told == of(fact(f"resnext29_{groups}x64d_cifar"), told)


@pytest.mark.parametrize("depth", [50, 101, 152])
def test_gates_on_the_form_of_2015(depth):
    """timm's older SE-ResNets stride in the first 1x1; their pool rounds up, which changes no shape at 224."""
    plan = resnet.Plan(resnet.residual(senet.with_se(resnet.V1)), resnet.DEPTHS[depth], resnet.BROAD)
    with torch.device("meta"):
        told = bill(resnet.imagenet(plan), (3, 224, 224))
    assert told == of(fact(f"legacy_seresnet{depth}"), told)


@pytest.mark.parametrize("name", [n for n in OWN if n.endswith("_small")])
def test_small_networks_have_a_quarter_of_a_million_parameters(name):
    assert cnnlib.models.image_shape(name) == (1, 28, 28)
    assert 225_000 <= bill(on_meta(name), (1, 28, 28))["params"] <= 275_000
    assert on_meta(name)(torch.empty(2, 1, 28, 28, device="meta")).shape == (2, 10)


@pytest.mark.parametrize("depth", [20, 56])
def test_the_degradation_set_has_twins_of_one_bill_and_widths_of_8_16_32(depth):
    plain, residual = (on_meta(f"{kind}{depth}_w8") for kind in ("plain", "resnet"))
    assert bill(plain, (1, 28, 28)) == bill(residual, (1, 28, 28))
    for net in (plain, residual):
        stages = (net.layer1, net.layer2, net.layer3)
        assert [stage[-1].conv2.out_channels for stage in stages] == [8, 16, 32]
        assert [len(stage) for stage in stages] == [(depth - 2) // 6] * 3 and net.conv1.in_channels == 1


def test_every_network_that_is_not_ours_alone_has_its_facts():
    assert [n for n in RATED if fact(n) is None] == []
    assert set(NAMES) <= set(cnnlib.list_models()) and len(NAMES) == len(set(NAMES))


@pytest.mark.parametrize("name", ["mobilenet_v2", "shufflenet_v2"])
def test_the_last_chapter_takes_torchvisions_own(name):
    assert type(cnnlib.build(name, num_classes=10)).__module__.startswith("torchvision")
