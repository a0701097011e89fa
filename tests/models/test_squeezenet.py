"""SqueezeNet: sizes of its maps, its fire modules by hand, its bypasses."""

import copy

import pytest
import torch
import torchvision
import witness
from torch import nn

import cnnlib
from cnnlib.models import squeezenet

NAMES = ["squeezenet1_0", "squeezenet1_1"]


@pytest.mark.parametrize("name", NAMES)
def test_it_costs_what_the_facts_say(name):
    witness.costs_what_the_facts_say(name, "torchvision", name)


@pytest.mark.parametrize("name", NAMES)
def test_it_is_torchvisions_bit_for_bit(name):
    theirs = torchvision.models.get_model(name)
    ours = witness.on_meta(name)
    witness.same_keys_and_shapes(ours, theirs)
    witness.same_answers(witness.with_weights_of(theirs, ours), theirs, torch.randn(2, 3, 65, 80))


@pytest.mark.parametrize(
    ("name", "side", "maps"),
    [
        ("squeezenet1_0", 224, [109, 54, 27, 13]),
        ("squeezenet1_0", 227, [111, 55, 27, 13]),
        ("squeezenet1_1", 224, [111, 55, 27, 13]),
    ],
)
def test_its_maps_have_the_papers_sizes(name, side, maps):
    cost = cnnlib.trace(witness.on_meta(name), (3, side, side))
    assert [r.out[1] for r in cost.rows if r.name == "features.0" or r.kind == "MaxPool2d"] == maps
    assert [r.name for r in cost.rows if r.kind == "Linear"] == []


def test_a_pool_stands_where_table_1_says():
    """Version 1.0: behind conv1, fire4 and fire8."""
    layers = [type(m).__name__ for m in witness.on_meta("squeezenet1_0").features]
    pool, fire = ["MaxPool2d"], ["Fire"]
    assert layers == ["Conv2d", "ReLU", *pool, *fire * 3, *pool, *fire * 4, *pool, *fire]


def test_a_fire_module_by_hand():
    fire, x = squeezenet.Fire(5, 2, 3), torch.randn(2, 5, 6, 7)
    s = fire.squeeze(x).relu()
    y = fire(x)
    assert torch.equal(y[:, :3], fire.expand1x1(s).relu())
    assert torch.equal(y[:, 3:], fire.expand3x3(s).relu())
    assert y.shape == (2, 6, 6, 7)


def test_a_bypass_adds_what_came_in():
    torch.manual_seed(0)
    x = torch.randn(1, 8, 5, 5)
    kept, changed = squeezenet.complex_bypass(8, 2, 4), squeezenet.complex_bypass(8, 2, 6)
    assert torch.equal(kept(x), kept.fire(x) + x)
    assert torch.equal(changed(x), changed.fire(x) + nn.functional.conv2d(
        x, changed.shortcut.weight, changed.shortcut.bias))  # fmt: skip
    assert isinstance(squeezenet.simple_bypass(8, 2, 6), squeezenet.Fire)


@pytest.mark.parametrize(("kind", "params"), [("simple", 1_248_424), ("complex", 1_589_672)])
def test_where_the_bypasses_are_and_what_they_cost(kind, params):
    """The complex one adds four 1 x 1 convolutions with bias: fire2, fire4, fire6, fire8."""
    net = witness.on_meta(f"squeezenet1_0_{kind}_bypass")
    more = sum(c_in * c_out + c_out for c_in, c_out in ((96, 128), (128, 256), (256, 384), (384, 512)))
    assert sum(p.numel() for p in net.parameters()) == params == 1_248_424 + (kind == "complex") * more
    fires = [m for m in net.features if isinstance(m, squeezenet.Fire | squeezenet.Bypass)]
    passed = [i for i, m in enumerate(fires, 2) if isinstance(m, squeezenet.Bypass)]
    assert passed == ([3, 5, 7, 9] if kind == "simple" else [2, 3, 4, 5, 6, 7, 8, 9])


def test_the_simple_bypass_needs_no_new_weights():
    plain, passed = cnnlib.build("squeezenet1_0"), cnnlib.build("squeezenet1_0_simple_bypass")
    weights = {k.replace(".fire.", "."): k for k in passed.state_dict()}
    passed.load_state_dict({weights[k]: v for k, v in plain.state_dict().items()})
    x = torch.randn(1, 3, 64, 64)
    assert passed.eval()(x).shape == (1, 1000) and not torch.equal(passed(x), plain.eval()(x))


def test_it_uses_no_more_memory_than_torchvisions():
    """The ReLU behind the concatenation works on one map; two would be kept beside it."""
    with torch.device("meta"):
        theirs = torchvision.models.squeezenet1_1()
    ours = witness.on_meta("squeezenet1_1")
    mine, other = (cnnlib.trace(net, (3, 224, 224)).training_memory for net in (ours, theirs))
    assert mine < other


@pytest.mark.parametrize("name", ["squeezenet_small", "squeezenet1_0_complex_bypass"])
def test_it_takes_what_users_bring_and_learns(name):
    torch.manual_seed(0)
    net = cnnlib.build(name, num_classes=10)
    x = witness.picture(name, side=None if name.endswith("small") else (64, 64))
    witness.takes_what_users_bring(copy.deepcopy(net), x, torch.cat([x, x.flip(2)], 3)[:, :, 4:])
    witness.every_parameter_learns(net, x)


def test_the_head_starts_small():
    head = cnnlib.build("squeezenet1_1").classifier[1]
    assert 0.0095 < head.weight.std() < 0.0105 and not head.bias.any()
