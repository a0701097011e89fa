"""Inception-v4, and Inception-ResNet-v2, which adds its blocks to a shortcut: the same bill, sooner trained.

Szegedy, Ioffe, Vanhoucke, Alemi: Inception-v4, Inception-ResNet and the impact of residual connections on
learning. 2016. https://arxiv.org/abs/1602.07261
"""

from __future__ import annotations

from torch import Tensor, nn

from cnnlib.models.inception import COLUMN, IMAGE, ROW, same
from cnnlib.models.layers import Kernel, Parallel, chain, conv_bn_relu
from cnnlib.models.network import Entry

Step = tuple[int, Kernel]  # channels and window of a convolution that keeps the size


def path(c_in: int, *steps: Step, shrink: int | None = None) -> nn.Sequential:
    """Convolutions one after another; at the end one more of 3 x 3 and stride 2 to ``shrink`` channels."""
    layers = []
    for c_out, kernel in steps:
        layers.append(same(c_in, c_out, kernel))
        c_in = c_out
    if shrink:
        layers.append(conv_bn_relu(c_in, shrink, 3, 2))
    return nn.Sequential(*layers)


def mean_path(c_in: int, c_out: int) -> nn.Sequential:
    """A mean of the pixels in 3 x 3 that lie in the map, and a 1 x 1 convolution."""
    return nn.Sequential(nn.AvgPool2d(3, 1, padding=1, count_include_pad=False), same(c_in, c_out, 1))


# ---- Inception-v4 ----


def stem(in_channels: int) -> nn.Sequential:
    """Three shrinkings, the last two by a convolution and a pool side by side (Fig. 3): 299 -> 35 pixels."""
    return nn.Sequential(
        conv_bn_relu(in_channels, 32, 3, 2), conv_bn_relu(32, 32, 3), same(32, 64, 3),
        Parallel(pool=nn.MaxPool2d(3, 2), conv=conv_bn_relu(64, 96, 3, 2)),
        Parallel(
            branch0=nn.Sequential(same(160, 64, 1), conv_bn_relu(64, 96, 3)),
            branch1=nn.Sequential(*path(160, (64, 1), (64, ROW), (64, COLUMN)), conv_bn_relu(64, 96, 3)),
        ),
        Parallel(conv=conv_bn_relu(192, 192, 3, 2), pool=nn.MaxPool2d(3, 2)),
    )  # fmt: skip


def block_a() -> Parallel:
    """35 x 35 maps (Fig. 4): (N, 384, H, W) -> (N, 384, H, W)."""
    return Parallel(
        branch0=same(384, 96, 1),
        branch1=path(384, (64, 1), (96, 3)),
        branch2=path(384, (64, 1), (96, 3), (96, 3)),
        branch3=mean_path(384, 96),
    )


def block_b() -> Parallel:
    """17 x 17 maps (Fig. 5): (N, 1024, H, W) -> (N, 1024, H, W)."""
    return Parallel(
        branch0=same(1024, 384, 1),
        branch1=path(1024, (192, 1), (224, ROW), (256, COLUMN)),
        branch2=path(1024, (192, 1), (192, COLUMN), (224, ROW), (224, COLUMN), (256, ROW)),
        branch3=mean_path(1024, 128),
    )


def fork(c_in: int, c_out: int) -> Parallel:
    """A row and a column side by side."""
    return Parallel(a=same(c_in, c_out, (1, 3)), b=same(c_in, c_out, (3, 1)))


def block_c() -> Parallel:
    """8 x 8 maps (Fig. 6): (N, 1536, H, W) -> (N, 1536, H, W)."""
    return Parallel(
        branch0=same(1536, 256, 1),
        branch1=nn.Sequential(*path(1536, (384, 1)), fork(384, 256)),
        branch2=nn.Sequential(*path(1536, (384, 1), (448, (3, 1)), (512, (1, 3))), fork(512, 256)),
        branch3=mean_path(1536, 256),
    )


def inception_v4(num_classes: int = 1000, in_channels: int = 3) -> nn.Sequential:
    """Fig. 9, 42.7 M parameters: (N, in_channels, H, W) -> (N, num_classes) logits; H, W >= 75, made for 299."""
    reduce_a = Parallel(
        branch0=conv_bn_relu(384, 384, 3, 2),
        branch1=path(384, (192, 1), (224, 3), shrink=256),
        branch2=nn.MaxPool2d(3, 2),
    )
    reduce_b = Parallel(
        branch0=path(1024, (192, 1), shrink=192),
        branch1=path(1024, (256, 1), (256, ROW), (320, COLUMN), shrink=320),
        branch2=nn.MaxPool2d(3, 2),
    )
    features = nn.Sequential(
        *stem(in_channels),
        *(block_a() for _ in range(4)), reduce_a,
        *(block_b() for _ in range(7)), reduce_b,
        *(block_c() for _ in range(3)),
    )  # fmt: skip
    return with_classifier(1536, num_classes, features=features)


# ---- Inception-ResNet-v2 ----


class Scaled(nn.Module):
    """y = x + scale * F(x), F a few paths and a 1 x 1 convolution back to x's channels (Fig. 16, 17, 19).

    (N, C, H, W) -> (N, C, H, W). Wide residual blocks made training die out; scaling them down by 0.1 to 0.3
    cured it (sec. 3.3).
    """

    def __init__(self, paths: Parallel, width: int, channels: int, scale: float) -> None:
        super().__init__()
        self.paths, self.conv2d, self.scale = paths, nn.Conv2d(width, channels, 1), scale

    def forward(self, x: Tensor) -> Tensor:
        """A small step away from x."""
        return x + self.scale * self.conv2d(self.paths(x))

    def extra_repr(self) -> str:
        """The factor, as ``print(net)`` shows it."""
        return f"scale={self.scale}"


def residual_a(scale: float) -> Scaled:
    """35 x 35 maps (Fig. 16)."""
    paths = Parallel(
        branch0=same(320, 32, 1),
        branch1=path(320, (32, 1), (32, 3)),
        branch2=path(320, (32, 1), (48, 3), (64, 3)),
    )
    return Scaled(paths, 128, 320, scale)


def residual_b(scale: float) -> Scaled:
    """17 x 17 maps (Fig. 17)."""
    paths = Parallel(branch0=same(1088, 192, 1), branch1=path(1088, (128, 1), (160, ROW), (192, COLUMN)))
    return Scaled(paths, 384, 1088, scale)


def residual_c(scale: float) -> Scaled:
    """8 x 8 maps (Fig. 19)."""
    paths = Parallel(branch0=same(2080, 192, 1), branch1=path(2080, (192, 1), (224, (1, 3)), (256, (3, 1))))
    return Scaled(paths, 448, 2080, scale)


def repeated(block, times: int, scale: float) -> nn.Sequential:
    """The block so many times, rectified behind each sum."""
    return nn.Sequential(*(nn.Sequential(block(scale), nn.ReLU(inplace=True)) for _ in range(times)))


def inception_resnet_v2(num_classes: int = 1000, in_channels: int = 3) -> nn.Sequential:
    """Fig. 15, 55.8 M parameters: (N, in_channels, H, W) -> (N, num_classes) logits; H, W >= 75, made for 299.

    Blocks, widths and factors are those of the weights that Google published, whose front is Inception-v3's; the
    paper draws Inception-v4's, and prints 1154 and 2048 channels where they have 1088 and 2080.
    """
    mixed_5b = Parallel(
        branch0=same(192, 96, 1),
        branch1=path(192, (48, 1), (64, 5)),
        branch2=path(192, (64, 1), (96, 3), (96, 3)),
        branch3=mean_path(192, 64),
    )
    mixed_6a = Parallel(
        branch0=conv_bn_relu(320, 384, 3, 2),
        branch1=path(320, (256, 1), (256, 3), shrink=384),
        branch2=nn.MaxPool2d(3, 2),
    )
    mixed_7a = Parallel(
        branch0=path(1088, (256, 1), shrink=384),
        branch1=path(1088, (256, 1), shrink=288),
        branch2=path(1088, (256, 1), (288, 3), shrink=320),
        branch3=nn.MaxPool2d(3, 2),
    )
    return with_classifier(
        1536, num_classes,
        conv2d_1a=conv_bn_relu(in_channels, 32, 3, 2), conv2d_2a=conv_bn_relu(32, 32, 3), conv2d_2b=same(32, 64, 3),
        maxpool_3a=nn.MaxPool2d(3, 2), conv2d_3b=same(64, 80, 1), conv2d_4a=conv_bn_relu(80, 192, 3),
        maxpool_5a=nn.MaxPool2d(3, 2),
        mixed_5b=mixed_5b, repeat=repeated(residual_a, 10, 0.17),
        mixed_6a=mixed_6a, repeat_1=repeated(residual_b, 20, 0.10),
        mixed_7a=mixed_7a, repeat_2=repeated(residual_c, 9, 0.20), block8=residual_c(1.0),
        conv2d_7b=same(2080, 1536, 1),
    )  # fmt: skip


def with_classifier(channels: int, num_classes: int, **layers: nn.Module) -> nn.Sequential:
    """Global mean, dropout of a fifth, one linear layer behind ``layers``."""
    return chain(
        **layers, avgpool=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten(), dropout=nn.Dropout(0.2),
        fc=nn.Linear(channels, num_classes),
    )  # fmt: skip


NETWORKS = {
    "inception_v4": Entry(inception_v4, IMAGE, 75),
    "inception_resnet_v2": Entry(inception_resnet_v2, IMAGE, 75),
}
