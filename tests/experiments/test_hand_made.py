"""Histograms of oriented gradients, against stripes whose direction is known and against a loop over pixels."""

import math

import pytest
import torch

from cnnlib.experiments.before_2014 import HOG


def stripes(angle, side=28):
    """A soft wave whose gradient runs in the direction ``angle``."""
    y, x = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    return torch.sin(0.5 * (x * math.cos(angle) + y * math.sin(angle)))[None, None]


@pytest.mark.parametrize("k", range(9))
def test_stripes_fill_their_direction(k):
    found = HOG()(stripes((k + 0.5) * math.pi / 9)).view(9, 4, 36).square().sum((1, 2))
    assert found.argmax() == k and found[k] > 0.5 * found.sum()


def test_contrast_does_not_matter_and_nothing_learns():
    x = torch.rand(3, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    assert HOG()(x).shape == (3, 1296) and not list(HOG().parameters())
    assert torch.allclose(HOG()(x), HOG()(3 * x + 1), atol=2e-3)


def test_a_cell_is_what_a_loop_over_its_pixels_says():
    x = torch.rand(1, 1, 8, 8, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    image, cells = x[0, 0], torch.zeros(9, 2, 2, dtype=torch.float64)
    for i in range(8):
        for j in range(8):
            dx = image[i, min(j + 1, 7)] - image[i, max(j - 1, 0)]
            dy = image[min(i + 1, 7), j] - image[max(i - 1, 0), j]
            place = (math.atan2(dy, dx) % math.pi) * 9 / math.pi - 0.5
            below = math.floor(place)
            for k, share in ((below, 1 - (place - below)), (below + 1, place - below)):
                cells[k % 9, i // 4, j // 4] += share * math.hypot(dx, dy) / 16
    expected = cells.flatten(1) / (cells.square().sum() + 1e-4).sqrt()
    assert torch.allclose(HOG()(x).view(9, 4), expected, atol=1e-9)
