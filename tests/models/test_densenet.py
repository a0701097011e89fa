"""DenseNet: what a layer reads, what compression does, and memory that is given back without a trace."""

import copy

import pytest
import torch
from torch import nn
from twins import filled, noise, on_meta, order

import cnnlib
from cnnlib.models import densenet


def layer(bottleneck=True, efficient=False):
    torch.manual_seed(0)
    return densenet.DenseLayer(6, 4, bottleneck, efficient)


def test_a_layer_is_norm_relu_convolution_once_or_twice():
    assert order(layer(True).children()) == "bn relu conv bn relu conv"
    assert order(layer(False).children()) == "bn relu conv"
    assert layer(True).conv1.kernel_size == (1, 1) and layer(True).conv1.out_channels == 4 * 4
    assert layer(False).conv1.kernel_size == (3, 3)


def test_a_block_keeps_what_came_in_and_each_layer_reads_all_before_it():
    torch.manual_seed(0)
    block = densenet.DenseBlock(
        {f"denselayer{j + 1}": densenet.DenseLayer(6 + 4 * j, 4, True, False) for j in range(3)}
    )
    block.eval()
    x = noise(2, 6, 5, 5)
    y = by_hand = x
    for part in block.values():
        z = part.conv1(part.norm1(by_hand).relu())
        by_hand = torch.cat([by_hand, part.conv2(part.norm2(z).relu())], 1)
    y = block(x)
    assert torch.equal(y, by_hand) and torch.equal(y[:, :6], x) and y.shape[1] == 6 + 3 * 4


def test_transitions_halve_the_side_and_with_compression_the_channels():
    for name, widths in (
        ("densenet121", (256, 512, 1024)),
        ("densenet_bc_100_12", (216, 300)),
        ("densenet_40_12", (160, 304)),
    ):
        features = on_meta(name).features
        moves = [m for n, m in features.named_children() if n.startswith("transition")]
        assert tuple(m.conv.in_channels for m in moves) == widths
        for move in moves:
            assert order(move) == "bn relu conv AvgPool2d"
            assert move.conv.out_channels == move.conv.in_channels // (1 if name == "densenet_40_12" else 2)


def test_depth_counts_convolutions_and_the_linear_layer():
    for name, depth in (("densenet_40_12", 40), ("densenet_bc_100_12", 100), ("densenet121", 121)):
        assert sum(isinstance(m, nn.Conv2d | nn.Linear) for m in on_meta(name).modules()) == depth


# ---- memory ----


def trained(efficient, name="densenet_small"):
    torch.manual_seed(0)
    net = cnnlib.build(name, efficient=efficient).train()
    torch.manual_seed(1)
    y = net(noise(4, 1, 28, 28))
    y.square().sum().backward()
    return net, y


def test_the_memory_efficient_form_has_the_same_answers_gradients_and_statistics():
    (plain, a), (thrifty, b) = trained(False), trained(True)
    assert torch.equal(a, b)
    for (name, p), q in zip(plain.named_parameters(), thrifty.parameters(), strict=True):
        assert torch.equal(p.grad, q.grad), name
    for (name, p), q in zip(plain.named_buffers(), thrifty.named_buffers(), strict=True):
        assert torch.equal(p, q[1]), name  # making the maps again counts no batch twice
    assert torch.equal(plain.eval()(noise(1, 1, 28, 28)), thrifty.eval()(noise(1, 1, 28, 28)))


def saved(depth, efficient):
    """Bytes that autograd keeps for one block of `depth` layers."""
    block = densenet.DenseBlock(
        {f"denselayer{j + 1}": densenet.DenseLayer(8 + 8 * j, 8, True, efficient) for j in range(depth)}
    )
    kept = {}

    def keep(tensor):
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    held = {p.untyped_storage().data_ptr() for p in [*block.parameters(), *block.buffers()]}
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        y = block.train()(noise(1, 8, 16, 16).requires_grad_())
    assert y.requires_grad
    return sum(size for place, size in kept.items() if place not in held)


def test_its_memory_grows_with_the_depth_and_not_with_the_square():
    plain, thrifty = ([saved(n, efficient) for n in (8, 16, 32)] for efficient in (False, True))

    def bend(sizes):
        """How much more the second doubling adds than the first: 2 for a line, 4 for a square."""
        return (sizes[2] - sizes[1]) / (sizes[1] - sizes[0])

    assert bend(plain) > 2.5 and bend(thrifty) < 2.2
    assert thrifty[2] < 0.5 * plain[2]


def test_recomputing_is_off_where_no_gradient_is_asked_for():
    net = cnnlib.build("densenet_small", efficient=True).train()
    with torch.no_grad():
        net(noise(2, 1, 28, 28))
    assert all(m.num_batches_tracked == 1 for m in net.modules() if isinstance(m, nn.BatchNorm2d))
    copy.deepcopy(net).eval()(noise(2, 1, 28, 28)).sum().backward()


def test_a_network_with_other_statistics_answers_otherwise():
    """The witness of the test above can fail."""
    a, b = filled(cnnlib.build("densenet_small"), 0), filled(cnnlib.build("densenet_small"), 1)
    assert not torch.allclose(a.eval()(noise(1, 1, 28, 28)), b.eval()(noise(1, 1, 28, 28)))


@pytest.mark.parametrize(
    ("plan", "depth", "words"),
    [
        (densenet.plain_plan, 41, r"3n \+ 4, such as 40 or 43"),
        (densenet.compressed_plan, 99, r"6n \+ 4, such as 94 or 100"),
    ],
)
def test_depths_that_do_not_fit_are_refused_with_the_rule(plan, depth, words):
    with pytest.raises(ValueError, match=words):
        plan(depth, 12)
