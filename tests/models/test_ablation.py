"""Networks with a part taken out, and gradients of two batches compared."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import cnnlib
from cnnlib.insight import signals
from cnnlib.models import ablation
from cnnlib.training.evaluation import seeded


@pytest.mark.parametrize("name", ["plain20_w8", "resnet20_w8", "resnet18"])
def test_without_norm_keeps_the_weights_and_norms_nothing(name):
    with seeded(0):
        net = cnnlib.build(name)
    bare = ablation.without_norm(net)
    assert not any(isinstance(m, nn.BatchNorm2d) for m in bare.modules())
    assert any(isinstance(m, nn.BatchNorm2d) for m in net.modules()), "the original keeps its own"
    for old, new in zip(net.modules(), bare.modules(), strict=True):
        if isinstance(old, nn.Conv2d):
            assert torch.equal(old.weight, new.weight) and old.bias is None and not new.bias.any()


def test_a_fresh_network_in_evaluation_answers_alike_without_its_norms():
    """Running mean 0 and variance 1: only eps is between them."""
    with seeded(0):
        net = cnnlib.build("resnet20_w8").eval()
        x = torch.rand(4, 1, 28, 28)
    bare = ablation.without_norm(net)
    assert torch.allclose(net(x), bare(x), rtol=1e-3)
    assert not torch.allclose(net.train()(x), bare.train()(x), rtol=1e-1)


def test_a_norm_without_a_convolution_in_front_is_refused():
    inner = nn.Sequential()
    inner.add_module("norm1", nn.BatchNorm2d(3))
    with pytest.raises(ValueError, match="0.norm1 does not stand behind a convolution"):
        ablation.without_norm(nn.Sequential(inner))


def test_without_a_block_its_input_passes():
    with seeded(0):
        net = cnnlib.build("resnet20_w8").eval()
        x = torch.rand(2, 8, 5, 5)
    cut = ablation.without_block(net, "layer1.1")
    assert torch.equal(cut.layer1(x), net.layer1[2](net.layer1[0](x)))
    assert not torch.equal(cut.layer1(x), net.layer1(x)), "the original keeps its block"
    for name in ("", "layer9"):
        with pytest.raises(ValueError, match="has no module"):
            ablation.without_block(net, name)


def classifier():
    return nn.Sequential(nn.Flatten(), nn.Linear(4, 3))


def test_gradients_are_those_of_autograd_and_leave_no_trace():
    with seeded(0):
        net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(8, 3))
        x, y = torch.randn(6, 1, 4, 4), torch.arange(6) % 3
    before = copy.deepcopy(net.state_dict())
    got = signals.weight_gradients(net, x, y)
    assert list(got) == ["0", "3"] and net[0].weight.grad is None
    assert all(torch.equal(v, before[k]) for k, v in net.state_dict().items())
    F.cross_entropy(net.train()(x), y).backward()
    assert torch.allclose(got["0"], net[0].weight.grad) and torch.allclose(got["3"], net[3].weight.grad)


def test_agreement_is_the_cosine():
    with seeded(0):
        net, x = classifier(), torch.randn(6, 1, 2, 2)
    y = torch.arange(6) % 3
    (same,) = signals.gradient_agreement(net, (x, y), (x, y))
    assert same.cosine == pytest.approx(1) and same.name == "1"
    (other,) = signals.gradient_agreement(net, (x, y), (x.flip(0) + 1, y))
    a, b = (signals.weight_gradients(net, v, y)["1"].flatten() for v in (x, x.flip(0) + 1))
    assert other.cosine == pytest.approx((a @ b / a.norm() / b.norm()).item(), abs=1e-6)
    assert other.norm == pytest.approx(a.norm().item()) and other.cosine < 0.99
