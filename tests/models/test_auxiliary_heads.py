"""The loss of a network with several exits, and what it does to the gradients below them."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from cnnlib import probe
from cnnlib.models import layers as heads
from cnnlib.models.layers import WithAuxiliaryHeads


def test_heads_count_with_their_weight():
    torch.manual_seed(0)
    main, one, two = torch.randn(3, 4, 5)
    y = torch.tensor([0, 1, 2, 3])
    terms = [F.cross_entropy(logits, y) for logits in (main, one, two)]
    assert torch.isclose(heads.auxiliary_loss((main, one, two), y), terms[0] + 0.3 * (terms[1] + terms[2]))
    assert torch.isclose(heads.auxiliary_loss((main, one), y, weight=1.0), terms[0] + terms[1])


def test_logits_alone_give_plain_cross_entropy():
    logits, y = torch.randn(4, 5), torch.tensor([0, 1, 2, 3])
    assert heads.auxiliary_loss(logits, y) == F.cross_entropy(logits, y)


@pytest.fixture
def two_exits():
    torch.manual_seed(0)
    layers = dict(
        a=nn.Linear(6, 6), act=nn.Tanh(), side=nn.Linear(6, 3), b=nn.Linear(6, 6), c=nn.Linear(6, 3)
    )
    return WithAuxiliaryHeads(layers, {"act": "side"}, lambda *told: told)


def test_a_head_moves_the_gradient_below_it_and_not_above(two_exits):
    """The gradient of a sum is the sum of gradients: here by autograd on each term."""
    x, y = torch.randn(8, 6), torch.arange(8) % 3
    norms = {
        w: {
            r.name: r.norm
            for r in probe.gradient_norms(two_exits, x, y, lambda a, y, w=w: heads.auxiliary_loss(a, y, w))
        }
        for w in (0.0, 0.3)
    }
    assert norms[0.3]["a"] != norms[0.0]["a"] and norms[0.0]["side"] == 0 < norms[0.3]["side"]
    assert norms[0.3]["b"] == norms[0.0]["b"] and norms[0.3]["c"] == norms[0.0]["c"]
    main, side = two_exits.train()(x)
    weight = two_exits.a.weight
    (from_main,) = torch.autograd.grad(F.cross_entropy(main, y), weight, retain_graph=True)
    (from_side,) = torch.autograd.grad(F.cross_entropy(side, y), weight)
    assert norms[0.3]["a"] == pytest.approx((from_main + 0.3 * from_side).norm().item(), rel=1e-5)
