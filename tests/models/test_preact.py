"""Pre-activation: the five orderings of the paper's Figure 4, and a shortcut that nothing touches."""

import pytest
import torch
from torch import nn
from twins import noise, on_meta, order

import cnnlib
from cnnlib.models import preact, resnet

# He et al. 2016, Fig. 4, read off the drawing: what stands before the fork, on the branch, after the sum.
FIGURE_4 = {
    "original": ("", "conv bn relu conv bn", "relu"),
    "bn_after_addition": ("", "conv bn relu conv", "bn relu"),
    "relu_before_addition": ("", "conv bn relu conv bn relu", ""),
    "relu_only": ("relu", "conv bn relu conv bn", ""),
    "full": ("bn relu", "conv bn relu conv", ""),
}


def layers(part):
    return [] if isinstance(part, nn.Identity) else list(part)


@pytest.mark.parametrize("name", FIGURE_4)
def test_each_ordering_is_the_figures(name):
    unit = preact.ordered(preact.ORDERINGS[name])(8, 8, 1)
    assert tuple(order(layers(p)) for p in (unit.pre, unit.branch, unit.after)) == FIGURE_4[name]


def test_the_five_hold_the_same_weights_in_another_order():
    held = {
        name: sorted(p.numel() for p in preact.ordered(row)(8, 8, 1).parameters())
        for name, row in preact.ORDERINGS.items()
    }
    assert len(held) == 5 and len({tuple(sizes) for sizes in held.values()}) == 1


@pytest.mark.parametrize("name", FIGURE_4)
def test_each_ordering_by_hand(name):
    torch.manual_seed(0)
    unit = preact.ordered(preact.ORDERINGS[name])(8, 8, 1).eval()
    parts = dict(unit.named_children())
    x = y = noise(2, 8, 6, 6)
    for layer in layers(parts["pre"]):
        y = layer(y)
    for layer in layers(parts["branch"]):
        y = layer(y)
    y = y + x
    for layer in layers(parts["after"]):
        y = layer(y)
    kept = x.clone()
    assert torch.equal(unit(x), y) and torch.equal(x, kept)


def test_the_ordering_original_is_the_block_of_2015():
    torch.manual_seed(0)
    old = resnet.residual(resnet.basic)(8, 8, 1).eval()
    new = preact.ordered(preact.ORDERINGS["original"])(8, 8, 1).eval()
    new.load_state_dict({f"branch.{key}": value for key, value in old.state_dict().items()})
    x = noise(2, 8, 6, 6)
    assert torch.equal(old(x), new(x))


def test_the_ordering_full_is_the_block_of_the_networks():
    a = preact.ordered(preact.ORDERINGS["full"])(8, 8, 1).eval()
    b = preact.preactivated(preact.basic)(8, 8, 1).eval()
    assert {k: v.shape for k, v in a.state_dict().items()} == {k: v.shape for k, v in b.state_dict().items()}
    b.load_state_dict(a.state_dict())
    x = noise(2, 8, 6, 6)
    assert torch.equal(a(x), b(x))


@pytest.mark.parametrize("branch", [preact.basic, preact.bottleneck])
def test_an_identity_shortcut_reads_x_itself_and_a_projection_the_activated_x(branch):
    torch.manual_seed(0)
    x = noise(2, 16, 8, 8)
    same, changed = (preact.preactivated(branch)(16, c, s).eval() for c, s in ((16, 1), (32, 2)))
    for unit in (same, changed):
        nn.init.zeros_([m for m in unit.branch if isinstance(m, nn.Conv2d)][-1].weight)
    assert torch.equal(same(x), x) and (same(x) < 0).any()  # nothing is rectified after the sum
    assert same.downsample is None
    assert torch.equal(changed(x), changed.downsample(changed.pre(x)))
    assert not torch.allclose(changed(x), changed.downsample(x))
    assert isinstance(changed.downsample, nn.Conv2d) and changed.downsample.bias is None


def test_from_any_block_to_a_later_one_the_way_is_a_sum():
    """Eq. 4: x_L = x_l + the sum of all branches between, which ReLU after the sum would break."""
    torch.manual_seed(0)
    units = nn.Sequential(*(preact.preactivated(preact.basic)(8, 8, 1) for _ in range(5))).eval()
    x, added = noise(1, 8, 6, 6), []
    for unit in units:
        unit.branch.register_forward_hook(lambda m, args, out: added.append(out.clone()))
    with torch.no_grad():
        assert torch.allclose(units(x), x + sum(added), atol=1e-5)
    assert len(added) == 5


def test_a_norm_and_a_relu_stand_before_the_head():
    for name in ("preresnet110_cifar", "preresnet50", "wrn_16_4"):
        names = [n for n, _ in on_meta(name).named_children()]
        assert names[-5:] == ["bn", "relu", "avgpool", "flatten", "fc"]
        assert names[0] == "conv1" and "bn1" not in names


def test_where_the_stride_sits():
    assert [on_meta("preresnet50").layer2[0].branch[i].stride for i in (0, 3)] == [(1, 1), (2, 2)]
    assert [on_meta("preresnet164_cifar").layer2[0].branch[i].stride for i in (0, 3)] == [(2, 2), (1, 1)]


@pytest.mark.parametrize(
    ("make", "depth", "rule"),
    [
        (preact.preresnet_cifar, 111, r"6n \+ 2"),
        (preact.preresnet_bottleneck_cifar, 163, r"9n \+ 2, such as 155 or 164"),
    ],
)
def test_depths_that_do_not_fit_are_refused_with_the_rule(make, depth, rule):
    with pytest.raises(ValueError, match=rule):
        make(depth)


def test_the_energy_of_the_shortcut_grows_block_by_block():
    torch.manual_seed(0)
    net, grown = cnnlib.build("preresnet_small"), []
    for unit in net.layer4:
        unit.register_forward_hook(lambda m, args, out: grown.append(out.var().item()))
    with torch.no_grad():
        net(noise(8, 1, 28, 28))
    assert grown == sorted(grown) and grown[-1] > grown[0] + 0.2
