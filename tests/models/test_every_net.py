"""One network a family, small: it learns, answers the same twice, and takes what users bring."""

import copy
import io
import pickle

import pytest
import torch
from torch.nn import functional as F
from twins import noise

import cnnlib
from cnnlib.models import preact, senet

NAMES = [
    "resnet_small", "plain20_w8", "preresnet_small", "wrn_small", "resnext_small", "densenet_small",
    "senet_small", "stochastic_small", "fractalnet_small",
]  # fmt: skip


@pytest.fixture(params=NAMES)
def net(request):
    torch.manual_seed(0)
    return cnnlib.build(request.param)


def idle(net, x):
    F.cross_entropy(net(x), torch.arange(len(x))).backward()
    return [n for n, p in net.named_parameters() if p.grad is None or not p.grad.any()]


def test_every_parameter_learns(net):
    assert idle(net.eval(), noise(8, 1, 28, 28)) == []


@pytest.mark.parametrize("name", NAMES[:-2])  # the steps of the last two leave layers out
def test_every_parameter_learns_in_training(name):
    torch.manual_seed(0)
    assert idle(cnnlib.build(name).train(), noise(8, 1, 28, 28)) == []


@pytest.mark.parametrize("ordering", preact.ORDERINGS)
def test_every_parameter_learns_in_each_ordering(ordering):
    torch.manual_seed(0)
    net = cnnlib.build("preresnet_small", ordering=preact.ORDERINGS[ordering])
    assert idle(net, noise(8, 1, 28, 28)) == []


@pytest.mark.parametrize("place", senet.PLACES)
def test_every_parameter_learns_with_the_gate_in_each_place(place):
    torch.manual_seed(0)
    net = cnnlib.build("senet_small", place=senet.PLACES[place])
    asleep = idle(net, noise(8, 1, 28, 28))
    if (
        place != "standard"
    ):  # these gates read much the same in all images: all hidden units of one may be off
        asleep = [n for n in asleep if not n.endswith(("fc1.weight", "fc1.bias", "fc2.weight"))]
    assert asleep == []


def test_it_takes_what_users_bring(net):
    net.eval()
    x = noise(3, 1, 28, 28)
    with torch.no_grad():
        y = net(x)
        near = {"atol": 1e-4 * y.abs().max().item(), "rtol": 0}
        assert y.shape == (3, 10) and y.isfinite().all() and torch.equal(net(x), y)
        assert torch.allclose(net(x.to(memory_format=torch.channels_last)), y, **near)
        assert torch.allclose(net(x[:1]), y[:1], **near)
        assert net(noise(2, 1, 41, 33)).shape == (2, 10)
        assert torch.allclose(copy.deepcopy(net).double()(x.double()).float(), y, **near)
        half = copy.deepcopy(net).bfloat16()(x.bfloat16())
        assert half.dtype is torch.bfloat16 and half.isfinite().all()


def test_it_survives_pickle_and_a_file_of_weights(net):
    net.eval()
    x = noise(2, 1, 28, 28)
    y = net(x)
    assert torch.equal(pickle.loads(pickle.dumps(net))(x), y)
    file = io.BytesIO()
    torch.save(net.state_dict(), file)
    file.seek(0)
    other = cnnlib.build(net.name).eval()
    other.load_state_dict(torch.load(file, weights_only=True))
    assert torch.equal(other(x), y)


def test_it_trains_on_an_odd_shape_and_a_batch_of_one(net):
    net.train()
    F.cross_entropy(net(noise(1, 1, 33, 41)), torch.tensor([3])).backward()


@pytest.mark.parametrize("name", NAMES)
def test_classes_and_channels_are_arguments(name):
    assert cnnlib.build(name, num_classes=7, in_channels=3)(noise(2, 3, 28, 28)).shape == (2, 7)
    with pytest.raises(ValueError, match="num_classes=0"):
        cnnlib.build(name, num_classes=0)


def test_one_seed_one_network():
    nets = []
    for seed in (4, 4, 5):
        torch.manual_seed(seed)
        nets.append(cnnlib.build("resnet_small").eval()(noise(1, 1, 28, 28)))
    assert torch.equal(nets[0], nets[1]) and not torch.equal(nets[0], nets[2])
