"""Recipes of papers for large folders of images, by name: the images, how they are cropped, and the settings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torchvision import transforms

from cnnlib.images import ImageFolder, Stream, centre_crop, colour_pca, from_torchvision, random_scale_crop
from cnnlib.training.recipe import Cosine, Recipe, StepDecay

SAMPLE_SIZE = 1024  # images, evenly spread over the set, that the mean and the axes of colour are taken from
# Of ImageNet's pixels, as public weights expect them.
IMAGENET_MEAN = torch.tensor([0.485, 0.456, 0.406])[:, None, None]
IMAGENET_STD = torch.tensor([0.229, 0.224, 0.225])[:, None, None]


@dataclass(frozen=True)
class Setup:
    """All that ``train`` needs beside a network."""

    train_set: Stream
    valid_set: Stream
    recipe: Recipe


def resize_side(size: int) -> int:
    """The length that the shorter side of a validation image is resized to, before ``size`` is cut out: 256 for 224."""
    return round(size * 256 / 224)


def _statistics(images: Stream) -> tuple[Tensor, Tensor]:
    """The mean image (C, H, W), and every fourth pixel of the sample it is taken from, (N, C, H/4, W/4)."""
    chosen = torch.linspace(0, len(images) - 1, min(SAMPLE_SIZE, len(images))).round().long()
    total, pixels = torch.zeros(()), []
    for x, _ in images.batches(chosen.split(32), 0):
        total = total + x.sum(0)
        pixels.append(x[:, :, ::4, ::4].clone())
    return total / len(chosen), torch.cat(pixels)


def imagenet_2015(train: ImageFolder, valid: ImageFolder, size: int, workers: int = 0) -> Setup:
    """He et al. 2016 (arXiv:1512.03385), sec. 3.4, for images of ``size`` (the paper: 224), read by ``workers``.

    The shorter side at random in [256, 480], a random crop or its mirror image, the mean of each pixel taken off,
    AlexNet's colour change; SGD with momentum 0.9 and decay 1e-4 on batches of 256; rate 0.1, divided by 10 when
    the error stands still, which Fig. 4 shows at 150,000 and 300,000 of at most 600,000 steps, 120 passes over
    ImageNet. Judged on the centre of images whose shorter side is 256, where the paper's tables have ten crops.
    """
    short, long = resize_side(size), round(size * 480 / 224)
    plain = Stream(train, train.classes, centre_crop(short, size), workers)
    mean, pixels = _statistics(plain)
    recipe = Recipe(
        120, StepDecay(0.1, (0.25, 0.5)), batch=256, momentum=0.9, decay=1e-4, augment=(colour_pca(pixels),)
    )
    return Setup(
        replace(plain, transform=random_scale_crop(short, long, size), mean=mean),
        Stream(valid, valid.classes, plain.transform, workers, mean),
        recipe,
    )


def imagenet_2021(train: ImageFolder, valid: ImageFolder, size: int, workers: int = 0) -> Setup:
    """torchvision's recipe of 2021 for images of ``size`` (there: 224), without CutMix and repeated augmentation.

    Random crops of any area and shape at 176/224 of the size, mirrored or not, TrivialAugment and random erasing;
    mixup, smoothed labels; SGD with momentum 0.9, and decay 2e-5 that spares norms and biases, on batches of 1024;
    rate 0.5, reached in 5 of 600 passes and lowered by a cosine; the running mean of the weights is judged, on the
    centre of images whose shorter side is 232.
    https://pytorch.org/blog/how-to-train-state-of-the-art-models-using-torchvision-latest-primitives/
    """
    mean = IMAGENET_MEAN.flatten().tolist()
    learned = transforms.Compose(
        [
            transforms.RandomResizedCrop(round(size * 176 / 224)),
            transforms.RandomHorizontalFlip(),
            transforms.TrivialAugmentWide(),
            transforms.ToTensor(),
            transforms.RandomErasing(0.1, value=mean),
        ]
    )
    recipe = Recipe(
        600, Cosine(0.5, warmup=5 / 600), batch=1024, momentum=0.9, decay=2e-5, decay_norms=False,
        label_smoothing=0.1, mixup=0.2, ema=0.99997,
    )  # fmt: skip
    judged = centre_crop(round(size * 232 / 224), size)
    train_set, valid_set = (
        Stream(part, part.classes, transform, workers, IMAGENET_MEAN, IMAGENET_STD)
        for part, transform in ((train, from_torchvision(learned)), (valid, judged))
    )
    return Setup(train_set, valid_set, recipe)


RECIPES: dict[str, Callable[[ImageFolder, ImageFolder, int, int], Setup]] = {
    "imagenet-2015": imagenet_2015,
    "imagenet-2021": imagenet_2021,
}
