"""Looking inside: a network and an image go in, arrays come out that show what happens between them.

Outputs of layers, gradients, receptive fields found by experiment, deconvnets, occlusion, class maps, aliasing, and
what a trained network sees in a photo. Networks are left as they were.
"""

from cnnlib.insight.aliasing import folded
from cnnlib.insight.attribution import class_maps, occlusion
from cnnlib.insight.deconvolution import deconvnet, strongest
from cnnlib.insight.gradients import (
    Agreement,
    GradientNorm,
    agreement,
    gradient_norms,
    weight_gradients,
)
from cnnlib.insight.layer_outputs import activations, filters, misread
from cnnlib.insight.prediction import Guess, classify
from cnnlib.insight.receptive_field import ReceptiveField, reached, receptive_fields

__all__ = [
    "Agreement",
    "GradientNorm",
    "Guess",
    "ReceptiveField",
    "activations",
    "agreement",
    "class_maps",
    "classify",
    "deconvnet",
    "filters",
    "folded",
    "gradient_norms",
    "misread",
    "occlusion",
    "reached",
    "receptive_fields",
    "strongest",
    "weight_gradients",
]
