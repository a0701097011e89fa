"""ZFNet: AlexNet with smaller windows and steps at the start, found by looking at what its units see.

Zeiler, Fergus: Visualizing and understanding convolutional networks. 2013. https://arxiv.org/abs/1311.2901
"""

from __future__ import annotations

from functools import partial

from torch import nn

from cnnlib.models.init import fan_in_normal
from cnnlib.models.layers import LocalResponseNorm, chain
from cnnlib.models.network import DIGIT, IMAGENET, Entry

# Channels of the third to fifth convolution: those of Fig. 3, and the wide ones of Table 3, which did best.
WIDTHS = {"zfnet": (384, 384, 256), "zfnet_512_1024_512": (512, 1024, 512)}


def zfnet(widths: tuple[int, int, int], num_classes: int = 1000, in_channels: int = 3) -> nn.Sequential:
    """(N, in_channels, 224, 224) -> (N, num_classes) logits (Fig. 3).

    Four things differ from AlexNet: the first window is 7 wide, not 11; the first stride is 2, not 4, which left
    gaps and aliases (sec. 4.1); no convolution has groups (sec. 3); and response normalisation follows the pool. Its
    constants, of which the paper prints none, are AlexNet's. The pools of the figure, 110 -> 55 and 26 -> 13, round up.
    """
    third, fourth, fifth = widths
    features = nn.Sequential(
        nn.Conv2d(in_channels, 96, 7, stride=2, padding=1), nn.ReLU(inplace=True),  # 110
        nn.MaxPool2d(3, 2, ceil_mode=True), LocalResponseNorm(),  # 55
        nn.Conv2d(96, 256, 5, stride=2), nn.ReLU(inplace=True),  # 26
        nn.MaxPool2d(3, 2, ceil_mode=True), LocalResponseNorm(),  # 13
        nn.Conv2d(256, third, 3, padding=1), nn.ReLU(inplace=True),
        nn.Conv2d(third, fourth, 3, padding=1), nn.ReLU(inplace=True),
        nn.Conv2d(fourth, fifth, 3, padding=1), nn.ReLU(inplace=True),
        nn.MaxPool2d(3, 2),  # 6
    )  # fmt: skip
    classifier = nn.Sequential(
        nn.Linear(fifth * 36, 4096), nn.ReLU(inplace=True), nn.Dropout(),
        nn.Linear(4096, 4096), nn.ReLU(inplace=True), nn.Dropout(),
        nn.Linear(4096, num_classes),
    )  # fmt: skip
    net = chain(features=features, flatten=nn.Flatten(), classifier=classifier)
    for module in net.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.normal_(module.weight, std=0.01)  # sec. 3, read as a standard deviation
            nn.init.zeros_(module.bias)
    return net


def small(
    num_classes: int = 10, in_channels: int = 1, *, kernel: int = 5, strides: tuple[int, int] = (1, 2)
) -> nn.Sequential:
    """ZFNet's plan at 28 pixels, 0.24 M parameters: (N, in_channels, 28, 28) -> (N, num_classes) logits.

    ``kernel``: window of the first convolution, odd. ``strides`` of the first two: ZFNet moves the second step of
    its downsampling from the first convolution to the second, so ``kernel=9, strides=(2, 1)`` is AlexNet's start on
    this scale, with the same maps from the second pool on. Weights start normal with variance 2 / fan-in (He et al.
    2015): eight layers without normalisation stand still for epochs from a smaller start.
    """
    first, second = strides
    features = nn.Sequential(
        nn.Conv2d(in_channels, 20, kernel, first, kernel // 2), nn.ReLU(inplace=True),  # 28
        nn.MaxPool2d(3, 2, ceil_mode=True), LocalResponseNorm(),  # 14
        nn.Conv2d(20, 52, 5, second, 2), nn.ReLU(inplace=True),  # 7
        nn.MaxPool2d(3, 2, 1), LocalResponseNorm(),  # 4
        nn.Conv2d(52, 80, 3, padding=1), nn.ReLU(inplace=True),
        nn.Conv2d(80, 80, 3, padding=1), nn.ReLU(inplace=True),
        nn.Conv2d(80, 52, 3, padding=1), nn.ReLU(inplace=True),
        nn.MaxPool2d(2, 2),  # 2
    )  # fmt: skip
    classifier = nn.Sequential(
        nn.Linear(208, 200), nn.ReLU(inplace=True), nn.Dropout(),
        nn.Linear(200, 200), nn.ReLU(inplace=True), nn.Dropout(),
        nn.Linear(200, num_classes),
    )  # fmt: skip
    return fan_in_normal(chain(features=features, flatten=nn.Flatten(), classifier=classifier))


NETWORKS = {
    **{name: Entry(partial(zfnet, widths), IMAGENET, 223, 254) for name, widths in WIDTHS.items()},
    "zfnet_small": Entry(small, DIGIT, 26, 41),
}
