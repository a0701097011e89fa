"""Stochastic depth: the rules, the mean it keeps, and that nothing is left to chance in evaluation."""

import copy

import pytest
import torch
from torch import nn
from twins import filled, noise, on_meta

import cnnlib
from cnnlib.models import resnet, stochastic_depth


def shallow(**options):
    torch.manual_seed(0)
    return stochastic_depth.resnet_stochastic_cifar(20, in_channels=1, **options)


def keeps(net):
    return [m.keep for m in net.modules() if isinstance(m, stochastic_depth.StochasticDepthBlock)]


def test_the_linear_rule_falls_in_equal_steps_from_1_to_one_half():
    told = keeps(on_meta("resnet110_sd_cifar"))
    assert len(told) == 54 and told[-1] == 0.5
    assert told == pytest.approx([1 - i / 54 * 0.5 for i in range(1, 55)])
    assert sum(told) / 54 == pytest.approx(0.75, abs=0.005)  # the paper: 40 of 54 blocks survive
    assert 40 <= sum(told) <= 41


def test_the_constant_rule_and_any_other():
    assert set(keeps(shallow(rule=stochastic_depth.constant))) == {0.5}
    assert keeps(shallow(rule=lambda i, n: i / n)) == [i / 9 for i in range(1, 10)]


@pytest.mark.parametrize("p", [0, 1.5, -0.1])
def test_a_rule_that_gives_no_probability_is_refused(p):
    with pytest.raises(ValueError, match=r"block 1 the probability .* need one in \(0, 1\]"):
        shallow(rule=lambda i, n: p)


def block(keep):
    branch = nn.Sequential(nn.Conv2d(4, 4, 3, padding=1))
    made = stochastic_depth.StochasticDepthBlock({"conv": branch}, None)
    made.keep, made.act = keep, nn.Identity()  # without the ReLU the mean can be taken
    return made


def test_in_the_mean_over_many_steps_training_is_evaluation():
    torch.manual_seed(0)
    made, x = block(0.6), noise(1, 4, 5, 5).abs()  # what the block before rectified
    with torch.no_grad():
        steps = torch.stack([made.train()(x) for _ in range(4000)])
        told, branch = made.eval()(x), made.branch(x)
    share = ((steps.mean(0) - x) / branch).mean()
    assert share == pytest.approx(0.6, abs=0.03)
    assert (steps.mean(0) - told).abs().max() < 0.05 * branch.abs().max()
    assert {tuple(s.flatten().tolist()) for s in steps} == {
        tuple(y.flatten().tolist()) for y in (x, x + branch)
    }


def test_a_block_that_is_left_out_does_no_work():
    made, x = block(1e-9).train(), noise(1, 4, 5, 5)
    made.branch = None  # it would raise
    assert torch.equal(made(x), x.relu())


def test_steps_differ_follow_the_seed_and_stand_still_in_evaluation():
    net, x = shallow(), noise(2, 1, 32, 32)

    def steps(seed, n=6):
        torch.manual_seed(seed)
        with torch.no_grad():
            return [net(x) for _ in range(n)]

    net.train()
    first, again, other = steps(0), steps(0), steps(1)
    assert all(map(torch.equal, first, again))
    assert any(not torch.equal(a, first[0]) for a in first[1:])
    assert any(not torch.equal(a, b) for a, b in zip(first, other, strict=True))
    net.eval()
    before = torch.get_rng_state()
    told = net(x)
    assert torch.equal(told, net(x)) and torch.equal(before, torch.get_rng_state())


def test_with_all_blocks_certain_it_is_the_resnet():
    sure = shallow(rule=lambda i, n: 1.0)
    net = resnet.resnet_cifar(20, in_channels=1)
    assert list(net.state_dict()) == list(sure.state_dict())
    net.load_state_dict(sure.state_dict())
    x = noise(2, 1, 32, 32)
    for training in (True, False):
        assert torch.equal(net.train(training)(x), sure.train(training)(x))


def test_every_step_trains_and_leaves_the_gradient_of_dropped_blocks_empty():
    net = filled(copy.deepcopy(on_meta("resnet110_sd_cifar"))).train()
    torch.manual_seed(3)
    net(noise(2, 3, 8, 8)).square().sum().backward()
    blocks = [m for m in net.modules() if isinstance(m, stochastic_depth.StochasticDepthBlock)]
    alive = [b.conv1.weight.grad is not None for b in blocks]
    assert 30 < sum(alive) < 50
    assert net.conv1.weight.grad.any() and net.fc.weight.grad.any()


def test_it_can_be_traced_also_for_the_memory_of_training():
    cost = cnnlib.trace(shallow(), (1, 32, 32))
    assert cost.training_memory > 0
