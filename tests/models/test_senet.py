"""Squeeze-and-excitation: the gate by hand, and the four places the paper tries."""

import pytest
import torch
from torch import nn
from twins import filled, noise, on_meta, order

from cnnlib.models import resnet, senet


def test_the_gate_by_hand():
    gate = filled(senet.SqueezeExcite(8, 4))
    x = noise(2, 8, 5, 7)
    y = gate(x)
    for n in range(2):
        z = [x[n, c].sum() / 35 for c in range(8)]
        w1, w2 = gate.fc1.weight[:, :, 0, 0], gate.fc2.weight[:, :, 0, 0]
        hidden = [max(0, sum(w1[j, c] * z[c] for c in range(8)) + gate.fc1.bias[j]) for j in range(2)]
        for c in range(8):
            s = 1 / (1 + torch.exp(-(sum(w2[c, j] * hidden[j] for j in range(2)) + gate.fc2.bias[c])))
            assert 0 < s < 1 and torch.allclose(y[n, c], x[n, c] * s, atol=1e-6)


def test_the_gate_sees_the_whole_map_and_costs_2_c_squared_over_r():
    gate = filled(senet.SqueezeExcite(32, 16))
    assert sum(p.numel() for p in gate.parameters()) == 2 * 32**2 // 16 + 32 + 2
    x = noise(1, 32, 6, 6).requires_grad_()
    gate(x)[0, :, 0, 0].sum().backward()
    assert x.grad[0].any(0).all()


@pytest.mark.parametrize("reduction", [3, 64, 0])
def test_a_reduction_that_does_not_divide_is_refused(reduction):
    with pytest.raises(ValueError, match=f"reduction={reduction}: must divide the 32 channels"):
        senet.SqueezeExcite(32, reduction)


def made(place):
    torch.manual_seed(0)
    return senet.PLACES[place](resnet.basic, resnet.option_b, 4)(8, 8, 1).eval()


def branch(block, x):
    """F without any gate, by hand."""
    return block.bn2(block.conv2(block.bn1(block.conv1(x)).relu()))


def test_each_place_by_hand():
    x = noise(2, 8, 6, 6)
    b = made("standard")
    assert torch.equal(b(x), (b.se(branch(b, x)) + x).relu())
    b = made("pre")
    assert torch.equal(b(x), (branch(b, b.se(x)) + x).relu())
    b = made("post")
    assert torch.equal(b(x), b.se((branch(b.block, x) + x).relu()))
    b = made("identity")
    assert torch.equal(b(x), (branch(b, x) + b.downsample(x)).relu())
    assert isinstance(b.downsample, senet.SqueezeExcite)


def test_inside_a_bottleneck_the_gate_follows_the_3x3_and_is_smaller():
    torch.manual_seed(0)
    b, x = senet.inside(resnet.bottleneck, resnet.option_b, 4)(64, 64, 1).eval(), noise(2, 64, 6, 6)
    y = b.bn2(b.conv2(b.bn1(b.conv1(x)).relu())).relu()
    assert torch.equal(b(x), (b.bn3(b.conv3(b.se(y))) + x).relu())
    assert b.se.fc1.in_channels == 16 and order([b.conv2, b.bn2, b.relu2, b.se]) == "conv bn relu se"


def test_each_place_adds_the_same_parameters():
    gate = sum(p.numel() for p in senet.SqueezeExcite(8, 4).parameters())
    plain = sum(p.numel() for p in resnet.residual(resnet.basic)(8, 8, 1).parameters())
    assert {sum(p.numel() for p in made(place).parameters()) for place in senet.PLACES} == {plain + gate}


def test_on_a_projection_the_gate_follows_it():
    block = senet.identity(resnet.basic, resnet.option_b, 4)(8, 16, 2)
    assert order(block.downsample) == "Sequential se"


def test_a_gate_is_a_function_of_any_branch():
    for base in (resnet.basic, resnet.bottleneck, senet.senet154_branch):
        gated = senet.with_se(base)(128, 128, 1)
        assert list(gated) == [*base(128, 128, 1), "se"]


def test_senet154_is_as_its_appendix_says():
    net = on_meta("senet154")
    assert order(net.layer0) == "conv bn relu conv bn relu conv bn relu"
    assert all(m.kernel_size == (3, 3) for m in net.layer0 if isinstance(m, nn.Conv2d))
    first, second = net.layer1[0], net.layer2[0]
    assert first.conv1.out_channels * 2 == first.conv2.out_channels and first.conv2.groups == 64
    assert first.downsample[0].kernel_size == (1, 1) and second.downsample[0].kernel_size == (3, 3)
    assert net.dropout.p == 0.2 and [len(getattr(net, f"layer{i}")) for i in (1, 2, 3, 4)] == [3, 8, 36, 3]
    assert [name for name, _ in net.named_children()][-2:] == ["dropout", "fc"]
