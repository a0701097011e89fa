"""Occlusion and class maps, each against a second way to the same numbers."""

import math

import pytest
import torch
from torch import nn

import cnnlib
from cnnlib import probe
from cnnlib.training.evaluation import seeded


def test_covering_matters_where_the_network_looks():
    class Corner(nn.Module):
        """Class 1 if pixel (2, 5) is bright."""

        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(torch.tensor(10.0))

        def forward(self, x):
            return torch.stack([torch.zeros(len(x)), self.scale * x[:, 0, 2, 5]], 1)

    seen = probe.occlusion(Corner(), torch.ones(1, 8, 9), 1, side=3)
    assert seen.shape == (6, 7)
    bright, dark = 1 / (1 + math.exp(-10)), 0.5
    for row in range(6):
        for col in range(7):
            covers = row <= 2 < row + 3 and col <= 5 < col + 3
            assert float(seen[row, col]) == pytest.approx(dark if covers else bright)


def test_occlusion_by_hand(net, x):
    image = x[0].clone()
    image[:, 8:14, 4:10] = 0.7
    seen = probe.occlusion(net, x[0], 2, side=6, step=4, fill=0.7)
    assert seen.shape == (4, 4)
    assert torch.isclose(seen[2, 1], net.eval()(image[None]).softmax(1)[0, 2])


def test_a_square_must_fit(net, x):
    with pytest.raises(ValueError, match="side=19: need a square that fits into 18 x 20 pixels"):
        probe.occlusion(net, x[0], 0, 19)
    with pytest.raises(ValueError, match="need one image"):
        probe.occlusion(net, x, 0, 3)


@pytest.mark.parametrize("name", ["nin_small", "nin_cifar", "squeezenet1_1", "resnet20_cifar", "googlenet"])
def test_the_mean_of_a_class_map_is_the_logit(name):
    with seeded(0):
        net = cnnlib.build(name)
        c, h, w = cnnlib.models.image_shape(name)
        x = torch.rand(2, c, h, w)
    maps = probe.class_maps(net, x)
    assert maps.ndim == 4 and maps.shape[2] > 1 and net.training
    assert torch.allclose(maps.mean((2, 3)), net.eval()(x), rtol=1e-3, atol=1e-4)


def test_class_maps_need_a_global_mean():
    with pytest.raises(ValueError, match="no means of maps"):
        probe.class_maps(cnnlib.build("alexnet_small"), torch.rand(1, 1, 28, 28))


def test_a_map_is_high_where_the_thing_is():
    """A network that counts bright pixels in one class and dark ones in the other."""
    net = nn.Sequential(nn.Conv2d(1, 2, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    nn.init.zeros_(net[0].bias)
    net[0].weight.data = torch.tensor([1.0, -1.0]).view(2, 1, 1, 1)
    x = torch.zeros(1, 1, 8, 8)
    x[..., 2:4, 5:7] = 1
    maps = probe.class_maps(net, x)
    assert torch.equal(maps[0, 0] > 0, x[0, 0] > 0) and torch.equal(maps[0, 1] < 0, x[0, 0] > 0)
