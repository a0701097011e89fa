"""Training: a network, images and a recipe go in, one row an epoch comes out.

A ``Recipe`` is frozen data; ``train`` follows it, with checkpoints, mixed precision and several processes where they
are asked for. ``evaluate`` and ``predict`` change nothing. ``ensemble`` and ``calibration`` work on what networks
answer.
"""

from cnnlib.training import calibration, checkpoint, ensemble
from cnnlib.training.distributed import World, joined, world
from cnnlib.training.evaluation import device, evaluate, evaluating, predict, seeded
from cnnlib.training.input_checks import check_set
from cnnlib.training.loop import train
from cnnlib.training.paper_recipes import MEAN, RECIPES, STD, Places, Plan, short_side
from cnnlib.training.recipe import Diverged, Epoch, Recipe, words
from cnnlib.training.schedule import Cosine, PiecewiseLinear, StepDecay
from cnnlib.training.step import Step
from cnnlib.training.transfer import Frozen, linear_probe, pretrained

__all__ = [
    "Cosine",
    "Diverged",
    "Epoch",
    "Frozen",
    "MEAN",
    "PiecewiseLinear",
    "Places",
    "Plan",
    "RECIPES",
    "Recipe",
    "STD",
    "Step",
    "StepDecay",
    "World",
    "calibration",
    "check_set",
    "checkpoint",
    "device",
    "ensemble",
    "evaluate",
    "evaluating",
    "joined",
    "linear_probe",
    "predict",
    "pretrained",
    "seeded",
    "short_side",
    "train",
    "words",
    "world",
]
