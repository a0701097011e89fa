"""Looking inside: a network and an image go in, arrays come out that show what happens between them.

Outputs of layers, gradients, receptive fields found by experiment, deconvnets, occlusion, class maps, aliasing, and
what a trained network sees in a photo. Networks are left as they were.
"""

from cnnlib.insight.attribution import class_maps, deconvnet, occlusion, top_images
from cnnlib.insight.prediction import Prediction, classify, misclassified
from cnnlib.insight.receptive_field import ReceptiveField, reached, receptive_fields
from cnnlib.insight.signals import (
    GradientAgreement,
    GradientNorm,
    activations,
    aliased_share,
    filters,
    gradient_agreement,
    gradient_norms,
    weight_gradients,
)

__all__ = [
    "GradientAgreement",
    "GradientNorm",
    "Prediction",
    "ReceptiveField",
    "activations",
    "aliased_share",
    "class_maps",
    "classify",
    "deconvnet",
    "filters",
    "gradient_agreement",
    "gradient_norms",
    "misclassified",
    "occlusion",
    "reached",
    "receptive_fields",
    "top_images",
    "weight_gradients",
]
