"""Sheet *Batch normalisation*: its memory, the layer, one folded forwards, images in company, batch and momentum."""

from __future__ import annotations

import math
from random import Random

from cnnlib.grading.sheet import Case, Exercise, Inputs, Probe, Sheet, nothing, numbers
from cnnlib.grading.values import is_whole, judges_arrays, judges_lists, same

# The layer


def norm_case(rng: Random, what: str, training: bool) -> Inputs:
    """Few numbers a channel, so that n - 1 is not n, and a large eps, so that its place is seen."""
    c = rng.randrange(2, 5)
    return dict(
        x=numbers(rng, rng.randrange(2, 4), c, 2, rng.randrange(2, 4)),
        gamma=numbers(rng, c, zero=False),
        beta=numbers(rng, c, zero=False),
        mean=numbers(rng, c, zero=False),
        var=[abs(v) + 1 for v in numbers(rng, c)],
        training=training,
        eps=rng.choice((0.25, 0.5, 1.0)),
        what=what,
    )


RETURNED = {
    "output": ("output",),
    "running": ("running mean", "running variance"),
    "all": ("output", "running mean", "running variance"),
}
TENSORS = ("x", "gamma", "beta", "mean", "var")


def run_norm(ns, x, gamma, beta, mean, var, training, eps, what):
    """The map that comes out, or the two running statistics, or all three; and which arguments were written into."""
    import torch

    given = [torch.tensor(v, dtype=torch.float64) for v in (x, gamma, beta, mean, var)]
    before = [tensor.clone() for tensor in given]
    out, *running = ns["batch_norm"](*given, training, eps)
    changed = [name for name, a, b in zip(TENSORS, given, before, strict=True) if not torch.equal(a, b)]
    kept = {"output": [out], "running": running, "all": [out, *running]}[what]
    return {"tensors": kept, "changed": changed}


@judges_arrays
def right_norm(value: object, reference: object, inputs: Inputs) -> str:
    """Which of the tensors is wrong, and how; and whether an argument was written into."""
    names, right = RETURNED[inputs["what"]], reference["tensors"]
    if len(value["tensors"]) != len(right):
        return "batch_norm() must return three tensors: output, running mean, running variance"
    for name, got, wanted in zip(names, value["tensors"], right, strict=True):
        if wrong := same(got, wanted):
            return f"the {name}: {wrong}"
    return "; ".join(
        f"batch_norm() writes into {name}, and whoever gave it may still need it" for name in value["changed"]
    )


# Folded forwards


def front_case(rng: Random, channels: bool, bias: bool) -> Inputs:
    """A normalisation and a convolution behind it; with one channel each, or with more."""
    c_in, c_out = rng.sample((2, 3, 4), 2) if channels else (1, 1)
    kernel = rng.choice((2, 3))
    return dict(
        gamma=numbers(rng, c_in, zero=False),
        beta=numbers(rng, c_in, zero=False),
        mean=numbers(rng, c_in, zero=False),
        var=[abs(v) + 1 for v in numbers(rng, c_in)],
        eps=rng.choice((0.25, 0.5, 1.0)),
        weight=numbers(rng, c_out, c_in, kernel, kernel, zero=False),
        bias=numbers(rng, c_out, zero=False) if bias else None,
    )


def run_front(ns, gamma, beta, mean, var, eps, weight, bias):
    """The convolution in place of both; and whether the weights that were given have changed."""
    import torch

    given = [torch.tensor(v, dtype=torch.float64) for v in (gamma, beta, mean, var, weight)]
    before = [tensor.clone() for tensor in given]
    *norm, weight = given
    bias = None if bias is None else torch.tensor(bias, dtype=torch.float64)
    pair = ns["fold_front"](*norm, eps, weight, bias)
    changed = not all(torch.equal(a, b) for a, b in zip(given, before, strict=True))
    return {"pair": pair, "changed": changed}


@judges_arrays
def right_pair(value: object, reference: object, inputs: Inputs) -> str:
    """Which of weight and bias is wrong, and how."""
    pair = value["pair"]
    if type(pair) not in (list, tuple) or len(pair) != 2:
        return "fold_front() must return two tensors, (weight, bias)"
    for name, got, right in zip(("weight", "bias"), pair, reference["pair"], strict=True):
        if wrong := same(got, right):
            return f"the {name}: {wrong}"
    return "fold_front() writes into a tensor that it was given" if value["changed"] else ""


# In company and alone

SIDE, CLASSES = 4, 3


def company_case(rng: Random, training: bool) -> Inputs:
    """Images, and what the numbers of a network with a normalisation depend on."""
    n = rng.randrange(3, 6)
    return dict(x=numbers(rng, n, 1, SIDE, SIDE), training=training, maps=3, phase=rng.uniform(0, 6))


def small_net(phase: float, maps: int):
    """A convolution, a normalisation, a ReLU, the mean of each map, a linear layer; all numbers are those of a wave."""
    import torch
    from torch import nn

    net = nn.Sequential(
        nn.Conv2d(1, maps, 3), nn.BatchNorm2d(maps), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(maps, CLASSES),
    ).double()  # fmt: skip
    for tensor in [*net.parameters(), *net.buffers()]:
        if tensor.is_floating_point():
            wave = torch.sin(1.7 * torch.arange(tensor.numel(), dtype=tensor.dtype) + phase)
            tensor.data.copy_(wave.view(tensor.shape))
    net[1].running_var.abs_().add_(0.5)
    return net


def run_company(ns, x, training, maps, phase):
    """The differences; and what of the network is not as it was."""
    import torch

    net = small_net(phase, maps).train(training)
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    found = ns["company"](net, torch.tensor(x, dtype=torch.float64))
    modes = all(module.training == training for module in net.modules())
    numbers_kept = all(torch.equal(tensor, before[name]) for name, tensor in net.state_dict().items())
    return {"differences": found, "left": [modes, numbers_kept]}


@judges_arrays
def right_company(value: object, reference: object, inputs: Inputs) -> str:
    """The differences, and whether the network was left as it was found."""
    if wrong := same(value["differences"], reference["differences"]):
        return wrong
    modes, kept = value["left"]
    if not modes:
        return "company() leaves net in another mode than it found it in"
    return "" if kept else "company() changes numbers that net keeps, such as its running statistics"


# Batch and momentum

GIVEN = ("MEMORY", "IMAGES", "NOISE", "STEADY")
MIB = 3  # that an image of the batch keeps
LEFT = 0.01


@judges_lists
def fits(value: object, reference: object, inputs: Inputs) -> str:
    """A pair that fits the memory, with batches large enough."""
    if type(value) not in (list, tuple) or len(value) != 2:
        return "settings() must return a pair, (batch, momentum)"
    batch, momentum = value
    if not is_whole(batch, 1) or batch > 1_000_000:
        return "the batch must be a whole number of at least 1"
    if type(momentum) not in (int, float) or not 0 < momentum < 1:
        return "the momentum must be a number between 0 and 1"
    if batch * MIB > inputs["MEMORY"]:
        return f"a batch of {batch} keeps {batch * MIB} MiB, {inputs['MEMORY']} are allowed"
    noise = 1 / math.sqrt(batch)
    if noise > inputs["NOISE"]:
        return f"the mean of a batch has a standard deviation of {noise:.3f}, at most {inputs['NOISE']} is asked for"
    return ""


@judges_lists
def steady(value: object, reference: object, inputs: Inputs) -> str:
    """And a running mean that forgets its start and is steady."""
    if wrong := fits(value, reference, inputs):
        return wrong
    batch, momentum = value
    left = (1 - momentum) ** (inputs["IMAGES"] // batch)
    if left > LEFT:
        return f"after a pass {left:.1%} of the start are left in the running mean, at most {LEFT:.0%} is asked for"
    noise = math.sqrt(momentum / (2 - momentum) / batch)
    if noise > inputs["STEADY"]:
        return f"the running mean has a standard deviation of {noise:.4f}, at most {inputs['STEADY']} is asked for"
    return ""


KEEPS = "What share of the distance is left after one batch, and after two?"
CHANNEL = "Over which axes is the mean of a channel taken? And where in the formula does eps stand?"
VARIANCES = "One variance divides by n, the other by n - 1. Which one normalises, and which one is kept?"
MOVE = "How much of itself does a running number keep?"
STILL = "What may the batch do in prediction, and what not?"
LINE = "Write the normalisation as a · x + b, then put that into the convolution."
INPUTS = "Which axis of the weight belongs to the channels that the normalisation scales?"
SHIFT = "Every weight of a filter reads a channel that was shifted. What do all these shifts add up to?"
MODE = "In which mode did you get net, and in which mode did each of your images go through it?"
GUEST = (
    "What does a forward pass in training change in the network, and which network did the next image meet?"
)
LARGER = "Which of the four demands sets the smallest batch, and which one the largest?"
FORGETS = "For your batch, which momentum just forgets in time, and which is just steady enough?"

BATCHES_UNTIL = Exercise(
    "batches_until",
    practice=(
        Case(dict(gap=0.3, momentum=0.5), 2, KEEPS),
        Case(dict(gap=0.5, momentum=0.5), 1, "At most: a gap that is just met is met."),
        Case(dict(gap=0.01, momentum=0.1), 44, KEEPS),
        Case(dict(gap=0.05, momentum=0.9), 2, KEEPS),
        Case(dict(gap=0.9, momentum=0.01), 11, KEEPS),
    ),
)

TWO = [[[[1.0]]], [[[3.0]]]]  # two images of one channel and one place
PLAIN = dict(gamma=[1.0], beta=[0.0], mean=[0.0], var=[1.0])


def norm_try(tensors: list, hint: str, **inputs: object) -> Case:
    """A public input of ``batch_norm`` with the tensors that belong to it."""
    return Case(inputs, {"tensors": tensors}, hint, right_norm)


BATCH_NORM = Exercise(
    "batch_norm",
    practice=(
        norm_try([[[[[-1.0]]], [[[1.0]]]]], CHANNEL, x=TWO, **PLAIN, training=True, eps=0.0, what="output"),
        norm_try(
            [[[[[0.0]]], [[[2.0]]]]], CHANNEL,
            x=TWO, gamma=[2.0], beta=[1.0], mean=[0.0], var=[1.0], training=True, eps=3.0, what="output",
        ),
        norm_try(
            [[[[[-1.0]], [[-1.0]]], [[[1.0]], [[1.0]]]]],
            "Two channels, each with a mean and a variance of its own.",
            x=[[[[1.0]], [[10.0]]], [[[3.0]], [[30.0]]]],
            gamma=[1.0, 1.0], beta=[0.0, 0.0], mean=[0.0, 0.0], var=[1.0, 1.0],
            training=True, eps=0.0, what="output",
        ),
        norm_try(
            [[[[[-1.0, -1 / 3]]], [[[1 / 3, 1.0]]]]], CHANNEL,
            x=[[[[1.0, 3.0]]], [[[5.0, 7.0]]]], **PLAIN, training=True, eps=4.0, what="output",
        ),
        norm_try(
            [[1.1], [2.9]], f"{MOVE} {VARIANCES}",
            x=TWO, gamma=[1.0], beta=[0.0], mean=[1.0], var=[3.0], training=True, eps=0.0, what="running",
        ),
        norm_try(
            [[[[[0.5]]], [[[1.5]]]], [1.0], [4.0]], STILL,
            x=TWO, gamma=[1.0], beta=[0.5], mean=[1.0], var=[4.0], training=False, eps=0.0, what="all",
        ),
    ),
    probes=(
        Probe("what comes out in training", 1, lambda rng: norm_case(rng, "output", True), 6, right_norm, CHANNEL),
        Probe("what is kept", 2, lambda rng: norm_case(rng, "running", True), 6, right_norm, f"{MOVE} {VARIANCES}"),
        Probe("prediction", 1, lambda rng: norm_case(rng, "all", False), 6, right_norm, STILL),
    ),
    run=run_norm,
)  # fmt: skip


def front_try(pair: list, hint: str, **inputs: object) -> Case:
    """A public input of ``fold_front`` with the pair that belongs to it."""
    return Case(inputs, {"pair": pair}, hint, right_pair)


FOLD_FRONT = Exercise(
    "fold_front",
    practice=(
        front_try(
            [[[[[5.0]]]], [-15.0]], LINE,
            gamma=[1.0], beta=[0.0], mean=[3.0], var=[4.0], eps=0.0, weight=[[[[10.0]]]], bias=None,
        ),
        front_try(
            [[[[[1.0, 2.0]]]], [1.5]], SHIFT,
            gamma=[2.0], beta=[0.5], mean=[0.0], var=[1.0], eps=3.0, weight=[[[[1.0, 2.0]]]], bias=None,
        ),
        front_try(
            [[[[[1.0]], [[0.5]]], [[[3.0]], [[0.0]]]], [-0.5, 0.0]], INPUTS,
            gamma=[1.0, 1.0], beta=[0.0, 0.0], mean=[0.0, 1.0], var=[1.0, 4.0], eps=0.0,
            weight=[[[[1.0]], [[1.0]]], [[[3.0]], [[0.0]]]], bias=None,
        ),
        front_try(
            [[[[[1.0]]], [[[2.0]]]], [9.0, -2.0]], "A bias that is there stays.",
            gamma=[1.0], beta=[0.0], mean=[1.0], var=[1.0], eps=0.0,
            weight=[[[[1.0]]], [[[2.0]]]], bias=[10.0, 0.0],
        ),
    ),
    probes=(
        Probe("one channel", 1, lambda rng: front_case(rng, False, False), 6, right_pair, f"{LINE} {SHIFT}"),
        Probe("several channels", 2, lambda rng: front_case(rng, True, False), 6, right_pair, INPUTS),
        Probe("a convolution with a bias", 1, lambda rng: front_case(rng, True, True), 6, right_pair, SHIFT),
    ),
    run=run_front,
)  # fmt: skip

THREE = [[[[0.0, 1.0, 2.0, 1.0]] * 4], [[[2.0, -1.0, 0.0, 3.0]] * 4], [[[4.0, 1.0, 0.0, 2.0]] * 4]]


def company_try(differences: list, hint: str, training: bool) -> Case:
    """A public input of ``company`` with what belongs to it."""
    inputs = dict(x=THREE, training=training, maps=2, phase=1.0)
    return Case(inputs, {"differences": differences}, hint, right_company)


COMPANY = Exercise(
    "company",
    practice=(
        company_try([0.0, 0.0, 0.0], MODE, False),
        company_try([0.994075875, 0.530608810, 0.208603906], GUEST, True),
    ),
    probes=(
        Probe("in prediction", 1, lambda rng: company_case(rng, False), 6, right_company, MODE),
        Probe("in training", 3, lambda rng: company_case(rng, True), 6, right_company, GUEST),
    ),
    run=run_company,
)

SETTINGS = Exercise(
    "settings",
    practice=(Case({}, None, LARGER, fits), Case({}, None, FORGETS, steady)),
    probes=(
        Probe("fits the memory, and batches are large enough", 1, nothing, 1, fits, LARGER),
        Probe("and the running mean forgets and is steady", 3, nothing, 1, steady, FORGETS),
    ),
    given=GIVEN,
)

SHEET = Sheet(
    "batchnorm",
    1,
    exercises=(BATCHES_UNTIL, BATCH_NORM, FOLD_FRONT, COMPANY, SETTINGS),
    manual={"two_a_card": 4},
    imports={"copy": "copy", "math": "math", "torch": "torch", "nn": "torch.nn", "F": "torch.nn.functional"},
    shortcuts=("arch", "batch_norm_stats", "native_batch_norm", "fuse_conv_bn_eval", "torchvision"),
)
