"""Wide ResNets: the depth rule 6n + 4, what it counts, dropout in its place."""

import pytest
import torch
from torch import nn
from twins import noise, on_meta, order

import cnnlib
from cnnlib.models import preact, wide_resnet


@pytest.mark.parametrize(("depth", "k"), [(16, 4), (28, 10), (40, 2)])
def test_the_name_counts_all_convolutions_with_the_projections(depth, k):
    net = on_meta(f"wrn_{depth}_{k}")
    assert sum(isinstance(m, nn.Conv2d) for m in net.modules()) == depth
    units = [m for m in net.modules() if isinstance(m, preact.Unit)]
    assert len(units) == (depth - 4) // 2 and sum(u.downsample is not None for u in units) == 3
    assert [stage[-1].branch[-1].out_channels for stage in (net.layer1, net.layer2, net.layer3)] == [
        16 * k, 32 * k, 64 * k
    ]  # fmt: skip


def test_at_widening_one_the_first_stage_needs_no_projection():
    assert sum(isinstance(m, nn.Conv2d) for m in on_meta("wrn_40_1").modules()) == 39


def test_dropout_stands_between_the_convolutions_alone():
    net = wide_resnet.wide_resnet(16, 1, dropout=0.3)
    for unit in (m for m in net.modules() if isinstance(m, preact.Unit)):
        assert order(unit.branch) == "conv bn relu dropout conv" and unit.branch.dropout.p == 0.3
    assert sum(isinstance(m, nn.Dropout) for m in net.modules()) == 6
    assert not any(isinstance(m, nn.Dropout) for m in cnnlib.build("wrn_16_4").modules())


def test_dropout_changes_neither_keys_nor_answers_in_evaluation():
    torch.manual_seed(0)
    net, dropped = cnnlib.build("wrn_small").eval(), cnnlib.build("wrn_small", dropout=0.3).eval()
    assert list(net.state_dict()) == list(dropped.state_dict())
    dropped.load_state_dict(net.state_dict())
    x = noise(2, 1, 28, 28)
    assert torch.equal(net(x), dropped(x))
    assert not torch.equal(dropped.train()(x), dropped(x))


def test_the_form_for_imagenet_is_wide_in_its_3x3_alone():
    thin, broad = on_meta("resnet50").layer1[0], on_meta("wide_resnet50_2").layer1[0]
    assert broad.conv2.in_channels == 2 * thin.conv2.in_channels
    assert broad.conv3.out_channels == thin.conv3.out_channels


@pytest.mark.parametrize(
    ("depth", "k", "words"),
    [(27, 10, r"need 6n \+ 4, such as 22 or 28"), (4, 1, r"6n \+ 4"), (28, 0, "k=0"), (28, 1.5, "k=1.5")],
)
def test_sizes_that_do_not_fit_are_refused(depth, k, words):
    with pytest.raises(ValueError, match=words):
        wide_resnet.wide_resnet(depth, k)
