"""Network in Network: the facts, the tables, the perceptron that slides."""

import pytest
import torch
import witness
from torch import nn

import cnnlib
from cnnlib.models import nin


@pytest.mark.parametrize(("name", "row"), [("nin", "nin_imagenet"), ("nin_cifar", "nin_cifar10")])
def test_it_costs_what_the_facts_say(name, row):
    witness.costs_what_the_facts_say(name, "reference", row)


def test_an_mlpconv_layer_is_a_small_network_at_every_place():
    row = nin.Mlp(3, 6, 5, 4, pad=1)
    layer, x = nin.mlpconv(2, row, 4).double(), torch.randn(1, 2, 7, 8, dtype=torch.float64)
    y = layer(x)
    patch = x[0, :, 2:5, 3:6].flatten()  # what the unit at (3, 4) sees
    for conv in (layer.conv, layer.cccp1, layer.cccp2):
        patch = (conv.weight.flatten(1) @ patch + conv.bias).relu()
    assert torch.allclose(y[0, :, 3, 4], patch)


@pytest.mark.parametrize("name", ["nin", "nin_cifar", "nin_small"])
def test_every_convolution_is_rectified_and_nothing_is_linear(name):
    kinds = witness.kinds(witness.on_meta(name))
    assert "Linear" not in kinds and kinds[-2:] == ["AdaptiveAvgPool2d", "Flatten"]
    assert all(b == "ReLU" for a, b in zip(kinds, kinds[1:], strict=False) if a == "Conv2d")


def test_a_logit_is_the_mean_of_its_map():
    net, x = cnnlib.build("nin_small").eval(), witness.picture("nin_small")
    maps = net[:-2](x)
    assert maps.shape == (2, 10, 7, 7) and torch.allclose(net(x), maps.mean((2, 3)))


@pytest.mark.parametrize(
    ("name", "sides"),
    [
        ("nin", [55, 27, 27, 13, 13, 6, 6]),
        ("nin_cifar", [32, 16, 16, 8, 8]),
        ("nin_small", [28, 14, 14, 7, 7]),
    ],
)
def test_its_maps(name, sides):
    cost = cnnlib.trace(witness.on_meta(name), cnnlib.models.image_shape(name))
    ends = [r.out[1] for r in cost.rows if r.kind == "MaxPool2d" or r.name.endswith("cccp2")]
    assert ends == sides


def test_dropout_stands_behind_all_pools_of_the_paper_and_the_last_of_the_large_one():
    where = {name: [n for n, m in witness.on_meta(name).named_children() if isinstance(m, nn.Dropout)]
             for name in ("nin", "nin_cifar")}  # fmt: skip
    assert where == {"nin": ["dropout3"], "nin_cifar": ["dropout1", "dropout2"]}


@pytest.mark.parametrize("name", ["nin_cifar", "nin_small"])
def test_it_takes_what_users_bring_and_learns(name):
    torch.manual_seed(0)
    net, x = cnnlib.build(name), witness.picture(name)
    witness.takes_what_users_bring(net, x, torch.cat([x, x], 3)[:, :, 3:])
    witness.every_parameter_learns(net, witness.picture(name, 8))


def test_classes_are_maps():
    net = witness.on_meta("nin_cifar", num_classes=100, in_channels=1)
    assert net.mlpconv3.cccp2.out_channels == 100 and net.mlpconv1.conv.in_channels == 1
    with pytest.raises(
        ValueError, match="width=3: nin_cifar does not take it; it takes num_classes, in_channels"
    ):
        cnnlib.build("nin_cifar", width=3)
