"""What the chapter on ZFNet says, asked again of the stored runs, the real weights and the package's counts."""

import pytest
import torch
from torch.nn import functional as F

import cnnlib
from cnnlib import datasets, probe, runs, training


@pytest.fixture(scope="module")
def photos():
    squares = torch.stack([datasets.photo(name)[:, 16:272, 16:272] / 255 for name in datasets.PHOTOS])
    return squares - squares.mean((0, 2, 3), keepdim=True)


@pytest.fixture(scope="module")
def filters():
    return cnnlib.build("squeezenet1_1", weights="bundled").features[0].weight.detach()


def too_fine(maps, stride):
    return probe.aliased_share(maps, stride).median().item()


def test_trained_filters_look_for_what_a_stride_of_four_cannot_carry_and_random_ones_do_not(photos, filters):
    maps = F.conv2d(photos, filters)
    pixels, two, four = too_fine(photos, 4), too_fine(maps, 2), too_fine(maps, 4)
    assert pixels < 0.15 < two and 3 * two < four + 0.05 and four > 0.5
    for seed in range(3):
        with training.seeded(seed):
            random = torch.randn_like(filters)
        assert too_fine(F.conv2d(photos, random), 4) < 0.2


def test_a_blur_takes_the_aliasing_and_leaves_a_quarter_of_the_energy(photos, filters):
    sharp, soft = F.conv2d(photos, filters), F.conv2d(F.avg_pool2d(photos, 9, 1), filters)
    left = soft.var((0, 2, 3)) / sharp[..., 4:-4, 4:-4].var((0, 2, 3))
    assert too_fine(soft, 4) < 0.03 and 0.1 < left.median() < 0.5


def test_before_training_a_channel_gathers_a_class_better_than_chance():
    test = datasets.fashion_mnist()[1]
    with training.seeded(0):
        net = cnnlib.build("zfnet_small")
        lots = [test.y[torch.randperm(len(test))[:9]] for _ in range(500)]
    maps = probe.activations(net, test.x, ["features.13"])["features.13"].amax((2, 3))
    gathered = [int(test.y[best].bincount().max()) for best in maps.topk(9, dim=0).indices.T]
    by_lot = [int(y.bincount().max()) for y in lots]
    assert sum(gathered) / len(gathered) > sum(by_lot) / len(by_lot) + 1


def test_a_picture_of_an_untrained_network_resembles_its_own_image_and_no_other():
    """Correlation, pixel by pixel, of the positive part; the control of the chapter, on four channels."""

    def alike(pictures, images):
        a, b = (m.flatten(1) - m.flatten(1).mean(1, keepdim=True) for m in (pictures, images))
        return F.cosine_similarity(a, b).mean().item()

    test = datasets.fashion_mnist()[1]
    with training.seeded(0):
        net = cnnlib.build("zfnet_small")
        others = test.x[torch.randperm(len(test))]
    layer, own, other = "features.13", [], []
    for channel in range(0, 52, 13):
        of = probe.top_images(net, test.x, layer, channel)
        seen = probe.deconvnet(net, test.x[of], layer, channel).clamp_min(0)
        own.append(alike(seen, test.x[of]))
        other.append(alike(seen, others[of]))
    assert sum(own) > sum(other) + 0.5 and sum(own) / 4 > 0.25
    assert abs(alike(torch.full_like(test.x[:9], 0.5), test.x[:9])) < 0.01  # grey resembles nothing


def test_the_lowest_value_of_an_occlusion_map_depends_on_its_grid():
    """On the strip of the coffee photo that holds the worst square."""
    weights = cnnlib.models.find_weights("squeezenet1_1", "bundled")
    net = cnnlib.build("squeezenet1_1", weights="bundled").eval()
    coffee = weights.transform(datasets.photo("coffee"))
    corners = [
        (56, 88),
        (72, 120),
    ]  # the lowest on the grid of 8 pixels, and on the one of 24 that starts at 0
    covered = coffee.repeat(3, 1, 1, 1)
    for image, (top, left) in zip(covered, corners, strict=False):
        image[:, top : top + 56, left : left + 56] = 0
    with torch.no_grad():
        chances = net(covered).softmax(1)[:, weights.classes.index("espresso")]
    fine, coarse, whole = chances.tolist()
    assert fine < coarse - 0.1 and coarse < whole - 0.3


def test_memory_did_not_let_the_groups_go():
    with torch.device("meta"):
        nets = {name: cnnlib.build(name) for name in ("alexnet_2012", "zfnet")}
    costs = [cnnlib.trace(net, cnnlib.models.image_shape(name), batch=128) for name, net in nets.items()]
    alexnet, zfnet = ((c.training_memory + 3 * c.param_bytes) / 1e9 for c in costs)
    assert alexnet < zfnet < 3


@pytest.mark.parametrize("second", [False, True], ids=["first", "second"])
def test_no_difference_was_shown_between_the_starts(second):
    verdicts = runs.verdict("zfnet-start", second)
    assert [(v.a, v.b) for v in verdicts] == [
        ("small and dense", "large and dense"),
        ("large and dense", "large and coarse"),
        ("small and dense", "large and coarse"),
    ]
    assert all(v.word == "no difference shown" and -2 < v.low < v.high < 2 for v in verdicts)


def test_the_dense_start_holds_twice_the_memory_of_the_coarse_one():
    held = runs.load("zfnet-start")["step_bytes"]
    assert held["small and dense"] == held["large and dense"] > 2 * held["large and coarse"]
