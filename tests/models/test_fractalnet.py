"""FractalNet: the expansion rule, joins as means, and drop-path in both its forms."""

import pytest
import torch
from torch import nn
from twins import noise, on_meta

import cnnlib
from cnnlib.models import fractalnet
from cnnlib.models.fractalnet import DropPath, Fractal


def small(columns=3):
    torch.manual_seed(0)
    return fractalnet.fractalnet(columns, (4, 6), in_channels=1)


def convs(module):
    return [m for m in module.modules() if isinstance(m, nn.Conv2d)]


@pytest.mark.parametrize("columns", [1, 2, 3, 4])
def test_a_fractal_has_2_to_the_c_minus_1_convolutions_and_is_2_to_the_c_minus_1_deep(columns):
    fractal = Fractal(3, 5, columns, DropPath(columns))
    assert len(convs(fractal)) == 2**columns - 1
    assert [len(fractal.column(i)) for i in range(columns)] == [2**i for i in range(columns)]
    assert len(fractal.eval()(noise(1, 3, 4, 4))) == columns


def test_the_block_of_three_columns_by_hand():
    """Fig. 1: the deepest two columns meet in the middle, all three at the end, each with equal weight."""
    net = small().eval()
    f = net.block1.fractal
    x = noise(2, 1, 8, 8)
    middle = (f.first.conv(x) + f.first.second.conv(f.first.first.conv(x))) / 2
    columns = (f.conv(x), f.second.conv(middle), f.second.second.conv(f.second.first.conv(middle)))
    assert torch.allclose(net.block1(x), sum(columns) / 3, atol=1e-6)


def test_every_convolution_is_normalised_then_rectified():
    for unit in small().block1.fractal.column(2):
        assert [type(m).__name__ for m in unit] == ["Conv2d", "BatchNorm2d", "ReLU"]


def test_depth_of_the_networks():
    for name, depth in (("fractalnet20", 20), ("fractalnet40", 40), ("fractalnet_small", 16)):
        net = on_meta(name)
        assert len(convs(fractalnet.column(net, -1))) == depth


# ---- drop-path ----


def mode(net, p_global):
    net.drop_path.p_global = p_global
    return net.train()


def joins(net, x):
    """Which columns, counted from the shortest of the network, each join of one forward kept."""
    kept, ask = [], DropPath.survivors

    def noted(self, n):
        alive = ask(self, n)
        kept.append((n, [self.columns - n + i for i in alive]))
        return alive

    DropPath.survivors = noted
    try:
        net(x)
    finally:
        DropPath.survivors = ask
    return kept


def test_a_global_step_keeps_the_same_column_at_every_join():
    net, seen = mode(small(4), 1.0), set()
    torch.manual_seed(0)
    for _ in range(40):
        kept = joins(net, noise(2, 1, 8, 8))
        column = net.drop_path.column
        assert all(alive == [column] for n, alive in kept if column >= 4 - n)
        assert sum(n == 4 for n, _ in kept) == 2  # both blocks end in a join of all columns
        seen.add(column)
    assert seen == {0, 1, 2, 3}


@pytest.mark.parametrize("column", [0, 1, 2])
def test_a_global_step_is_the_plain_network_of_its_column(column):
    net, x = mode(small(), 1.0), noise(4, 1, 8, 8)
    alone = fractalnet.column(net, column).train()
    torch.manual_seed(0)
    while True:
        y = net(x)
        if net.drop_path.column == column:
            break
    assert torch.equal(y, alone(x))
    net.zero_grad()
    y.square().sum().backward()
    learns = {n for n, p in net.named_parameters() if p.grad is not None and p.grad.any()}
    held = {id(p) for p in alone.parameters()}
    assert learns and learns <= {n for n, p in net.named_parameters() if id(p) in held}


def test_a_local_step_drops_15_percent_but_never_all():
    drop = DropPath(3, p_global=0.0).train()
    torch.manual_seed(0)
    drawn = [drop.survivors(3) for _ in range(4000)]
    assert all(drawn) and {len(d) for d in drawn} == {1, 2, 3}
    mean = sum(map(len, drawn)) / len(drawn) / 3
    assert mean == pytest.approx(0.85, abs=0.02)
    drop.rate = 1.0
    lonely = [drop.survivors(3) for _ in range(300)]
    assert {len(d) for d in lonely} == {1} and {d[0] for d in lonely} == {0, 1, 2}


@pytest.mark.parametrize("p_global", [0.0, 0.5, 1.0])
def test_drop_path_keeps_the_mean_of_a_join(p_global):
    drop, columns = DropPath(3, p_global=p_global), [noise(5, seed=i) for i in range(3)]
    torch.manual_seed(0)
    steps = []
    for _ in range(6000):
        drop.train()(columns[0])
        steps.append(fractalnet.join(columns, drop))
    assert (torch.stack(steps).mean(0) - sum(columns) / 3).abs().max() < 0.05
    assert torch.allclose(fractalnet.join(columns, drop.eval()), sum(columns) / 3)


def test_half_of_the_steps_are_global():
    drop = DropPath(3).train()
    torch.manual_seed(0)
    drawn = []
    for _ in range(2000):
        drop(torch.zeros(1))
        drawn.append(drop.column is not None)
    assert sum(drawn) / 2000 == pytest.approx(0.5, abs=0.04)


def test_steps_differ_follow_the_seed_and_stand_still_in_evaluation():
    net, x = small().train(), noise(2, 1, 8, 8)

    def steps(seed, n=8):
        torch.manual_seed(seed)
        return [net(x) for _ in range(n)]

    first, again = steps(0), steps(0)
    assert all(map(torch.equal, first, again)) and any(not torch.equal(y, first[0]) for y in first[1:])
    net.eval()
    before = torch.get_rng_state()
    assert torch.equal(net(x), net(x)) and torch.equal(before, torch.get_rng_state())


def test_all_columns_learn_within_some_steps():
    net = small().train()
    torch.manual_seed(0)
    for _ in range(12):
        net(noise(2, 1, 8, 8)).square().sum().backward()
    assert [n for n, p in net.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_a_column_shares_its_weights_with_the_network():
    net = small()
    deep = fractalnet.column(net, -1)
    assert deep.block1[0][0].weight is net.block1.fractal.column(2)[0][0].weight
    assert deep.eval()(noise(1, 1, 8, 8)).shape == (1, 10)
    assert "drop_path" not in dict(deep.named_children()) and "drop_path" in dict(net.named_children())


def test_memory_of_training_can_be_traced():
    assert cnnlib.trace(small(), (1, 8, 8)).training_memory > 0


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: fractalnet.fractalnet(0, (4,)), "columns=0"),
        (lambda: fractalnet.column(small(), 3), "columns 0 to 2"),
        (lambda: fractalnet.column(small(), -4), "i=-4"),
    ],
)
def test_columns_that_do_not_exist_are_refused(call, words):
    with pytest.raises(ValueError, match=words):
        call()
