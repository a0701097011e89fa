"""Sheet *ZFNet*: what a step folds, unpooling, a convolution run backwards, an occlusion map, a window in front."""

from __future__ import annotations

import math
from random import Random

from cnnlib.grading.sheet import Case, Exercise, Inputs, Probe, Sheet, nothing, numbers
from cnnlib.grading.values import is_number, judges_lists, same

# Unpooling


def maximum_places(row: list[list[float]], kernel: int, step: int) -> list[tuple[int, int]]:
    """Where each window of one map has its maximum."""
    tops, lefts = (range(0, n - kernel + 1, step) for n in (len(row), len(row[0])))
    return [
        max(
            ((i, j) for i in range(t, t + kernel) for j in range(s, s + kernel)),
            key=lambda p: row[p[0]][p[1]],
        )
        for t in tops
        for s in lefts
    ]


def pool_case(rng: Random, kernel: int, step: int) -> Inputs:
    """Maps of distinct numbers of both signs, and signals; where windows overlap, two share a maximum."""
    n, c, h, w = 2, 3, rng.choice((7, 8)), rng.choice((5, 6))
    rows, columns = ((side - kernel) // step + 1 for side in (h, w))
    while True:
        values = iter(rng.sample(range(-200, 200), n * c * h * w))
        x = [[[[next(values) / 8 for _ in range(w)] for _ in range(h)] for _ in range(c)] for _ in range(n)]
        places = [maximum_places(maps, kernel, step) for image in x for maps in image]
        if step >= kernel or all(len(set(found)) < len(found) for found in places):
            return dict(signal=numbers(rng, n, c, rows, columns, zero=False), x=x, kernel=kernel, step=step)


def run_unpool(ns, signal, x, kernel, step):
    """Call the answer with tensors."""
    import torch

    return ns["unpool"](torch.tensor(signal), torch.tensor(x), kernel, step)


# A convolution run backwards


def back_case(rng: Random, stride: int, pad: int) -> Inputs:
    """A signal on the output of a convolution whose input was not square; with a stride, rows are left over."""
    kernel, c_in, c_out = 3, rng.choice((2, 4)), 3
    h, w = rng.sample((6, 8), 2) if stride == 2 else rng.sample(range(5, 9), 2)
    rows, columns = ((side + 2 * pad - kernel) // stride + 1 for side in (h, w))
    return dict(
        y=numbers(rng, 2, c_out, rows, columns),
        weight=numbers(rng, c_out, c_in, kernel, kernel),
        stride=stride,
        pad=pad,
        size=[h, w],
    )


def run_spread(ns, y, weight, stride, pad, size):
    """Call the answer with tensors."""
    import torch

    return ns["spread"](torch.tensor(y), torch.tensor(weight), stride, pad, tuple(size))


# Occlusion


def cover_case(rng: Random, what: str, over: int) -> Inputs:
    """An image and a network that reads it; ``over``: pixels beyond the last square, 0 if it ends at the border."""
    side, step = rng.choice(((2, 3), (3, 3), (4, 3)))
    h, w = (side + step * n + over for n in rng.sample((1, 2, 3), 2))
    c = rng.choice((1, 3))
    return dict(
        weight=numbers(rng, c, h, w, zero=False),
        image=numbers(rng, c, h, w, zero=False),
        side=side,
        step=step,
        what=what,
    )


def run_covered(ns, weight, image, side, step, what):
    """The map, or the image after the call. The network squares a weighted sum of all pixels."""
    import torch

    weight, image = torch.tensor(weight), torch.tensor(image)
    drops = ns["covered"](lambda x: (x * weight).sum((1, 2, 3)).square(), image, side, step)
    return image if what == "image" else drops


def left_alone(value: object, reference: object, inputs: Inputs) -> str:
    """Whether the image is what it was."""
    if same(value, inputs["image"]):
        return "after the call the image that you were given is another one"
    return ""


# A window in front of a step

GIVEN = ("STEP", "LEAK", "KEEP")
WAVES = 400


def gain(window: list[float], periods: float) -> float:
    """By what factor a window makes a wave of so many periods a pixel higher or lower."""
    angle = 2 * math.pi * periods
    return math.hypot(
        sum(v * math.cos(angle * n) for n, v in enumerate(window)),
        sum(v * math.sin(angle * n) for n, v in enumerate(window)),
    )


def window_of(value: object, inputs: Inputs) -> tuple[list[float], str]:
    """The numbers of a window, or what is wrong with its form."""
    if type(value) is not list or not value or not all(is_number(v) and math.isfinite(v) for v in value):
        return [], "before_step() must return a list of numbers"
    if len(value) > (most := 3 * inputs["STEP"] - 1):
        return [], f"the window has {len(value)} numbers, {most} are allowed"
    return value, ""


@judges_lists
def keeps_slow(value: object, reference: object, inputs: Inputs) -> str:
    """Plain grey stays as it is, and slow waves come through."""
    window, wrong = window_of(value, inputs)
    if wrong:
        return wrong
    if abs(sum(window) - 1) > 0.01:
        return f"a plain grey image comes out {sum(window):.2f} times as bright"
    slowest = 1 / (6 * inputs["STEP"])
    gains = [gain(window, slowest * i / WAVES) for i in range(WAVES + 1)]
    if max(gains) > 1.1:
        return f"a slow wave comes out {max(gains):.2f} times as high"
    if 100 * min(gains) < inputs["KEEP"]:
        return f"of a slow wave {100 * min(gains):.0f} % are left, at least {inputs['KEEP']} % are asked for"
    return ""


@judges_lists
def stops_fine(value: object, reference: object, inputs: Inputs) -> str:
    """Slow waves come through, and those that the step would fold do not."""
    if wrong := keeps_slow(value, reference, inputs):
        return wrong
    window, first = window_of(value, inputs)[0], 1 / (2 * inputs["STEP"])
    found = max(gain(window, first + (0.5 - first) * i / WAVES) for i in range(WAVES + 1))
    if 100 * found <= inputs["LEAK"]:
        return ""
    return f"of a wave that is too fine {100 * found:.0f} % are left, {inputs['LEAK']} % are allowed"


SAMPLES = "How many samples are left? So many periods more or less make no difference to them."
MIRROR = "Periods can be counted from above as well: one period less than there are samples looks like one."
PLACE = "Each number goes to the place where its own window of x has its maximum, and nowhere else."
SHARED = "Windows overlap here. A place that is the maximum of two gets the sum of both numbers."
ORDER = "Channel and image have maxima of their own, and the signal keeps its sign: the ReLU comes later."
STAMP = (
    "Every number of y stamps the filter of its channel onto the pixels that it was computed from, unturned."
)
STRIDE = (
    "Stamps lie `stride` pixels apart. Cut off the padding in the end; size says how large the result is."
)
EDGE = "Where does the last square end, and where would the last one that fits?"
ALONE = "Cover a copy, a new one for each square. What is the image like at the second square?"
FALL = "Entry (r, s) belongs to the square from row r·step and column s·step, and is score before minus score after."
GREY = "The numbers of the window must add up to 1, or grey does not stay grey."
FALLOFF = (
    "Print what your window leaves of waves of 2 · STEP pixels and finer. Which shape of it has no hard edge?"
)

FOLDED_PERIODS = Exercise(
    "folded_periods",
    practice=(
        Case(dict(pixels=64, periods=20, step=4), 4, SAMPLES),
        Case(dict(pixels=64, periods=3, step=4), 3, "Slow enough: nothing happens to this wave."),
        Case(dict(pixels=64, periods=13, step=4), 3, MIRROR),
        Case(dict(pixels=96, periods=40, step=4), 8, MIRROR),
        Case(dict(pixels=96, periods=40, step=2), 8, MIRROR),
        Case(dict(pixels=48, periods=24, step=2), 0, "A wave of two pixels: every second one is the same."),
    ),
)

MAP_3 = [[[[1.0, 2.0, 0.0], [4.0, 3.0, 5.0], [6.0, 7.0, 8.0]]]]

UNPOOL = Exercise(
    "unpool",
    practice=(
        Case(
            dict(signal=[[[[10.0]]]], x=[[[[1.0, 3.0], [2.0, 0.0]]]], kernel=2, step=2),
            [[[[0.0, 10.0], [0.0, 0.0]]]],
            PLACE,
        ),
        Case(
            dict(signal=[[[[10.0]]]], x=MAP_3, kernel=2, step=2),
            [[[[0.0, 0.0, 0.0], [10.0, 0.0, 0.0], [0.0, 0.0, 0.0]]]],
            "The result is as large as x. What no window reads gets nothing.",
        ),
        Case(
            dict(
                signal=[[[[1.0]], [[-2.0]]]],
                x=[[[[1.0, 0.0], [0.0, 0.0]], [[0.0, -9.0], [-1.0, 4.0]]]],
                kernel=2,
                step=2,
            ),
            [[[[1.0, 0.0], [0.0, 0.0]], [[0.0, 0.0], [0.0, -2.0]]]],
            ORDER,
        ),
        Case(
            dict(signal=[[[[1.0, 10.0], [100.0, 1000.0]]]], x=MAP_3, kernel=2, step=1),
            [[[[0.0, 0.0, 0.0], [1.0, 0.0, 10.0], [0.0, 100.0, 1000.0]]]],
            PLACE,
        ),
        Case(
            dict(
                signal=[[[[1.0, 10.0]]]],
                x=[[[[0.0, 1.0, 2.0, 1.0, 0.0], [0.0, 0.0, 9.0, 0.0, 3.0], [1.0, 4.0, 5.0, 6.0, 7.0]]]],
                kernel=3,
                step=2,
            ),
            [[[[0.0] * 5, [0.0, 0.0, 11.0, 0.0, 0.0], [0.0] * 5]]],
            SHARED,
        ),
    ),
    probes=(
        Probe("windows side by side", 1, lambda rng: pool_case(rng, 2, 2), 6, same, PLACE + " " + ORDER),
        Probe("windows that overlap", 2, lambda rng: pool_case(rng, 3, 2), 6, same, SHARED),
    ),
    run=run_unpool,
)

CORNER = [[[[1.0, 2.0], [3.0, 4.0]]]]

SPREAD = Exercise(
    "spread",
    practice=(
        Case(
            dict(y=[[[[10.0]]]], weight=CORNER, stride=1, pad=0, size=[2, 2]),
            [[[[10.0, 20.0], [30.0, 40.0]]]],
            STAMP,
        ),
        Case(
            dict(y=[[[[1.0, 10.0]]]], weight=CORNER, stride=1, pad=0, size=[2, 3]),
            [[[[1.0, 12.0, 20.0], [3.0, 34.0, 40.0]]]],
            "Where stamps overlap they add up.",
        ),
        Case(
            dict(
                y=[[[[1.0]], [[10.0]]]],
                weight=[[[[1.0]], [[2.0]]], [[[3.0]], [[4.0]]]],
                stride=1,
                pad=0,
                size=[1, 1],
            ),
            [[[[31.0]], [[42.0]]]],
            "A pixel of channel i gets, from each channel o of y, the weight (o, i).",
        ),
        Case(
            dict(y=[[[[1.0, 10.0]]]], weight=CORNER, stride=2, pad=0, size=[3, 5]),
            [[[[1.0, 2.0, 10.0, 20.0, 0.0], [3.0, 4.0, 30.0, 40.0, 0.0], [0.0] * 5]]],
            STRIDE,
        ),
        Case(
            dict(
                y=[[[[1.0, 0.0], [0.0, 10.0]]]],
                weight=[[[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 9.0]]]],
                stride=1,
                pad=1,
                size=[2, 2],
            ),
            [[[[15.0, 26.0], [48.0, 59.0]]]],
            STRIDE,
        ),
    ),
    probes=(
        Probe("steps of 1, no padding", 1, lambda rng: back_case(rng, 1, 0), 6, same, STAMP),
        Probe("steps of 1, padding", 1, lambda rng: back_case(rng, 1, 1), 6, same, STRIDE),
        Probe("steps of 2, padding", 1, lambda rng: back_case(rng, 2, 1), 6, same, STRIDE),
    ),
    run=run_spread,
)

ONES = [[[1.0, 1.0, 1.0, 1.0]]]

COVERED = Exercise(
    "covered",
    practice=(
        Case(
            dict(weight=ONES, image=[[[1.0, 2.0, 3.0, 4.0]]], side=1, step=2, what="image"),
            None,
            "Work on a copy of the image.",
            left_alone,
        ),
        Case(
            dict(
                weight=[[[1.0, 1.0], [1.0, 0.0]]],
                image=[[[1.0, 2.0], [3.0, 4.0]]],
                side=2,
                step=1,
                what="map",
            ),
            [[36.0]],
            "One square, which covers all: the score falls from 36 to 0.",
        ),
        Case(
            dict(weight=ONES, image=[[[1.0, 2.0, 3.0, 4.0]]], side=1, step=2, what="map"),
            [[19.0, 51.0]],
            ALONE + " From 100 to 81, and to 49.",
        ),
        Case(
            dict(weight=[[[1.0], [1.0], [1.0]]], image=[[[1.0], [2.0], [3.0]]], side=1, step=1, what="map"),
            [[11.0], [20.0], [27.0]],
            EDGE + " Three rows, three squares below each other.",
        ),
    ),
    probes=(
        Probe(
            "the image stays as it was",
            1,
            lambda rng: cover_case(rng, "image", 0),
            6,
            left_alone,
            "Work on a copy of the image.",
        ),
        Probe(
            "squares that stop short of the border", 1, lambda rng: cover_case(rng, "map", 1), 6, same, FALL
        ),
        Probe("squares up to the border", 2, lambda rng: cover_case(rng, "map", 0), 6, same, EDGE),
    ),
    run=run_covered,
)

BEFORE_STEP = Exercise(
    "before_step",
    practice=(
        Case({}, None, GREY + " And a window that is too wide blurs what is slow.", keeps_slow),
        Case({}, None, FALLOFF, stops_fine),
    ),
    probes=(
        Probe("grey stays grey, and slow waves come through", 1, nothing, 1, keeps_slow, GREY),
        Probe("and the fine ones do not", 3, nothing, 1, stops_fine, FALLOFF),
    ),
    given=GIVEN,
)

SHEET = Sheet(
    "zfnet",
    1,
    exercises=(FOLDED_PERIODS, UNPOOL, SPREAD, COVERED, BEFORE_STEP),
    manual={"which_change": 4},
    imports={"math": "math", "torch": "torch", "nn": "torch.nn", "F": "torch.nn.functional"},
    shortcuts=(
        "arch",
        "probe",
        "deconvnet",
        "occlusion",
        "conv_transpose2d",
        "ConvTranspose2d",
        "autograd",
        "torchvision",
    ),
)
