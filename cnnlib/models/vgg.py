"""VGG: 3 x 3 windows everywhere, and depth.

Simonyan, Zisserman: Very deep convolutional networks for large-scale image recognition. 2014.
https://arxiv.org/abs/1409.1556
"""

from __future__ import annotations

from functools import partial

from torch import nn

from cnnlib.models.layers import chain
from cnnlib.models.network import DIGIT, IMAGENET, Entry

WIDTHS = (64, 128, 256, 512, 512)  # channels of each stage; a stage ends in a pool
# Table 1: convolutions in each stage. The number in a name counts them and the three linear layers.
DEPTHS = {
    "vgg11": (1, 1, 2, 2, 2),
    "vgg13": (2, 2, 2, 2, 2),
    "vgg16": (2, 2, 3, 3, 3),
    "vgg19": (2, 2, 4, 4, 4),
}


def stages(depths: tuple[int, ...], widths: tuple[int, ...], in_channels: int, norm: bool) -> nn.Sequential:
    """Convolutions of 3 x 3 that keep the size, each with its ReLU, and a pool that halves it behind each stage.

    (N, in_channels, H, W) -> (N, widths[-1], H / 2^stages, W / 2^stages). ``norm``: batch normalisation between
    convolution and ReLU, which the paper of 2014 could not know.
    """
    layers: list[nn.Module] = []
    for depth, width in zip(depths, widths, strict=True):
        for _ in range(depth):
            layers.append(nn.Conv2d(in_channels, width, 3, padding=1))
            if norm:
                layers.append(nn.BatchNorm2d(width))
            layers.append(nn.ReLU(inplace=True))
            in_channels = width
        layers.append(nn.MaxPool2d(2, 2))
    return nn.Sequential(*layers)


def vgg(depths: tuple[int, ...], norm: bool, num_classes: int = 1000, in_channels: int = 3) -> nn.Sequential:
    """One column of Table 1: (N, in_channels, H, W) -> (N, num_classes) logits; H, W >= 32.

    Keys of the state dict are torchvision's. Weights start normal with variance 2 / fan-out (He et al. 2015), since
    the paper had to start its deep networks from the weights of a shallow one (sec. 3.1).
    """
    net = chain(
        features=stages(depths, WIDTHS, in_channels, norm),
        avgpool=nn.AdaptiveAvgPool2d(7),
        flatten=nn.Flatten(),
        classifier=nn.Sequential(
            nn.Linear(512 * 7 * 7, 4096), nn.ReLU(inplace=True), nn.Dropout(),
            nn.Linear(4096, 4096), nn.ReLU(inplace=True), nn.Dropout(),
            nn.Linear(4096, num_classes),
        ),
    )  # fmt: skip
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=0.01)
            nn.init.zeros_(module.bias)
    return net


def small(num_classes: int = 10, in_channels: int = 1) -> nn.Sequential:
    """VGG's plan at 28 pixels, 0.25 M parameters: (N, in_channels, 28, 28) -> (N, num_classes) logits."""
    return chain(
        features=stages((1, 2, 2), (16, 32, 64), in_channels, norm=False),
        flatten=nn.Flatten(),
        classifier=nn.Sequential(
            nn.Linear(64 * 3 * 3, 272), nn.ReLU(), nn.Dropout(), nn.Linear(272, num_classes)
        ),
    )


def twin(depths: tuple[int, ...], norm: bool) -> nn.Sequential:
    """A column of Table 1 with all its layers, a sixteenth of the channels and images in a frame of 32 pixels.

    (N, 1, 28, 28) -> (N, 10) logits. Without dropout.
    """
    widths = tuple(width // 16 for width in WIDTHS)
    return chain(
        frame=nn.ZeroPad2d(2),
        features=stages(depths, widths, 1, norm),
        flatten=nn.Flatten(),
        classifier=nn.Sequential(
            nn.Linear(widths[-1], 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10)
        ),
    )


def windows(
    kernel: int, depth: int, width: int, between: type[nn.Module] = nn.ReLU, norm: bool = False
) -> nn.Sequential:
    """The comparison of sec. 2.3: twice ``depth`` layers of ``kernel`` x ``kernel``, width to width.

    (N, 1, 28, 28) -> (N, 10) logits, through maps of 14 and 7 pixels. A 3 x 3 layer in front makes the channels;
    the mean of each reaches the classifier. ``between``: what stands between the layers of one pixel size.
    ``norm``: batch normalisation behind each convolution.
    """

    def conv(c_in: int, size: int) -> list[nn.Module]:
        layer = nn.Conv2d(c_in, width, size, padding=size // 2)
        return [layer, nn.BatchNorm2d(width)] if norm else [layer]

    layers = [*conv(1, 3), nn.ReLU()]
    for _ in range(2):
        layers.append(nn.MaxPool2d(2, 2))
        for left in reversed(range(depth)):
            layers += [*conv(width, kernel), between() if left else nn.ReLU()]
    return chain(
        features=nn.Sequential(*layers),
        avgpool=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten(), fc=nn.Linear(width, 10),
    )  # fmt: skip


NETWORKS = {
    **{name: Entry(partial(vgg, depths, False), IMAGENET, 32) for name, depths in DEPTHS.items()},
    **{f"{name}_bn": Entry(partial(vgg, depths, True), IMAGENET, 32) for name, depths in DEPTHS.items()},
    "vgg_small": Entry(small, DIGIT, 24, 31),
}
