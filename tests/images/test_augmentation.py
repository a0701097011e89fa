"""Random changes to batches of images."""

import math
import pickle

import pytest
import torch
from torch.nn import functional as F
from toys import generator

from cnnlib.images import augmentation


def test_a_flip_mirrors_about_half_of_the_images_and_nothing_else():
    x = torch.rand(400, 1, 3, 5)
    y = augmentation.flip(x, generator())
    same, mirrored = ((y == z).flatten(1).all(1) for z in (x, x.flip(3)))
    assert (same ^ mirrored).all() and 150 < mirrored.sum() < 250
    assert torch.equal(y, augmentation.flip(x, generator())) and not torch.equal(
        y, augmentation.flip(x, generator(1))
    )


def test_a_crop_is_a_window_of_the_padded_image():
    x = torch.rand(50, 2, 6, 6) + 1
    y = augmentation.crop(2)(x, generator())
    padded = F.pad(x, (2, 2, 2, 2))
    places = set()
    for before, after in zip(padded, y, strict=True):
        at = [
            (i, j) for i in range(5) for j in range(5) if torch.equal(before[:, i : i + 6, j : j + 6], after)
        ]
        assert len(at) == 1
        places.add(at[0])
    assert len(places) > 15  # of 25
    with pytest.raises(ValueError, match="pad=0"):
        augmentation.crop(0)


def test_colour_noise_lies_along_the_principal_axes():
    axis = torch.tensor([3.0, 2.0, 1.0]) / math.sqrt(14)
    grey = torch.randn(64, 1, 8, 8)
    images = grey * axis[:, None, None] * 2  # all variance, 4, along one axis
    shift = augmentation.colour_pca(images)(images, generator()) - images
    assert torch.allclose(shift, shift[..., :1, :1].expand_as(shift), atol=1e-5)  # one colour an image
    along = shift[..., 0, 0] @ axis
    assert torch.allclose(along[:, None] * axis, shift[..., 0, 0], atol=1e-4)
    assert 0.1 < along.std() < 0.3  # 0.1 times the root of 4
    with pytest.raises(ValueError, match="need RGB"):
        augmentation.colour_pca(grey)


def test_changes_can_be_sent_to_another_process():
    x = torch.rand(4, 3, 6, 6)
    for change in (augmentation.flip, augmentation.crop(1), augmentation.colour_pca(x)):
        there = pickle.loads(pickle.dumps(change))
        assert torch.equal(there(x, generator()), change(x, generator()))
