"""Inception-v4 and Inception-ResNet-v2: facts, timm's answers with timm's weights, sizes, scaled residuals."""

import re

import pytest
import torch
import witness
from torch import nn

import cnnlib
from cnnlib.models import inception_v4

NAMES = ["inception_v4", "inception_resnet_v2"]
# What the same tensor is called here and in timm; the first match counts.
RENAMED = {
    "inception_v4": (
        (r"^fc\.", "last_linear."),
        (r"^(features\.(?:19|20|21)\.branch[12])\.(\d)\.([ab])\.", r"\1_\2\3."),
        (r"^(features\.(?:19|20|21)\.branch[12])\.(\d)\.", r"\1_\2."),
    ),
    "inception_resnet_v2": (
        (r"^fc\.", "classif."),
        (r"^(repeat\w*\.\d+)\.0\.(?:paths\.)?", r"\1."),
        (r"^block8\.paths\.", "block8."),
    ),
}


def key_in_timm(name, key):
    for pattern, new in RENAMED[name]:
        if re.search(pattern, key):
            return re.sub(pattern, new, key)
    return key


@pytest.mark.parametrize("name", NAMES)
def test_it_costs_what_the_facts_say(name):
    witness.costs_what_the_facts_say(name, "timm", name)


@pytest.fixture(scope="module", params=NAMES)
def net(request):
    torch.manual_seed(0)
    return cnnlib.build(request.param, num_classes=10)


def pictures():
    return torch.randn(2, 3, 75, 91, generator=torch.Generator().manual_seed(1))


def test_every_parameter_learns(net):
    witness.every_parameter_learns(net, pictures())


def test_it_answers_as_timms(net):
    timm = pytest.importorskip("timm", reason="NOT CHECKED: timm")
    theirs = timm.create_model(net.name, num_classes=10).eval()
    weights = theirs.state_dict()
    assert {key_in_timm(net.name, key) for key in net.state_dict()} == set(weights)
    net.load_state_dict({key: weights[key_in_timm(net.name, key)] for key in net.state_dict()})
    with torch.no_grad():
        a, b = net.eval()(pictures()), theirs(pictures())
        assert torch.allclose(a, b, atol=1e-5, rtol=1e-5) and torch.equal(a, net(pictures()))


@pytest.mark.parametrize(
    ("name", "maps"),
    [
        (
            "inception_v4",
            {"features.2": (64, 147, 147), "features.3": (160, 73, 73), "features.4": (192, 71, 71),
             "features.5": (384, 35, 35), "features.10": (1024, 17, 17), "features.18": (1536, 8, 8),
             "features.21": (1536, 8, 8)},
        ),
        (
            "inception_resnet_v2",
            {"mixed_5b": (320, 35, 35), "mixed_6a": (1088, 17, 17), "repeat_1": (1088, 17, 17),
             "mixed_7a": (2080, 8, 8), "block8": (2080, 8, 8), "conv2d_7b": (1536, 8, 8)},
        ),
    ],
)  # fmt: skip
def test_its_maps_are_those_of_the_figures(name, maps):
    net, seen = witness.on_meta(name).eval(), {}
    for part in maps:
        net.get_submodule(part).register_forward_hook(
            lambda m, i, out, part=part: seen.update({part: tuple(out.shape[1:])})
        )
    net(torch.zeros(1, 3, 299, 299, device="meta"))
    assert seen == maps


def test_a_residual_block_takes_a_small_step():
    torch.manual_seed(0)
    block, x = inception_v4.residual_a(0.17).eval(), torch.randn(1, 320, 5, 6)
    with torch.no_grad():
        assert torch.equal(block(x), x + 0.17 * block.conv2d(block.paths(x)))
        nn.init.zeros_(block.conv2d.weight)
        nn.init.zeros_(block.conv2d.bias)
        assert torch.equal(block(x), x)
    assert "scale=0.17" in repr(block)


def test_every_sum_but_the_last_is_rectified():
    net = witness.on_meta("inception_resnet_v2")
    for part, times, scale in (("repeat", 10, 0.17), ("repeat_1", 20, 0.1), ("repeat_2", 9, 0.2)):
        blocks = list(net.get_submodule(part))
        assert len(blocks) == times and {block[0].scale for block in blocks} == {scale}
        assert all(isinstance(block[1], nn.ReLU) for block in blocks)
    assert isinstance(net.block8, inception_v4.Scaled) and net.block8.scale == 1


def test_the_step_back_to_x_has_no_norm_and_all_else_has():
    kinds = witness.kinds(witness.on_meta("inception_resnet_v2"))
    convs = [i for i, kind in enumerate(kinds) if kind == "Conv2d"]
    bare = [i for i in convs if kinds[i + 1] != "BatchNorm2d"]
    assert len(convs) == 244 and len(bare) == 40  # one a residual block
    v4 = witness.kinds(witness.on_meta("inception_v4"))
    assert all(v4[i + 1 : i + 3] == ["BatchNorm2d", "ReLU"] for i, kind in enumerate(v4) if kind == "Conv2d")


def test_means_leave_the_border_out():
    path = inception_v4.mean_path(1, 1)
    assert path[0](torch.ones(1, 1, 4, 4)).eq(1).all()


def test_options_it_does_not_have_are_refused():
    with pytest.raises(ValueError, match="aux=True: inception_v4 does not take it"):
        cnnlib.build("inception_v4", aux=True)
