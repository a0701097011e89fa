"""Sheet *GoogLeNet*: a table recomputed, four paths, what a projection cannot see, what heads add, a thinner module."""

from __future__ import annotations

from random import Random

from cnnlib.grading.sheet import Case, Exercise, Inputs, Probe, Sheet, nothing, numbers
from cnnlib.grading.values import is_whole, judges_arrays, judges_lists, same

# Four paths

LAYERS = ("one", "reduce3", "three", "reduce5", "five", "pool")


def module(rng: Random, signs: bool) -> Inputs:
    """A map and six convolutions; without ``signs`` all of it is positive, so that no ReLU has anything to do."""
    c_in, thin = rng.randrange(3, 5), rng.randrange(2, 4)
    c1, c3, c5, pool = rng.sample(range(1, 6), 4)
    shapes = [(c1, c_in, 1), (thin, c_in, 1), (c3, thin, 3), (thin, c_in, 1), (c5, thin, 5), (pool, c_in, 1)]
    layers = [[numbers(rng, o, i, k, k), numbers(rng, o, zero=False)] for o, i, k in shapes]
    x = numbers(rng, 2, c_in, 5, 4)
    if signs:  # a whole map below zero: padding with zeros would win in its pool
        x[0] = [[[-abs(v) for v in row] for row in channel] for channel in x[0]]
        return dict(x=x, layers=layers)
    return dict(x=positive(x), layers=positive(layers))


def positive(value: object) -> object:
    """Nested lists with every number at least 0."""
    return [positive(item) for item in value] if isinstance(value, list) else abs(value)


def run_paths(ns, x, layers):
    """Call the answer with tensors."""
    import torch

    pairs = [(torch.tensor(weight), torch.tensor(bias)) for weight, bias in layers]
    return ns["four_paths"](torch.tensor(x), *pairs)


@judges_arrays
def path_by_path(value: object, reference: object, inputs: Inputs) -> str:
    """What is wrong with the stack, and in which of its four parts."""
    import numpy as np

    wrong, right = same(value, reference), np.asarray(reference)
    if not wrong or getattr(value, "shape", None) != right.shape:
        return wrong
    widths = [len(inputs["layers"][LAYERS.index(end)][0]) for end in ("one", "three", "five", "pool")]
    cuts = np.cumsum(widths)[:-1]
    parts = zip(
        ("1×1", "3×3", "5×5", "pool"), np.split(value, cuts, 1), np.split(right, cuts, 1), strict=True
    )
    return f"{wrong}, in the place of {', '.join(name for name, *pair in parts if same(*pair))}"


# What a projection cannot see

HALVES = [[1, 1, 1, 1], [1, -1, 1, -1], [1, 1, -1, -1], [1, -1, -1, 1]]


def right_angles(rng: Random) -> Inputs:
    """One to three rows of length 1 at right angles to one another."""
    rows = [[v / 2 for v in row] for row in rng.sample(HALVES, rng.randrange(1, 4))]
    return dict(x=numbers(rng, 2, 4, 3, 2), weight=rows)


def oblique(rng: Random) -> Inputs:
    """Fewer rows than channels, at any angle: none is a sum of the others, none is alike in length."""
    channels = rng.randrange(4, 7)
    rows = [numbers(rng, channels) for _ in range(rng.randrange(2, channels))]
    for i, row in enumerate(rows):  # ones on a staircase keep them independent
        row[: len(rows)] = [0.0] * i + [1.0] + row[i + 1 : len(rows)]
    return dict(x=numbers(rng, 2, channels, 3, 2), weight=rows)


def dependent(rng: Random) -> Inputs:
    """As ``oblique``, and two more rows that are sums of others: they show no new direction."""
    case = oblique(rng)
    first, second, *_ = case["weight"]
    sums = [
        [a + b for a, b in zip(first, second, strict=True)],
        [a - b for a, b in zip(first, second, strict=True)],
    ]
    return case | dict(weight=[*case["weight"], *sums])


def run_unseen(ns, x, weight):
    """Call the answer with tensors of 64 bits."""
    import torch

    return ns["unseen_part"](torch.tensor(x, dtype=torch.float64), torch.tensor(weight, dtype=torch.float64))


@judges_arrays
def invisible(value: object, reference: object, inputs: Inputs) -> str:
    """What is wrong with the unseen part: is it seen after all, or is it not all of it?"""
    import numpy as np

    wrong = same(value, reference)
    if not wrong or getattr(value, "shape", None) != np.shape(reference):
        return wrong
    told = np.abs(np.einsum("oc,nchw->nohw", np.asarray(inputs["weight"]), value)).max()
    if told > 1e-6:
        return f"the layer sees it: it answers with numbers up to {told:.3g}"
    return "the layer cannot see it, but it is not the part of this map that the layer cannot see"


# What heads add


def fading(rng: Random, heads: int, alike: bool) -> Inputs:
    """Layers with their gains, and heads, one of them not behind the last layers."""
    n = rng.randrange(5, 9)
    gain = rng.choice((0.25, 0.5, 0.75, 2.0))
    gains = [gain if alike else rng.choice((0.25, 0.5, 0.75, 1.25, 2.0)) for _ in range(n)]
    return dict(
        gains=gains, heads=sorted(rng.sample(range(2, n - 1), heads)), weight=rng.choice((0.25, 0.5, 0.75))
    )


# A thinner module

GIVEN = ("OUT", "LARGE", "MACS")
READS, SIDE = 528, 14
ROW = ("c1", "reduce3", "c3", "reduce5", "c5", "pool")


def macs(row: list[int]) -> int:
    """Multiply-adds of the reduced module with this row, on a map of READS channels."""
    c1, reduce3, c3, reduce5, c5, pool = row
    points = READS * (c1 + reduce3 + reduce5 + pool)
    return SIDE**2 * (points + 9 * reduce3 * c3 + 25 * reduce5 * c5)


@judges_lists
def right_form(value: object, reference: object, inputs: Inputs) -> str:
    """Six widths, as many channels out as asked for, reductions not too thin."""
    if (
        type(value) not in (list, tuple)
        or len(value) != 6
        or not all(is_whole(n, 1) and n <= 10_000 for n in value)
    ):
        return f"thin_row() must return six whole numbers of at least 1: {', '.join(ROW)}"
    c1, reduce3, c3, reduce5, c5, pool = value
    if (out := c1 + c3 + c5 + pool) != inputs["OUT"]:
        return f"{out} channels come out, {inputs['OUT']} are asked for"
    if 8 * reduce3 < c3 or 8 * reduce5 < c5:
        return "a reduction has less than an eighth of the channels of its window"
    if min(c3, c5) < 32:
        return "a large window has fewer than 32 channels"
    if c3 + c5 < inputs["LARGE"]:
        return f"the large windows put out {c3 + c5} channels, at least {inputs['LARGE']} are asked for"
    return ""


@judges_lists
def thin_enough(value: object, reference: object, inputs: Inputs) -> str:
    """The right form, within the budget."""
    if wrong := right_form(value, reference, inputs):
        return wrong
    needed, most = macs(value), inputs["MACS"] * 10**6
    return "" if needed <= most else f"the module needs {needed:,} MACs, {most:,} are allowed"


READING = (
    "A module reads what the four paths of the row above put out together; a reduction is no path's end."
)
COUNT = (
    "Six convolutions: which of them read the module's input, and which read a reduction? Leave biases out."
)
UNITS = "The table's K is 1,024 weights, its M is a million multiply-adds, at every place of the map."
STACK = "Four ends, stacked in the order 1×1, 3×3, 5×5, pool; all paths keep the size of the map."
RELU = "Every one of the six convolutions is followed by its ReLU, and nothing else is."
PADDED = "The pool comes first in its path, and what lies beyond the edge must never be its maximum."
BLIND = "Which columns of numbers does the matrix turn into zeros? Take the rest of the column away, no more."
ANGLES = (
    "Rows at other angles or of other lengths than 1: when is a transpose an inverse, and what is one here?"
)
RANK = "Rows that are sums of others show no new direction: count directions by rank, not by rows."
REACH = "A head pulls at its own layer and at those in front of it. Nothing flows into the layers behind."
FADE = "Two gradients arrive at a layer's output: from the end through all later layers, from a head through fewer."

TABLE_1 = [
    ["3a", 28, 64, 96, 128, 16, 32, 32, 159, 128],
    ["3b", 28, 128, 128, 192, 32, 96, 64, 380, 304],
    ["4a", 14, 192, 96, 208, 16, 48, 64, 364, 73],
    ["4b", 14, 160, 112, 224, 24, 64, 64, 437, 88],
    ["4c", 14, 128, 128, 256, 24, 64, 64, 463, 100],
    ["4d", 14, 112, 144, 288, 32, 64, 64, 580, 119],
    ["4e", 14, 256, 160, 320, 32, 128, 128, 840, 170],
    ["5a", 7, 256, 160, 320, 32, 128, 128, 1072, 54],
    ["5b", 7, 384, 192, 384, 48, 128, 128, 1388, 71],
]  # name, side of the map, six widths, params in K, operations in M: the paper's

MISPRINTS = Exercise(
    "misprints",
    practice=(
        Case(dict(rows=TABLE_1[:1], c_in=192), [[], []], COUNT),
        Case(dict(rows=[["a", 28, 64, 96, 128, 16, 32, 32, 163, 128]], c_in=192), [["a"], []], UNITS),
        Case(dict(rows=[["a", 28, 64, 96, 128, 16, 32, 32, 159, 256]], c_in=192), [[], ["a"]], UNITS),
        Case(dict(rows=TABLE_1[:2], c_in=192), [[], []], READING),
        Case(
            dict(rows=TABLE_1, c_in=192),
            [["4a", "4c", "4d", "4e", "5a", "5b"], ["5a"]],
            "The whole table. " + READING,
        ),
    ),
)


def single(*values: float) -> list:
    """A 1 x 1 convolution on one channel without bias, a unit for each value."""
    return [[[[[v]]] for v in values], [0.0] * len(values)]


def centred(size: int, value: float) -> list:
    """A window on one channel that multiplies its middle pixel."""
    window = [[0.0] * size for _ in range(size)]
    window[size // 2][size // 2] = value
    return [[[window]], [0.0]]


CROSS = [[[[0.0, 1.0, 0.0], [2.0, 5.0, 3.0], [0.0, 4.0, 0.0]]]]

FOUR_PATHS = Exercise(
    "four_paths",
    practice=(
        Case(
            dict(
                x=[[[[1.0]]]],
                layers=[single(2.0), single(1.0), centred(3, 3.0), single(1.0), centred(5, 5.0), single(7.0)],
            ),
            [[[[2.0]], [[3.0]], [[5.0]], [[7.0]]]],
            STACK,
            path_by_path,
        ),
        Case(
            dict(
                x=CROSS,
                layers=[
                    single(0.0),
                    single(1.0),
                    [[[[[1.0] * 3] * 3]], [0.0]],
                    single(0.0),
                    centred(5, 0.0),
                    single(0.0),
                ],
            ),
            [
                [
                    [[0.0] * 3] * 3,
                    [[8.0, 11.0, 9.0], [12.0, 15.0, 13.0], [11.0, 14.0, 12.0]],
                    [[0.0] * 3] * 3,
                    [[0.0] * 3] * 3,
                ]
            ],
            STACK,
            path_by_path,
        ),
        Case(
            dict(
                x=CROSS,
                layers=[single(0.0), single(0.0), centred(3, 0.0), single(0.0), centred(5, 0.0), single(1.0)],
            ),
            [[[[0.0] * 3] * 3] * 3 + [[[5.0] * 3] * 3]],
            "The maximum over 3×3, in steps of 1, then the 1×1.",
            path_by_path,
        ),
        Case(
            dict(
                x=[[[[1.0]]]],
                layers=[
                    single(-1.0),
                    single(-1.0),
                    centred(3, -1.0),
                    single(1.0),
                    centred(5, -1.0),
                    single(-1.0),
                ],
            ),
            [[[[0.0]]] * 4],
            RELU,
            path_by_path,
        ),
        Case(
            dict(
                x=[[[[1.0]]]],
                layers=[single(1.0), single(2.0), centred(3, 1.0), single(3.0), centred(5, 1.0), single(1.0)],
            ),
            [[[[1.0]], [[2.0]], [[3.0]], [[1.0]]]],
            "Each large window has a reduction of its own.",
            path_by_path,
        ),
        Case(
            dict(
                x=[[[[-1.0, -3.0]]]],
                layers=[
                    single(1.0),
                    single(1.0),
                    centred(3, 1.0),
                    single(1.0),
                    centred(5, 1.0),
                    single(-1.0),
                ],
            ),
            [[[[0.0, 0.0]]] * 3 + [[[1.0, 1.0]]]],
            PADDED,
            path_by_path,
        ),
    ),
    probes=(
        Probe(
            "positive maps and weights, where a ReLU changes nothing",
            1,
            lambda rng: module(rng, False),
            6,
            path_by_path,
            STACK,
        ),
        Probe("both signs", 2, lambda rng: module(rng, True), 6, path_by_path, f"{RELU} {PADDED}"),
    ),
    run=run_paths,
)

UNSEEN_PART = Exercise(
    "unseen_part",
    practice=(
        Case(dict(x=[[[[3.0]], [[4.0]]]], weight=[[1.0, 0.0]]), [[[[0.0]], [[4.0]]]], BLIND, invisible),
        Case(
            dict(x=[[[[1.0]], [[1.0]]]], weight=[[3.0, 0.0]]),
            [[[[0.0]], [[1.0]]]],
            "The layer looks in the same direction, only its row is longer.",
            invisible,
        ),
        Case(dict(x=[[[[3.0]], [[1.0]]]], weight=[[1.0, 1.0]]), [[[[1.0]], [[-1.0]]]], ANGLES, invisible),
        Case(
            dict(x=[[[[1.0]], [[2.0]], [[5.0]]]], weight=[[1.0, 0.0, 0.0], [1.0, 1.0, 0.0]]),
            [[[[0.0]], [[0.0]], [[5.0]]]],
            "Two rows that are not at right angles see a plane between them.",
            invisible,
        ),
        Case(
            dict(x=[[[[3.0]], [[1.0]]]], weight=[[1.0, 1.0], [2.0, 2.0]]),
            [[[[1.0]], [[-1.0]]]],
            RANK,
            invisible,
        ),
    ),
    probes=(
        Probe("rows of length 1 at right angles", 1, right_angles, 6, invisible, BLIND),
        Probe("rows at any angle", 2, oblique, 6, invisible, ANGLES),
        Probe("rows that are sums of others", 1, dependent, 6, invisible, RANK),
    ),
    run=run_unseen,
)

HEAD_FACTORS = Exercise(
    "head_factors",
    practice=(
        Case(dict(gains=[0.5, 0.5], heads=[], weight=0.3), [1.0, 1.0], "Without heads nothing is added."),
        Case(dict(gains=[1.0, 1.0, 1.0], heads=[2], weight=0.5), [1.5, 1.5, 1.0], REACH),
        Case(dict(gains=[0.5, 0.5, 0.5, 0.5], heads=[2], weight=0.25), [2.0, 2.0, 1.0, 1.0], FADE),
        Case(dict(gains=[0.25, 0.5, 2.0, 0.5], heads=[1, 3], weight=0.5), [3.0, 2.0, 2.0, 1.0], FADE),
    ),
    probes=(
        Probe("one head, all layers alike", 1, lambda rng: fading(rng, 1, True), hint=REACH),
        Probe("two heads, layers of all kinds", 2, lambda rng: fading(rng, 2, False), hint=FADE),
    ),
)

THIN_ROW = Exercise(
    "thin_row",
    practice=(
        Case(
            {},
            None,
            "Four of the six numbers count as channels out; the other two are what the windows read.",
            right_form,
        ),
        Case(
            {},
            None,
            "What does one more channel out cost: on the 1×1 path, on the 3×3 path, on the 5×5 path? Shift channels.",
            thin_enough,
        ),
    ),
    probes=(
        Probe(
            "the right channels, reductions not too thin",
            1,
            nothing,
            1,
            right_form,
            "Channels out are those of the four ends: c1, c3, c5 and pool.",
        ),
        Probe(
            "and within the budget",
            3,
            nothing,
            1,
            thin_enough,
            "Thin the reductions as far as you may, then move channels to the path where they are cheapest.",
        ),
    ),
    given=GIVEN,
)

SHEET = Sheet(
    "googlenet",
    1,
    exercises=(MISPRINTS, FOUR_PATHS, UNSEEN_PART, HEAD_FACTORS, THIN_ROW),
    manual={"letter_to_authors": 4},
    imports={"math": "math", "torch": "torch", "nn": "torch.nn", "F": "torch.nn.functional"},
    shortcuts=("arch", "inception", "naive", "torchvision", "trace"),
)
