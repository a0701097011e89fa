"""ZFNet: the facts, the sizes of Fig. 3, the order of its layers, its start."""

import pytest
import torch
import witness
from torch import nn

import cnnlib
from cnnlib.models import zfnet

NAMES = ["zfnet", "zfnet_512_1024_512"]


@pytest.mark.parametrize("name", NAMES)
def test_it_costs_what_the_facts_say(name):
    witness.costs_what_the_facts_say(name, "reference", name)


def test_its_maps_are_those_of_figure_3():
    cost = cnnlib.trace(witness.on_meta("zfnet"), (3, 224, 224))
    assert [(r.out[0], r.out[1]) for r in cost.rows if r.kind in ("Conv2d", "MaxPool2d")] == [
        (96, 110), (96, 55), (256, 26), (256, 13), (384, 13), (384, 13), (256, 13), (256, 6)
    ]  # fmt: skip


def test_normalisation_stands_behind_the_pool():
    """Fig. 3, (i) to (iii): rectified, pooled, contrast normalised. AlexNet normalises first."""
    kinds = witness.kinds(witness.on_meta("zfnet").features)
    assert kinds == ["Conv2d", "ReLU", "MaxPool2d", "LocalResponseNorm"] * 2 + ["Conv2d", "ReLU"] * 3 + [
        "MaxPool2d"
    ]


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(0)
    return cnnlib.build("zfnet", num_classes=10)


def test_it_starts_as_the_paper_says(net):
    weighted = [m for m in net.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    assert len(weighted) == 8
    assert all(0.0095 < m.weight.std() < 0.0105 and not m.bias.any() for m in weighted)


def test_every_parameter_learns_and_two_answers_agree(net):
    x = witness.picture("zfnet")
    witness.every_parameter_learns(net, x)
    net.eval()
    with torch.no_grad():
        y = net(x)
        assert torch.equal(net(x), y) and y.shape == (2, 10)
        assert (net(x.to(memory_format=torch.channels_last)) - y).abs().max() < 1e-4 * y.abs().max()
        assert (net(x[:1]) - y[:1]).abs().max() < 1e-4 * y.abs().max()


def test_the_first_window_is_smaller_and_moves_less_than_alexnets():
    conv = witness.on_meta("zfnet").features[0]
    assert (conv.kernel_size, conv.stride, conv.padding) == ((7, 7), (2, 2), (1, 1))


def test_another_image_size_is_refused_also_where_only_shapes_are_traced():
    with pytest.raises(
        ValueError, match=r"zfnet got \(1, 3, 128, 128\): need images of 223 to 254 pixels a side"
    ):
        cnnlib.trace(witness.on_meta("zfnet"), (3, 128, 128))


def test_the_small_one_can_start_as_alexnet_and_ends_in_the_same_maps():
    ours, old = zfnet.small(), zfnet.small(kernel=9, strides=(2, 1))
    maps = [
        [r.out for r in cnnlib.trace(net, (1, 28, 28)).rows if r.kind == "MaxPool2d"] for net in (ours, old)
    ]
    assert maps == [
        [(20, 14, 14), (52, 4, 4), (52, 2, 2)], [(20, 7, 7), (52, 4, 4), (52, 2, 2)]
    ]  # fmt: skip
    assert ours.features[0].kernel_size == (5, 5) and old.features[0].kernel_size == (9, 9)


def test_the_small_one_takes_what_users_bring_and_learns():
    torch.manual_seed(0)
    net, x = cnnlib.build("zfnet_small"), witness.picture("zfnet_small", 8)
    witness.takes_what_users_bring(net, x, x[..., 1:])
    witness.every_parameter_learns(net, x)
