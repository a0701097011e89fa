"""Sheet *ResNet*: two curves, a network from a table, a block to mend, plain layers to train, a choice of stages."""

from __future__ import annotations

import math
from random import Random

from cnnlib.grading.sheet import Case, Exercise, Probe, Sheet, nothing, numbers
from cnnlib.grading.values import is_whole, judges_arrays, judges_lists, same

# A network from a row of a table


def table_case(rng: Random, what: str) -> dict[str, object]:
    """Two or three stages, of which one has several blocks, and images of which the last map still has four pixels."""
    stages = rng.randrange(2, 4)
    counts = rng.sample((1, 2, 3), stages)
    return dict(
        counts=counts,
        widths=[rng.randrange(3, 6) * 2**stage for stage in range(stages)],
        classes=rng.randrange(3, 6),
        x=numbers(rng, 2, 3, 8, 8) if what == "scores" else [],
        what=what,
    )


def run_assemble(ns, counts, widths, classes, x, what):
    """The blocks that were asked for, the parameters by tensor, or the scores of images."""
    import torch
    from torch import nn

    asked = []

    def block(c_in, c_out, stride):
        asked.append([c_in, c_out, stride])
        return nn.Sequential(nn.Conv2d(c_in, c_out, 1, stride, bias=False), Step(len(asked)))

    class Step(nn.Module):
        """Tells blocks apart whose weights are alike."""

        def __init__(self, number):
            super().__init__()
            self.number = number

        def forward(self, maps):
            return 3 * maps + self.number * maps.abs()

    net = ns["assemble"](block, tuple(counts), tuple(widths), classes)
    if what == "blocks":
        return asked
    if what == "parameters":
        return sum(p.numel() for p in net.parameters())
    filled(net.eval(), scale=True)
    with torch.no_grad():
        return net(torch.tensor(x))


def right_total(value: object, reference: object, inputs: dict) -> str:
    """Whether there are too many parameters or too few."""
    if value == reference:
        return ""
    return f"the network of assemble() has {value} parameters, too {'many' if value > reference else 'few'}"


@judges_lists
def right_blocks(value: object, reference: object, inputs: dict) -> str:
    """Which block is the first one that does not belong where it is."""
    for number, (got, right) in enumerate(zip(value, reference, strict=False), 1):
        if got != right:
            return f"block {number} of assemble() is block({', '.join(map(str, got))}), and another one belongs there"
    return (
        ""
        if len(value) == len(reference)
        else f"assemble() makes {len(value)} blocks, {len(reference)} are needed"
    )


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


def right_count(value: object, reference: object, inputs: dict) -> str:
    """Whether the convolutions, and then the whole block, hold too much or too little."""
    for what, got, right in zip(("the convolutions hold", "the block holds"), value, reference, strict=True):
        if got != right:
            return f"{what} {got} parameters, too {'many' if got > right else 'few'}"
    return ""


def right_block(value: object, reference: object, inputs: dict) -> str:
    """The output, and whether the map that went in is as it was."""
    if wrong := same(value[0], reference[0]):
        return wrong
    changed = same(value[1], reference[1])
    return "the block changes the map that it was given; somebody else may still need it" if changed else ""


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
PLACE = (
    "For each block: which stage is it in, is it the first one there, and what came out of the one before it?"
)
HELD = "Which layers need a bias, which not, and does the module know of all its blocks?"
ORDER = "Go through your network from front to end and hold it against the list of the text."
HOLDS = (
    "Which parameters can change nothing that comes out, and which numbers must be kept once for each place?"
)
ZERO = "With F = 0 only the shortcut is left. Hold it, number by number, against what the text says of shortcut A."
SUM = "Which values may F take, where do the ReLUs of the paper's block stand, and where its stride?"
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

PAIR = dict(counts=[2, 1], widths=[8, 16], classes=10)

ASSEMBLE = Exercise(
    "assemble",
    practice=(
        Case(PAIR | dict(x=[], what="blocks"), [[8, 8, 1], [8, 8, 1], [8, 16, 2]], PLACE, right_blocks),
        Case(
            dict(counts=[3, 2, 2], widths=[4, 6, 10], classes=3, x=[], what="blocks"),
            [[4, 4, 1], [4, 4, 1], [4, 4, 1], [4, 6, 2], [6, 6, 1], [6, 10, 2], [10, 10, 1]],
            PLACE,
            right_blocks,
        ),
        Case(PAIR | dict(x=[], what="parameters"), 658, HELD, right_total),
        Case(
            dict(
                counts=[2, 1], widths=[2, 3], classes=2, what="scores",
                x=[[
                    [[3.0, -2.0, 3.0, 4.0], [2.0, 2.0, -5.0, 0.0]],
                    [[0.0, 1.0, 6.0, 1.0], [-4.0, 2.0, 1.0, 1.0]],
                    [[2.0, 0.0, -2.0, 5.0], [1.0, -3.0, 2.0, 6.0]],
                ]],
            ),
            [[-0.830208063, -2.223326445]],
            ORDER,
        ),
    ),
    probes=(
        Probe("the blocks of each stage", 2, lambda rng: table_case(rng, "blocks"), 6, right_blocks, PLACE),
        Probe("what it holds", 1, lambda rng: table_case(rng, "parameters"), 6, right_total, HELD),
        Probe("what it says of images", 1, lambda rng: table_case(rng, "scores"), hint=ORDER),
    ),
    run=run_assemble,
)  # fmt: skip

MAKE_BLOCK = Exercise(
    "make_block",
    practice=(
        Case(dict(c_in=2, c_out=3, stride=2, x=[], what="parameters"), [135, 147], HOLDS, right_count),
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
            dict(
                c_in=1, c_out=2, stride=2, what="output",
                x=[[[[1.0, 2.0, 0.0, 1.0], [-3.0, 4.0, 2.0, 0.0], [2.0, -1.0, 1.0, 1.0], [0.0, 3.0, -2.0, 1.0]]]],
            ),
            [
                [[[[1.210691690, 0.0], [3.583008289, 0.149525642]], [[0.0, 0.0], [0.934730530, 0.0]]]],
                [[[[1.0, 2.0, 0.0, 1.0], [-3.0, 4.0, 2.0, 0.0], [2.0, -1.0, 1.0, 1.0], [0.0, 3.0, -2.0, 1.0]]]],
            ],
            SUM,
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
        Probe("what it holds", 1, lambda rng: block_case(rng, "parameters"), 6, right_count, HOLDS),
        Probe(
            "with all scales zero", 1, lambda rng: block_case(rng, "zero"), judge=right_block, hint=ZERO
        ),
        Probe(
            "inside a stage", 1, lambda rng: same_shape_case(rng, "output"), judge=right_block, hint=SUM
        ),
        Probe(
            "at the start of a stage", 1, lambda rng: block_case(rng, "output"), judge=right_block, hint=SUM
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
            "Write down MACs, parameters and kept numbers of a block of each kind in each stage. What is large where?",
            affordable,
        ),
        Case(
            {},
            None,
            "What does a third layer in each block cost in each stage, and which stage can pay for it?",
            deep_enough,
        ),
    ),
    probes=(
        Probe(
            "within three budgets", 1, nothing, 1, affordable, "In which stage is each of the three budgets spent?"
        ),
        Probe(
            "and as deep as asked", 4, nothing, 1, deep_enough, "Which stage can pay for bottlenecks?"
        ),
    ),
    given=GIVEN,
)  # fmt: skip

SHEET = Sheet(
    "resnet",
    2,
    exercises=(DIAGNOSE, ASSEMBLE, MAKE_BLOCK, FIT, STAGES),
    manual={"vanished": 4},
    imports={"math": "math", "torch": "torch", "nn": "torch.nn", "F": "torch.nn.functional"},
    shortcuts=(
        "arch",
        "ZeroPad",
        "Residual",
        "torchvision",
        "trace",
    ),
)
