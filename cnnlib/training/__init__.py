"""Training: a network, images and a recipe go in, one row an epoch comes out.

A ``Recipe`` is frozen data; ``train`` follows it, with checkpoints, mixed precision and several processes where they
are asked for. ``evaluate`` and ``predict`` change nothing. ``ensemble`` and ``calibration`` work on what networks
answer.
"""

from cnnlib.training import calibration, checkpoint, ensemble
from cnnlib.training.distributed import World, current_world, process_group
from cnnlib.training.evaluation import check_set, evaluate, evaluating, find_device, predict, seeded
from cnnlib.training.loop import train
from cnnlib.training.paper_recipes import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    RECIPES,
    Setup,
    resize_side,
)
from cnnlib.training.recipe import Cosine, Diverged, Epoch, PiecewiseLinear, Recipe, StepDecay, describe
from cnnlib.training.step import Step
from cnnlib.training.transfer import Frozen, linear_probe, pretrained

__all__ = [
    "Cosine",
    "Diverged",
    "Epoch",
    "Frozen",
    "IMAGENET_MEAN",
    "IMAGENET_STD",
    "PiecewiseLinear",
    "RECIPES",
    "Recipe",
    "Setup",
    "Step",
    "StepDecay",
    "World",
    "calibration",
    "check_set",
    "checkpoint",
    "current_world",
    "describe",
    "ensemble",
    "evaluate",
    "evaluating",
    "find_device",
    "linear_probe",
    "predict",
    "pretrained",
    "process_group",
    "resize_side",
    "seeded",
    "train",
]
