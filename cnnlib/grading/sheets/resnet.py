"""Sheet *ResNet*: two curves, batch normalisation, a block with mistakes, plain layers to train, a choice of stages."""

from __future__ import annotations

import math
from random import Random

from cnnlib.grading.compare import judges_arrays, judges_lists, same
from cnnlib.grading.sheet import Case, Exercise, Probe, Sheet, nothing, numbers
from cnnlib.grading.values import is_whole

# Batch normalisation


def norm_case(rng: Random, what: str, training: bool) -> dict[str, object]:
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


def run_norm(ns, x, gamma, beta, mean, var, training, eps, what):
    """The map that comes out, or the two running statistics, or all three."""
    import torch

    given = (torch.tensor(v, dtype=torch.float64) for v in (x, gamma, beta, mean, var))
    out, *running = ns["batch_norm"](*given, training, eps)
    return {"output": out, "running": running, "all": [out, *running]}[what]


# A block with shortcut A


def block_case(rng: Random, what: str) -> dict[str, object]:
    """Shapes that change and a map of both signs, larger along one axis."""
    c_in, stride = rng.randrange(2, 4), 2
    return dict(
        c_in=c_in, c_out=c_in + rng.randrange(1, 4), stride=stride, x=numbers(rng, 2, c_in, 4, 6), what=what
    )


def same_shape_case(rng: Random, what: str) -> dict[str, object]:
    """A block inside a stage, in which the shortcut is the map itself."""
    c = rng.randrange(2, 5)
    return dict(c_in=c, c_out=c, stride=1, x=numbers(rng, 2, c, 4, 3), what=what)


def filled(block, scale: bool) -> None:
    """Weights that depend on nothing but their shapes; without ``scale`` all normalisations put out zeros."""
    import torch

    for tensor in [*block.parameters(), *block.buffers()]:
        if not tensor.is_floating_point():
            continue
        wave = torch.sin(1.7 * torch.arange(tensor.numel(), dtype=tensor.dtype)).view(tensor.shape)
        tensor.data.copy_(wave / 2 if tensor.dim() > 1 else torch.zeros_like(wave))
    for norm in (m for m in block.modules() if isinstance(m, torch.nn.BatchNorm2d)):
        channel = torch.arange(float(norm.num_features))
        norm.running_mean.copy_(channel / 4)
        norm.running_var.copy_(1 + channel)
        norm.weight.data.copy_((1 + channel / 2) * scale)
        norm.bias.data.copy_((channel / 4 - 0.5) * scale)


def run_block(ns, c_in, c_out, stride, x, what):
    """Parameters of its convolutions and of all, or its output and what it left of the map that it was given."""
    import torch

    block = ns["make_block"](c_in, c_out, stride).eval()
    if what == "parameters":
        convs = [m for m in block.modules() if isinstance(m, torch.nn.Conv2d)]
        return [sum(p.numel() for m in some for p in m.parameters()) for some in (convs, [block])]
    filled(block, scale=what == "output")
    x = torch.tensor(x)
    with torch.no_grad():
        out = block(x)
    return [out, x]


def right_block(value: object, reference: object, inputs: dict) -> str:
    """The output, and whether the map that went in is as it was."""
    if wrong := same(value, reference):
        if wrong.startswith("value 2"):
            return "the block changes the map that it was given; somebody else may still need it"
        return wrong.removeprefix("value 1: ")
    return ""


# A deep plain network to train

SIDE, CLASSES, CHANNELS = 8, 4, 16
LEARN, JUDGE, ENOUGH = 256, 96, 0.85
ALONG = ((1, 0), (0, 1), (1, -1), (1, 1))  # rows and columns of a step along the waves of each class


def wave(rng: Random, label: int) -> list[list[float]]:
    """A picture of waves that run in one of four directions, with noise."""
    down, right = ALONG[label]
    across = (-right, down)
    length = rng.uniform(1.2, 2.0) / math.hypot(*across)
    start = rng.uniform(0, 2 * math.pi)
    return [
        [
            round(math.sin(start + length * (r * across[0] + c * across[1])) + rng.gauss(0, 0.2), 2)
            for c in range(SIDE)
        ]
        for r in range(SIDE)
    ]


def direction(picture: list[list[float]]) -> int:
    """The class: the direction along which neighbouring pixels differ least."""
    change = []
    for down, right in ALONG:
        pairs = [
            (picture[r][c], picture[r + down][c + right])
            for r in range(SIDE - down)
            for c in range(SIDE)
            if 0 <= c + right < SIDE
        ]
        change.append(sum((a - b) ** 2 for a, b in pairs) / len(pairs))
    return change.index(min(change))


def waves(rng: Random, n: int) -> tuple[list, list[int]]:
    """Pictures, n x 1 x SIDE x SIDE, and their classes, for which ``direction`` stands."""
    pictures = [wave(rng, rng.randrange(CLASSES)) for _ in range(n)]
    return [[picture] for picture in pictures], [direction(picture) for picture in pictures]


def deep_case(rng: Random, depth: int) -> dict[str, object]:
    """Pictures with their classes to learn from, and others without."""
    x, y = waves(rng, LEARN)
    return dict(depth=depth, x=x, y=y, images=waves(rng, JUDGE)[0], seed=rng.randrange(2**31))


def plain_net(depth: int):
    """Convolutions and ReLUs in a chain, the mean of each map, a linear layer."""
    from torch import nn

    layers = [nn.Conv2d(1, CHANNELS, 5, 2, 2), nn.ReLU()]
    for _ in range(depth - 2):
        layers += [nn.Conv2d(CHANNELS, CHANNELS, 3, 1, 1), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(CHANNELS, CLASSES))


def run_fit(ns, depth, **drawn):
    """Scores of the trained weights, put into a network that the answer never saw: no layer can be exchanged."""
    import torch

    case = drawn or deep_case(Random(depth), depth)  # without: the public pictures
    torch.manual_seed(case["seed"])
    net, judged = plain_net(depth), plain_net(depth)
    ns["fit"](net, torch.tensor(case["x"]), torch.tensor(case["y"]))
    try:
        judged.load_state_dict(net.state_dict())
    except RuntimeError:
        raise ValueError("the layers were changed: set their weights, and leave them as they came") from None
    with torch.no_grad():
        return judged(torch.tensor(case["images"]))


@judges_arrays
def learned(value: object, reference: object, inputs: dict) -> str:
    """Whether the largest score is that of the right class often enough. The classes were never in the process."""
    images = inputs.get("images") or deep_case(Random(inputs["depth"]), inputs["depth"])["images"]
    if getattr(value, "shape", None) != (JUDGE, CLASSES):
        return "fit() must leave a network of finite weights behind"
    if not (abs(value) < 1e30).all():
        return "the scores are not numbers any more: training diverged"
    if (value.max(0) - value.min(0)).max() < 1e-3 * (1 + abs(value).max()):
        return "all pictures get the same scores: nothing of them arrives at the last layer"
    right = sum(
        int(scores.argmax()) == direction(image[0]) for scores, image in zip(value, images, strict=True)
    )
    if right >= ENOUGH * JUDGE:
        return ""
    return f"{right} of {JUDGE} new pictures are told right, guessing gives {JUDGE // CLASSES}"


# Stages under a budget

GIVEN = ("LAYERS", "MACS", "PARAMS", "KEPT")
SIDES, INNER = (32, 16, 8), (16, 32, 64)  # of the maps, and channels of the 3 x 3 convolutions, by stage
KINDS = {"basic": 1, "bottleneck": 4}  # channels that come out, by those of the 3 x 3


def block_convs(kind: str, c_in: int, inner: int, stride: int, side: int) -> list[tuple[int, int, int, int]]:
    """Convolutions of a block that puts out maps of ``side``: inputs, outputs, kernel and side of each."""
    c_out = inner * KINDS[kind]
    short = [(c_in, c_out, 1, side)] if (c_in, stride) != (c_out, 1) else []
    if kind == "basic":
        return [(c_in, inner, 3, side), (inner, inner, 3, side), *short]
    return [(c_in, inner, 1, side * stride), (inner, inner, 3, side), (inner, c_out, 1, side), *short]


def stage_totals(stages: list[tuple[str, int]]) -> dict[str, int]:
    """Layers, MACs, parameters and kept numbers of the network with these three stages, one image of 3 x 32 x 32."""
    convs, layers, c_in = [(3, INNER[0], 3, SIDES[0])], 2, INNER[0]
    for number, ((kind, blocks), inner, side) in enumerate(zip(stages, INNER, SIDES, strict=True)):
        for block in range(blocks):
            convs += block_convs(kind, c_in, inner, 2 if number and not block else 1, side)
            layers += 2 if kind == "basic" else 3
            c_in = inner * KINDS[kind]
    return {
        "LAYERS": layers,
        "MACS": sum(a * b * k * k * side * side for a, b, k, side in convs) + 10 * c_in,
        "PARAMS": sum(a * b * k * k + 2 * b for a, b, k, _ in convs) + 10 * c_in + 10,
        "KEPT": sum(b * side * side for _, b, _, side in convs),
    }


@judges_lists
def affordable(value: object, reference: object, inputs: dict) -> str:
    """Three stages within three budgets."""
    if type(value) not in (list, tuple) or len(value) != 3:
        return "stages() must return three stages"
    for stage in value:
        if type(stage) not in (list, tuple) or len(stage) != 2 or stage[0] not in KINDS:
            return 'a stage is ("basic", blocks) or ("bottleneck", blocks)'
        if not is_whole(stage[1], 1) or stage[1] > 1000:
            return "the number of blocks must be whole, and at least 1"
    found = stage_totals(value)
    for name, what in (("MACS", "MACs"), ("PARAMS", "parameters"), ("KEPT", "kept numbers")):
        if found[name] > inputs[name]:
            return f"the network has {found[name]:,} {what}, {inputs[name]:,} are allowed"
    return ""


@judges_lists
def deep_enough(value: object, reference: object, inputs: dict) -> str:
    """Within the budgets, as deep as asked, and no stage of a single block."""
    if wrong := affordable(value, reference, inputs):
        return wrong
    if min(blocks for _, blocks in value) < 2:
        return "a stage has one block only, at least two are asked for"
    layers = stage_totals(value)["LAYERS"]
    return (
        ""
        if layers >= inputs["LAYERS"]
        else f"the network has {layers} layers, {inputs['LAYERS']} are asked for"
    )


END = "Look at the last pass alone, at the images that nobody trained on first."
SECOND = "Worse on new images, too: now the training error says which of the two it is."
CHANNEL = "One mean and one variance a channel, over all images and all places; eps belongs under the root."
BIASED = (
    "The batch is normalised with its variance divided by n; the running variance takes the one by n - 1."
)
MOVE = "A running number keeps nine tenths of itself and takes one tenth of the new one."
STILL = (
    "In prediction the batch counts for nothing: the running numbers normalise, and they stay as they were."
)
HOLDS = "A normalisation takes a bias away again; each place needs a normalisation of its own; zeros need no weights."
ZERO = "With F = 0 the block is its shortcut, with the last ReLU: every stride-th pixel, zeros behind the channels."
SUM = "F may fall below 0 before the sum; one ReLU stands behind it. And what came in belongs to the caller."
SHALLOW = "With six layers the usual start will do. Is it this network that learns, and does its loss fall?"
DEEP = "Print the spread of the maps, layer by layer, before the first step. Which weights hand on what they get?"


def curves(*rows: tuple[float, float]) -> list[list[float]]:
    """Training and test error, a row a pass."""
    return [list(row) for row in rows]


DIAGNOSE = Exercise(
    "diagnose",
    practice=(
        Case(
            dict(shallow=curves((40, 42), (20, 24)), deep=curves((50, 52), (30, 33)), margin=1),
            "optimisation",
            SECOND,
        ),
        Case(
            dict(shallow=curves((40, 42), (20, 24)), deep=curves((30, 40), (2, 28)), margin=1),
            "over-fitting",
            SECOND,
        ),
        Case(
            dict(shallow=curves((40, 42), (20, 24)), deep=curves((60, 62), (10, 22)), margin=1), "fine", END
        ),
        Case(
            dict(shallow=curves((40, 42), (10, 24)), deep=curves((5, 20), (15, 27)), margin=1),
            "optimisation",
            "The last pass counts, not the best one.",
        ),
        Case(
            dict(shallow=curves((40, 42), (10, 24)), deep=curves((30, 40), (15, 22)), margin=1),
            "fine",
            "It errs more on its training images and less on new ones: no harm is done.",
        ),
        Case(
            dict(shallow=curves((40, 42), (20, 24)), deep=curves((40, 42), (25, 24.5)), margin=1),
            "fine",
            "A difference within the margin is none.",
        ),
        Case(
            dict(shallow=curves((40, 42), (20, 24)), deep=curves((40, 30), (20.5, 27)), margin=1),
            "over-fitting",
            "A difference within the margin is none, for either error.",
        ),
        Case(
            dict(shallow=curves((40, 42), (20, 22)), deep=curves((40, 42), (24, 60)), margin=3),
            "optimisation",
            "A large gap between the two errors of one network is not the question: compare the two networks.",
        ),
    ),
)

TWO = [[[[1.0]]], [[[3.0]]]]  # two images of one channel and one place
ZEROS = dict(gamma=[1.0], beta=[0.0], mean=[0.0], var=[1.0])

BATCH_NORM = Exercise(
    "batch_norm",
    practice=(
        Case(
            dict(x=TWO, **ZEROS, training=True, eps=0.0, what="output"),
            [[[[-1.0]]], [[[1.0]]]],
            "Mean 2, variance 1: the numbers are -1 and 1.",
        ),
        Case(
            dict(
                x=TWO, gamma=[2.0], beta=[1.0], mean=[0.0], var=[1.0], training=True, eps=3.0, what="output"
            ),
            [[[[0.0]]], [[[2.0]]]],
            CHANNEL,
        ),
        Case(
            dict(
                x=[[[[1.0]], [[10.0]]], [[[3.0]], [[30.0]]]],
                gamma=[1.0, 1.0],
                beta=[0.0, 0.0],
                mean=[0.0, 0.0],
                var=[1.0, 1.0],
                training=True,
                eps=0.0,
                what="output",
            ),
            [[[[-1.0]], [[-1.0]]], [[[1.0]], [[1.0]]]],
            "Two channels, each with a mean and a variance of its own.",
        ),
        Case(
            dict(x=[[[[1.0, 3.0]]], [[[5.0, 7.0]]]], **ZEROS, training=True, eps=4.0, what="output"),
            [[[[-1.0, -1 / 3]]], [[[1 / 3, 1.0]]]],
            CHANNEL,
        ),
        Case(
            dict(
                x=TWO, gamma=[1.0], beta=[0.0], mean=[1.0], var=[3.0], training=True, eps=0.0, what="running"
            ),
            [[1.1], [2.9]],
            f"{MOVE} {BIASED}",
        ),
        Case(
            dict(x=TWO, gamma=[1.0], beta=[0.5], mean=[1.0], var=[4.0], training=False, eps=0.0, what="all"),
            [[[[[0.5]]], [[[1.5]]]], [1.0], [4.0]],
            STILL,
        ),
    ),
    probes=(
        Probe("what comes out in training", 1, lambda rng: norm_case(rng, "output", True), hint=CHANNEL),
        Probe("what is kept", 2, lambda rng: norm_case(rng, "running", True), hint=f"{MOVE} {BIASED}"),
        Probe("prediction", 1, lambda rng: norm_case(rng, "all", False), hint=STILL),
    ),
    run=run_norm,
)

MAKE_BLOCK = Exercise(
    "make_block",
    practice=(
        Case(dict(c_in=2, c_out=3, stride=2, x=[], what="parameters"), [135, 147], HOLDS),
        Case(
            dict(c_in=1, c_out=2, stride=2, x=[[[[1.0, 2.0], [-3.0, 4.0]]]], what="zero"),
            [[[[[1.0]], [[0.0]]]], [[[[1.0, 2.0], [-3.0, 4.0]]]]],
            ZERO,
            right_block,
        ),
        Case(
            dict(
                c_in=1, c_out=1, stride=2, what="zero",
                x=[[[[1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0], [-9.0, 1.0, 2.0, 3.0], [4.0, 5.0, 6.0, 7.0]]]],
            ),
            [
                [[[[1.0, 3.0], [0.0, 2.0]]]],
                [[[[1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0], [-9.0, 1.0, 2.0, 3.0], [4.0, 5.0, 6.0, 7.0]]]],
            ],
            ZERO,
            right_block,
        ),
        Case(
            dict(c_in=1, c_out=1, stride=1, x=[[[[1.0, 0.0], [0.0, 0.0]]]], what="output"),
            [[[[[0.5, 0.0], [0.0, 0.0]]]], [[[[1.0, 0.0], [0.0, 0.0]]]]],
            SUM,
            right_block,
        ),
    ),
    probes=(
        Probe("what it holds", 1, lambda rng: block_case(rng, "parameters"), hint=HOLDS),
        Probe(
            "with all scales zero", 1, lambda rng: block_case(rng, "zero"), judge=right_block, hint=ZERO
        ),
        Probe(
            "inside a stage", 2, lambda rng: same_shape_case(rng, "output"), judge=right_block, hint=SUM
        ),
    ),
    run=run_block,
)  # fmt: skip

FIT = Exercise(
    "fit",
    practice=(
        Case(dict(depth=6), None, SHALLOW, learned),
        Case(dict(depth=30), None, DEEP, learned),
    ),
    probes=(
        Probe("six layers", 1, lambda rng: deep_case(rng, 6), 1, learned, SHALLOW),
        Probe("thirty layers", 4, lambda rng: deep_case(rng, 30), 1, learned, DEEP),
    ),
    run=run_fit,
)

STAGES = Exercise(
    "stages",
    practice=(
        Case(
            {},
            None,
            "Every block costs about the same MACs. Parameters sit in the last stage, kept numbers in the first.",
            affordable,
        ),
        Case(
            {},
            None,
            "A bottleneck brings a third layer, and keeps three times the numbers: where are numbers few?",
            deep_enough,
        ),
    ),
    probes=(
        Probe(
            "within three budgets", 1, nothing, 1, affordable, "Parameters sit late, kept numbers sit early."
        ),
        Probe(
            "and as deep as asked", 4, nothing, 1, deep_enough, "Which stage can pay for bottlenecks?"
        ),
    ),
    given=GIVEN,
)  # fmt: skip

SHEET = Sheet(
    "resnet",
    1,
    exercises=(DIAGNOSE, BATCH_NORM, MAKE_BLOCK, FIT, STAGES),
    manual={"vanished": 4},
    imports={"math": "math", "torch": "torch", "nn": "torch.nn", "F": "torch.nn.functional"},
    shortcuts=(
        "arch",
        "ZeroPad",
        "Residual",
        "batch_norm_stats",
        "native_batch_norm",
        "torchvision",
        "trace",
    ),
)
