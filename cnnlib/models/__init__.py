"""Every network of the book: a name goes in, an ``nn.Module`` comes out.

``build("resnet50")`` makes one, ``list_models()`` names them all. One module a family (``vgg``, ``resnet`` …) holds its
blocks and its rows of the registry; ``layers`` holds what families share.
"""

from cnnlib.models import (
    ablation,
    alexnet,
    densenet,
    fractalnet,
    googlenet,
    inception,
    inception_v4,
    init,
    layers,
    lenet,
    nin,
    preact,
    resnet,
    resnext,
    senet,
    squeezenet,
    stochastic_depth,
    vgg,
    weights,
    wide_resnet,
    zfnet,
)
from cnnlib.models.ablation import without_block, without_norm
from cnnlib.models.fractalnet import DropPath
from cnnlib.models.init import fan_in_normal
from cnnlib.models.layers import (
    Layers,
    LocalResponseNorm,
    Residual,
    auxiliary_loss,
    chain,
    conv,
    conv_bn_relu,
)
from cnnlib.models.network import WrongImageError
from cnnlib.models.registry import (
    build,
    find_weights,
    image_shape,
    image_sides,
    list_models,
    options,
    public_name,
)
from cnnlib.models.stochastic_depth import StochasticDepthBlock

__all__ = [
    "DropPath",
    "Layers",
    "LocalResponseNorm",
    "Residual",
    "StochasticDepthBlock",
    "WrongImageError",
    "ablation",
    "alexnet",
    "auxiliary_loss",
    "build",
    "chain",
    "conv",
    "conv_bn_relu",
    "densenet",
    "fan_in_normal",
    "find_weights",
    "fractalnet",
    "googlenet",
    "image_shape",
    "image_sides",
    "inception",
    "inception_v4",
    "init",
    "layers",
    "lenet",
    "list_models",
    "nin",
    "options",
    "preact",
    "public_name",
    "resnet",
    "resnext",
    "senet",
    "squeezenet",
    "stochastic_depth",
    "vgg",
    "weights",
    "wide_resnet",
    "without_block",
    "without_norm",
    "zfnet",
]
