"""VGG beyond the facts: order of layers, start, what a wrong option says."""

import pytest
import torch
import witness
from torch import nn

import cnnlib
from cnnlib.models import vgg


def test_normalisation_stands_between_convolution_and_relu():
    for name, expected in (("vgg11", ["Conv2d", "ReLU"]), ("vgg11_bn", ["Conv2d", "BatchNorm2d", "ReLU"])):
        layers = [k for k in witness.kinds(witness.on_meta(name).features) if k != "MaxPool2d"]
        assert layers == expected * 8


@pytest.mark.parametrize("name", vgg.DEPTHS)
def test_the_number_in_the_name_counts_layers_with_weights(name):
    weighted = [m for m in witness.on_meta(name).modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    assert len(weighted) == int(name.removeprefix("vgg"))
    assert {m.kernel_size for m in weighted if isinstance(m, nn.Conv2d)} == {(3, 3)}


@pytest.mark.parametrize("letter", "ABDE")
def test_columns_of_table_1_cost_what_the_facts_say(letter):
    name = {"A": "vgg11", "B": "vgg13", "D": "vgg16", "E": "vgg19"}[letter]
    witness.costs_what_the_facts_say(name, "reference", f"vgg_paper_{letter}")


def test_weights_start_so_that_gradients_keep_their_size():
    torch.manual_seed(0)
    net = cnnlib.build("vgg11", num_classes=2)
    for conv in (m for m in net.features if isinstance(m, nn.Conv2d)):
        told = (2 / (9 * conv.out_channels)) ** 0.5
        assert 0.9 * told < conv.weight.std() < 1.1 * told and not conv.bias.any()


def test_the_small_one_takes_what_users_bring():
    net = cnnlib.build("vgg_small")
    witness.takes_what_users_bring(net, witness.picture("vgg_small"), torch.randn(3, 1, 24, 31))
    witness.every_parameter_learns(net, witness.picture("vgg_small", 4))


def test_options_it_does_not_have_are_refused():
    with pytest.raises(
        ValueError, match="norm=True: vgg16 does not take it; it takes num_classes, in_channels"
    ):
        cnnlib.build("vgg16", norm=True)


@pytest.mark.parametrize("name", vgg.DEPTHS)
@pytest.mark.parametrize("norm", [False, True], ids=["plain", "norm"])
def test_a_twin_has_all_layers_of_its_column_and_all_pools(name, norm):
    net = vgg.twin(vgg.DEPTHS[name], norm)
    weighted = [m for m in net.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    assert len(weighted) == int(name.removeprefix("vgg"))
    assert witness.kinds(net).count("MaxPool2d") == 5
    assert witness.kinds(net).count("BatchNorm2d") == norm * sum(vgg.DEPTHS[name])
    full = [m.out_channels for m in witness.on_meta(name).features if isinstance(m, nn.Conv2d)]
    assert [16 * m.out_channels for m in weighted if isinstance(m, nn.Conv2d)] == full
    assert net(torch.randn(2, 1, 28, 28)).shape == (2, 10)


def test_both_windows_see_the_same_and_cost_the_same():
    small, large = vgg.windows(3, 3, 16), vgg.windows(7, 1, 12)
    costs = [cnnlib.trace(net, (1, 28, 28)) for net in (small, large)]
    assert costs[0].receptive_field == costs[1].receptive_field
    assert abs(costs[0].macs / costs[1].macs - 1) < 0.01


def test_without_relus_between_them_three_layers_are_one_linear_map():
    """A map times 2 gives twice the sum; with ReLUs between it does not, as biases show."""
    torch.manual_seed(0)
    x = torch.randn(1, 6, 14, 14)
    for between, linear in ((nn.Identity, True), (nn.ReLU, False)):
        stack = vgg.windows(3, 3, 6, between).features[3:8]
        assert [type(m) for m in stack] == [nn.Conv2d, between, nn.Conv2d, between, nn.Conv2d]
        gap = stack(2 * x) - stack(torch.zeros_like(x)) - 2 * (stack(x) - stack(torch.zeros_like(x)))
        assert (gap.abs().max() < 1e-5) == linear


def test_normalisation_stands_behind_each_of_the_windows():
    kinds = witness.kinds(vgg.windows(3, 3, 6, norm=True).features)
    assert all(kinds[i + 1] == "BatchNorm2d" for i, kind in enumerate(kinds) if kind == "Conv2d")
