"""Frozen features stay as they are, whatever is done to the network around them."""

import copy

import pytest
import torch
from torch import nn

from cnnlib.images.datasets import Images
from cnnlib.training import transfer
from cnnlib.training.evaluation import seeded
from cnnlib.training.loop import train
from cnnlib.training.recipe import Recipe


@pytest.fixture
def images():
    y = torch.arange(40) % 2
    x = torch.rand(40, 1, 6, 6, generator=torch.Generator().manual_seed(0)) * 0.5
    x[y == 1] += 0.4
    return Images(x, y, ("dark", "bright"))


def features():
    return nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.ReLU())


def test_training_a_probe_moves_the_linear_layer_alone(images):
    with seeded(0):
        net = transfer.linear_probe(features(), 3 * 4 * 4, 2)
    before = copy.deepcopy(net.state_dict())
    rows = list(train(net, images, images, Recipe(epochs=3, batch=8)))
    moved = {key for key, value in net.state_dict().items() if not torch.equal(value, before[key])}
    assert moved == {"fc.weight", "fc.bias"}  # running means stay, too
    assert rows[-1].train_loss < rows[0].train_loss


def test_a_probe_sees_what_the_features_say_in_evaluation(images):
    made = features()
    net = transfer.linear_probe(made, 48, 2).train()
    told = made.eval()(images.x).flatten(1)
    assert torch.equal(net(images.x), net.fc(told)) and not net.features.training


def test_what_is_taught_follows_from_the_random_state(images):
    def build():
        return nn.Sequential(nn.Flatten(), nn.Linear(36, 2))

    def weights(seed):
        with seeded(seed):
            return transfer.pretrained(build, images, Recipe(epochs=1, batch=8))[1].weight

    assert torch.equal(weights(1), weights(1)) and not torch.equal(weights(1), weights(2))
    with seeded(1):
        fresh = build()[1].weight
    assert not torch.equal(weights(1), fresh)
