"""VGG beyond the facts: order of layers, start, what a wrong option says."""

import pytest
import torch
import witness
from torch import nn

import cnnlib
from cnnlib.arch import vgg


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
