"""What the chapter on batch normalisation says of its stored run and of fresh networks, by other means."""

from statistics import median

import pytest
import torch
from torch import nn

import cnnlib
from cnnlib import datasets, runs
from cnnlib.insight import signals
from cnnlib.models import ablation, layers, resnet
from cnnlib.training.evaluation import seeded


def accuracy(side, second):
    """Test accuracy in the last epoch, in per cent: seed -> one number."""
    kept = runs.sides(runs.load("vgg-depth", second))[side]
    return {run["seed"]: 100 * run["rows"][-1]["valid_acc"] for run in kept}


@pytest.mark.parametrize(("second", "gains"), [(False, (4.6, 8.9)), (True, (3.5, 7.4))])
def test_the_layer_helps_at_both_depths_by_what_the_page_says(second, gains):
    for depth, gain in zip((11, 19), gains, strict=True):
        off, on = accuracy(f"vgg{depth}", second), accuracy(f"vgg{depth} + BN", second)
        found = [on[seed] - off[seed] for seed in off]
        middle = median(found) if (depth, second) == (19, False) else sum(found) / len(found)
        assert middle == pytest.approx(gain, abs=0.06)


def test_a_head_half_way_brings_gradient_only_where_nothing_is_normalised():
    """By the package's own loss of heads, on images that the page does not take."""
    images, _ = datasets.fashion_14()
    x, y = images.x[1000:1128], images.y[1000:1128]

    def first_length(net, weight):
        half = []
        net.layer2.register_forward_hook(lambda module, args, out: half.append(out))
        with seeded(7):
            read = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 10))
        told = signals.weight_gradients(
            net, x, y, lambda logits, y: layers.auxiliary_loss((logits, read(half[-1])), y, weight)
        )
        return told["conv1"].norm().item()

    for seed in range(3, 6):
        with seeded(seed):
            net = cnnlib.build("plain56_w8")
        bare = ablation.without_norm(net)
        assert first_length(net, 0.3) < 1.1 * first_length(net, 0.0)
        assert first_length(bare, 0.3) > 2 * first_length(bare, 0.0)


def test_the_border_shrinks_the_signal_and_the_width_does_not():
    """The signal after the last stage, on other seeds than the page's: only the padding differs."""
    images, _ = datasets.fashion_14()

    def size(width, border):
        found = []
        for seed in range(20, 25):
            with seeded(seed), torch.no_grad():
                plan = resnet.three_stages(56, resnet.plain(resnet.basic), width)
                net = ablation.without_norm(resnet.cifar(plan, 10, 1))
                for conv in (m for m in net.modules() if isinstance(m, nn.Conv2d)):
                    conv.padding_mode = border
                found.append(net[:-3](images.x[:32]).square().mean().sqrt().item())
        return median(found)

    zeros = [size(width, "zeros") for width in (8, 32)]
    wrapped = [size(width, "circular") for width in (8, 32)]
    assert all(w > 10 * z for w, z in zip(wrapped, zeros, strict=True))
    assert zeros[1] < 10 * zeros[0]
