"""The sheet of batch normalisation: its solutions against torch's layer, and the numbers of its text."""

import copy
import math
import random

import pytest
import torch
from solving import opened
from torch import nn
from torch.nn import functional as F

from cnnlib.grading.sheets import batchnorm as sheet


@pytest.fixture(scope="module")
def own():
    return opened("batchnorm")


def test_batches_until_is_where_the_formula_crosses(own):
    for gap, momentum in ((0.01, 0.1), (0.3, 0.05), (0.5, 0.5)):
        wanted = math.ceil(math.log(gap) / math.log(1 - momentum) - 1e-9)
        assert own.reference["batches_until"](gap, momentum) == wanted


def test_batch_norm_is_torch_s_over_several_batches(own):
    torch.manual_seed(0)
    norm = nn.BatchNorm2d(3).double()
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    mean, var = torch.zeros(3, dtype=torch.float64), torch.ones(3, dtype=torch.float64)
    for training in (True, True, False):
        x = 5 * torch.randn(2, 3, 2, 2, dtype=torch.float64) + 1
        norm.train(training)
        out, mean, var = own.reference["batch_norm"](x, norm.weight, norm.bias, mean, var, training)
        assert torch.allclose(out, norm(x))
        assert torch.allclose(mean, norm.running_mean) and torch.allclose(var, norm.running_var)


def test_the_folded_convolution_does_what_both_did(own):
    torch.manual_seed(0)
    norm, conv = nn.BatchNorm2d(3).double(), nn.Conv2d(3, 4, 3).double()
    norm(3 * torch.randn(8, 3, 6, 6, dtype=torch.float64) + 1)
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    norm.eval()
    x = torch.randn(2, 3, 6, 6, dtype=torch.float64)
    for bias in (conv.bias, None):
        w, b = own.reference["fold_front"](
            norm.weight, norm.bias, norm.running_mean, norm.running_var, norm.eps, conv.weight, bias
        )
        assert torch.allclose(F.conv2d(x, w, b), F.conv2d(norm(x), conv.weight, bias))


def test_company_matters_in_training_only_and_leaves_the_network_alone(own):
    net = sheet.small_net(1.0, 3)
    x = torch.randn(4, 1, 4, 4, dtype=torch.float64)
    for training in (True, False):
        before = copy.deepcopy(net.train(training).state_dict())
        found = own.reference["company"](net, x)
        assert bool((found > 0).all()) is training and found.shape == (4,)
        assert all(torch.equal(before[k], v) for k, v in net.state_dict().items())


def test_the_long_run_deviation_is_that_of_a_running_mean():
    """By following one: batch means of variance 1/batch, momentum m."""
    rng, momentum, batch = random.Random(0), 0.2, 40
    mean, seen = 0.0, []
    for _ in range(40_000):
        mean += momentum * (rng.gauss(0, 1 / math.sqrt(batch)) - mean)
        seen.append(mean)
    measured = math.sqrt(sum(v * v for v in seen) / len(seen))
    assert measured == pytest.approx(math.sqrt(momentum / (2 - momentum) / batch), rel=0.05)


def test_pytorch_s_momentum_does_not_fit_the_budget(own):
    assert sheet.steady((64, 0.1), None, own.constants | {}) and not sheet.steady(
        own.reference["settings"](), None, own.constants
    )
