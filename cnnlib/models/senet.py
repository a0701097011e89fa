"""Squeeze-and-excitation: every channel scaled by a gate that all channels set; a function of any branch.

Hu, Shen, Albanie, Sun, Wu: Squeeze-and-excitation networks. 2017. https://arxiv.org/abs/1709.01507
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from torch import Tensor, nn

from cnnlib.models import resnet
from cnnlib.models.init import he_normal
from cnnlib.models.layers import Layers, chain, conv
from cnnlib.models.network import DIGIT, IMAGENET, Entry
from cnnlib.models.resnet import BROAD, DEPTHS, SMALL_DEPTHS, SMALL_WIDTHS, Block, Branch, Plan, Shortcut
from cnnlib.models.resnext import aggregated


class SqueezeExcite(nn.Module):
    """Scales each channel by a gate in (0, 1) that is computed from the means of all (sec. 3).

    (N, C, H, W) -> (N, C, H, W). ``reduction``: the gates come from C / reduction hidden units; the paper settles
    on 16. The two linear layers are written as 1 x 1 convolutions, as timm's are.
    """

    def __init__(self, channels: int, reduction: int = 16) -> None:
        super().__init__()
        if reduction < 1 or channels % reduction:
            raise ValueError(f"reduction={reduction}: must divide the {channels} channels")
        self.fc1 = nn.Conv2d(channels, channels // reduction, 1)
        self.fc2 = nn.Conv2d(channels // reduction, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Squeeze, excite, scale."""
        squeezed = x.mean((2, 3), keepdim=True)  # (N, C, 1, 1)
        return x * self.fc2(self.fc1(squeezed).relu()).sigmoid()


def with_se(branch: Branch, reduction: int = 16) -> Branch:
    """The branch with its output gated (Fig. 3)."""

    def gated(c_in: int, c_out: int, stride: int) -> Layers:
        return branch(c_in, c_out, stride) | dict(se=SqueezeExcite(c_out, reduction))

    return gated


# ---- other places for the gate (Fig. 5) ----

Place = Callable[[Branch, Shortcut, int], Block]  # (branch, shortcut, reduction) -> the gated block


def standard(branch: Branch, shortcut: Shortcut, reduction: int) -> Block:
    """At the end of the branch."""
    return resnet.residual(with_se(branch, reduction), shortcut)


def pre(branch: Branch, shortcut: Shortcut, reduction: int) -> Block:
    """SE-PRE: before the branch."""

    def gated(c_in: int, c_out: int, stride: int) -> Layers:
        return dict(se=SqueezeExcite(c_in, reduction)) | branch(c_in, c_out, stride)

    return resnet.residual(gated, shortcut)


def post(branch: Branch, shortcut: Shortcut, reduction: int) -> Block:
    """SE-POST: after the sum and its ReLU."""
    inner = resnet.residual(branch, shortcut)
    return lambda c_in, c_out, stride: chain(
        block=inner(c_in, c_out, stride), se=SqueezeExcite(c_out, reduction)
    )


def identity(branch: Branch, shortcut: Shortcut, reduction: int) -> Block:
    """SE-Identity: on the shortcut."""

    def gated(c_in: int, c_out: int, stride: int) -> nn.Module:
        path, gate = shortcut(c_in, c_out, stride), SqueezeExcite(c_out, reduction)
        return gate if path is None else nn.Sequential(path, gate)

    return resnet.residual(branch, gated)


def inside(branch: Branch, shortcut: Shortcut, reduction: int) -> Block:
    """SE_3x3: within the branch, behind the 3 x 3 of a bottleneck, on fewer channels.

    That is behind the branch's last ReLU; in a branch of two 3 x 3, behind the first of them.
    """

    def gated(c_in: int, c_out: int, stride: int) -> Layers:
        layers = list(branch(c_in, c_out, stride).items())
        last = max(i for i, (_, layer) in enumerate(layers) if isinstance(layer, nn.ReLU))
        width = layers[last - 1][1].num_features  # of the norm in front of it
        return dict([*layers[: last + 1], ("se", SqueezeExcite(width, reduction)), *layers[last + 1 :]])

    return resnet.residual(gated, shortcut)


PLACES = {"standard": standard, "pre": pre, "post": post, "identity": identity, "inside": inside}


# ---- networks ----


def senet154_branch(c_in: int, c_out: int, stride: int) -> Layers:
    """ResNeXt's bottleneck of 64 paths, with half of the channels in its first 1 x 1 (appendix)."""
    half = c_out // 2
    return dict(
        conv1=conv(c_in, half, 1), bn1=nn.BatchNorm2d(half), relu1=nn.ReLU(inplace=True),
        conv2=conv(half, c_out, 3, stride, groups=64), bn2=nn.BatchNorm2d(c_out), relu2=nn.ReLU(inplace=True),
        conv3=conv(c_out, c_out, 1), bn3=nn.BatchNorm2d(c_out),
    )  # fmt: skip


def senet154_shortcut(c_in: int, c_out: int, stride: int) -> nn.Module | None:
    """A projection that strides with a 3 x 3, so that it skips no pixel."""
    if (c_in, stride) == (c_out, 1):
        return None
    return nn.Sequential(conv(c_in, c_out, 3 if stride > 1 else 1, stride), nn.BatchNorm2d(c_out))


def senet154(num_classes: int = 1000, in_channels: int = 3) -> nn.Sequential:
    """The ILSVRC 2017 network (appendix): (N, in_channels, H, W) -> (N, num_classes) logits.

    Three 3 x 3 in place of the 7 x 7. Keys are those of the public weights, with ``se`` for ``se_module`` and
    ``fc`` for ``last_linear``; these weights came from Caffe, whose pools round up.
    """
    stem = dict(
        conv1=conv(in_channels, 64, 3, 2), bn1=nn.BatchNorm2d(64), relu1=nn.ReLU(inplace=True),
        conv2=conv(64, 64, 3), bn2=nn.BatchNorm2d(64), relu2=nn.ReLU(inplace=True),
        conv3=conv(64, 128, 3), bn3=nn.BatchNorm2d(128), relu3=nn.ReLU(inplace=True),
    )  # fmt: skip
    plan = Plan(resnet.residual(with_se(senet154_branch), senet154_shortcut), DEPTHS[152], BROAD, stem=128)
    head = plan.head(num_classes)
    fc = head.pop("fc")
    return he_normal(
        chain(
            layer0=chain(**stem), pool0=nn.MaxPool2d(3, 2, ceil_mode=True), **plan.stages(),
            **head, dropout=nn.Dropout(0.2), fc=fc,
        )
    )  # fmt: skip


def small(num_classes: int = 10, in_channels: int = 1, *, place: Place = standard) -> nn.Sequential:
    """``resnet_small`` with gates, 0.26 M parameters: (N, in_channels, 28, 28) -> (N, num_classes) logits.

    ``place``: one of the ``PLACES``. The reduction is 2, so that eight channels have four hidden units; with one
    or two, a gate is often dead from the start.
    """
    block = place(resnet.basic, resnet.option_a, 2)
    return resnet.cifar(Plan(block, SMALL_DEPTHS, SMALL_WIDTHS, stem=8), num_classes, in_channels)


_GATED = resnet.residual(with_se(resnet.bottleneck))
_GATED_PATHS = resnet.residual(with_se(aggregated(32, 4)))
PLANS = {
    **{f"seresnet{n}": Plan(_GATED, DEPTHS[n], BROAD) for n in (50, 101, 152)},
    **{f"seresnext{n}_32x4d": Plan(_GATED_PATHS, DEPTHS[n], BROAD) for n in (50, 101)},
}
NETWORKS = {
    **{name: Entry(partial(resnet.imagenet, plan), IMAGENET) for name, plan in PLANS.items()},
    "senet154": Entry(senet154, IMAGENET, 3),
    "senet_small": Entry(small, DIGIT),
}
