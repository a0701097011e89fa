"""Sheet *VGG*: an exchange of windows, two windows made one, a lost row, a linear probe, what to break up."""

from __future__ import annotations

import io
from functools import cache
from random import Random

from cnnlib.grading.sheet import Case, Exercise, Inputs, Probe, Sheet, nothing, numbers
from cnnlib.grading.values import is_whole, judges_arrays, judges_lists, same

# Two windows made one


def pair_case(rng: Random, channels: bool, bias: bool) -> Inputs:
    """Two convolutions in a row; with one channel each, or with three numbers of channels that differ."""
    c_in, middle, c_out = rng.sample((2, 3, 4), 3) if channels else (1, 1, 1)
    first, second = rng.sample((2, 3, 5), 2) if channels else (3, 3)
    return dict(
        a=numbers(rng, middle, c_in, first, first),
        a_bias=numbers(rng, middle, zero=False) if bias else [0.0] * middle,
        b=numbers(rng, c_out, middle, second, second),
        b_bias=numbers(rng, c_out, zero=False) if bias else [0.0] * c_out,
    )


def run_one_window(ns, **inputs):
    """Call the answer with tensors."""
    import torch

    return ns["one_window"](*(torch.tensor(inputs[name]) for name in ("a", "a_bias", "b", "b_bias")))


def kernel_and_bias(value: object, reference: object, inputs: Inputs) -> str:
    """Which of the two is wrong, and how."""
    if type(value) not in (list, tuple) or len(value) != 2:
        return "one_window() must return two tensors, (kernel, bias)"
    for name, got, right in zip(("kernel", "bias"), value, reference, strict=True):
        if wrong := same(got, right):
            return f"the {name}: {wrong}"
    return ""


# A row lost from a bill


def bill_rows(plan: list, side: int) -> list[tuple[int, int]]:
    """MACs and outputs of each convolution of a plan, on an image of 3 channels."""
    rows, c_in = [], 3
    for item in plan:
        if item == "M":
            side //= 2
        else:
            rows.append((9 * c_in * item * side**2, item * side**2))
            c_in = item
    return rows


def bill_case(rng: Random, kind: str) -> Inputs:
    """Totals of a plan with one row left out: "one" stage, "unlike" layers, or "vgg"'s two rules."""
    if kind == "one":
        plan, side = rng.sample(range(8, 65, 4), rng.randrange(4, 7)), rng.randrange(20, 40)
    elif kind == "unlike":
        widths = rng.sample(range(8, 97, 4), 6)
        plan, side = [*widths[:2], "M", *widths[2:4], "M", *widths[4:]], rng.choice((27, 37, 45, 55))
    else:
        plan, side = [], 16 * rng.randrange(3, 9)
        for width in (16, 32, 64, 128):
            plan += [width * rng.choice((1, 1, 1, 2))] if width == 128 else [width] * rng.randrange(2, 5)
            plan += ["M"]
    rows = bill_rows(plan, side)
    lost = rng.randrange(2, len(rows)) if kind == "vgg" else rng.randrange(1, len(rows))
    macs, outputs = (sum(row[i] for row in rows) - rows[lost][i] for i in (0, 1))
    return dict(plan=plan, side=side, macs=macs, outputs=outputs)


# A linear probe on features of real digits

MAPS, IMAGES, DIGITS = 32, 200, 10
ENOUGH, ASKED = 68, 79  # per cent of new images
OPEN = 1  # the images of a check in the notebook


@cache
def shipped() -> dict:
    """The small MNIST that comes with the course."""
    import numpy as np

    from cnnlib.resources import read  # not there where student code runs, nor are the images

    archive = np.load(io.BytesIO(read("mnist_5k.npz")))
    return {name: archive[name] for name in archive.files}


def frozen(images):
    """What two convolutions of 3 x 3 with fixed random weights, each with ReLU and pool, make of (N, 28, 28) bytes."""
    import numpy as np

    rng = np.random.default_rng(0)
    n, c_in = len(images), 1
    x = (images.astype("float32") / 255).reshape(n, 1, 14, 2, 14, 2).max((3, 5))
    for side in (12, 4):
        weight = rng.standard_normal((MAPS, c_in, 3, 3)) / 3 / c_in**0.5
        windows = np.lib.stride_tricks.sliding_window_view(x, (3, 3), (2, 3))
        x = np.maximum(np.tensordot(windows, weight, ((1, 4, 5), (1, 2, 3))).transpose(0, 3, 1, 2), 0)
        x, c_in = x.reshape(n, MAPS, side // 2, 2, side // 2, 2).max((3, 5)), MAPS
    return x.reshape(n, -1)


@cache
def alive():
    """The features that say something, and a size for each: no layer of this network normalises."""
    import numpy as np

    x = frozen(shipped()["x_train"][:1000])
    places = np.flatnonzero(((x > 0).mean(0) > 0.3) & (x.std(0) > 0.1 * x.mean(0)))
    return places, 10 ** np.random.default_rng(1).uniform(-1.5, 1.5, len(places))


def features(images):
    """(N, D) for (N, 28, 28) bytes, to four digits."""
    import numpy as np

    places, size = alive()
    x = frozen(images)[:, places] * size
    return np.round(x / size, 4) * size


@cache
def new_features():
    """The features of all test images."""
    return features(shipped()["x_test"])


def digits(rng: Random) -> Inputs:
    """Features of twenty images of each digit, and the digits."""
    import numpy as np

    y = shipped()["y_train"]
    share = IMAGES // DIGITS
    pick = [i for digit in range(DIGITS) for i in rng.sample(np.flatnonzero(y == digit).tolist(), share)]
    rng.shuffle(pick)
    return dict(x=features(shipped()["x_train"][pick]).tolist(), y=y[pick].tolist())


def run_probe(ns, x=None, y=None):
    """Give the answer features and labels; what it learned comes back, and is tried on other images outside."""
    import torch

    if x is None:  # a check in the notebook, where the images are at hand
        x, y = digits(Random(OPEN)).values()
    return ns["linear_probe"](torch.tensor(x, dtype=torch.float32), torch.tensor(y))


def right_share(weight, bias) -> tuple[float, int]:
    """Per cent of the test images that a linear layer gets right, and how many digits it ever answers with."""
    answers = (new_features() @ weight.T + bias).argmax(1)
    return 100 * float((answers == shipped()["y_test"]).mean()), len(set(answers.tolist()))


def reads_digits(least: int):
    """A judge: at least ``least`` per cent of the test images right."""

    @judges_arrays
    def judge(value: object, reference: object, inputs: Inputs) -> str:
        import numpy as np

        if type(value) is not list or len(value) != 2 or not all(hasattr(t, "dtype") for t in value):
            return "linear_probe() must return two tensors, (weight, bias)"
        weight, bias = (np.asarray(t, "float64") for t in value)
        shape = (DIGITS, new_features().shape[1])
        if weight.shape != shape or bias.shape != (DIGITS,):
            return (
                f"a weight of {list(shape)} and a bias of [{DIGITS}] are needed, "
                f"not {list(weight.shape)} and {list(bias.shape)}"
            )
        if not (np.isfinite(weight).all() and np.isfinite(bias).all()):
            return "the layer holds numbers that are not finite: did the training blow up?"
        share, answers = right_share(weight, bias)
        if share >= least:
            return ""
        said = f"{share:.0f} % of the new images come out right, {least} % are asked for"
        return said + (f"; the layer only ever says {answers} of the 10 digits" if answers < 8 else "")

    return judge


# Which windows to break up

GIVEN = ("MACS", "MAPS")
LAYERS = ((11, 3, 64, 55), (5, 64, 128, 27), (7, 128, 128, 27), (7, 128, 256, 13), (9, 256, 256, 13))


def totals(stacks: list[list[int]]) -> tuple[int, int]:
    """MACs, and numbers put out, of all convolutions of the five stacks."""
    macs = outputs = 0
    for windows, (_, c_in, c_out, side) in zip(stacks, LAYERS, strict=True):
        for kernel in windows:
            macs += kernel**2 * c_in * c_out * side**2
            outputs += c_out * side**2
            c_in = c_out
    return macs, outputs


@judges_lists
def sees_as_much(value: object, reference: object, inputs: Inputs) -> str:
    """Five stacks of odd windows that see what the five windows saw, within the MACs."""
    if type(value) not in (list, tuple) or len(value) != len(LAYERS):
        return f"break_up() must return {len(LAYERS)} lists, one for each layer"
    for number, (windows, (kernel, *_)) in enumerate(zip(value, LAYERS, strict=True), 1):
        if type(windows) not in (list, tuple) or not windows:
            return f"layer {number} must be a list of windows, such as [{kernel}]"
        if not all(is_whole(k, 3) and k % 2 for k in windows):
            return f"the windows of layer {number} must be odd whole numbers of at least 3"
        if (seen := 1 + sum(k - 1 for k in windows)) != kernel:
            return f"the windows of layer {number} see {seen} pixels together, and it must be {kernel}"
    macs, most = totals(value)[0], inputs["MACS"] * 10**6
    return "" if macs <= most else f"the stacks need {macs:,} MACs, {most:,} are allowed"


@judges_lists
def keeps_few(value: object, reference: object, inputs: Inputs) -> str:
    """Sees as much, within the MACs and within the memory."""
    if wrong := sees_as_much(value, reference, inputs):
        return wrong
    outputs, most = totals(value)[1], inputs["MAPS"] * 1000
    return "" if outputs <= most else f"training keeps {outputs:,} numbers, {most:,} are allowed"


STACK = "Each layer of 3×3 adds two pixels to what a unit sees. How many make up the window?"
WIDEN = "The first layer of the stack reads c_in channels. What do the others read?"
SLIDE = "What do the two layers answer to an image that is 0 but for a single 1? Mind the flip."
THROUGH = (
    "Sum over the channels in the middle: from each input channel to each output channel, over all paths."
)
PASSED = "The first bias goes through the second layer: each of its weights reads it once."
BOTH = (
    "A row fits if both totals fit. Rows with the same MACs may put out different numbers, and the reverse."
)
STAGES = "A pool halves the map, rounded down, and is no row. Layers that are alike cannot be told apart."
SIZES = "What does a step of training change in the weight of the largest feature, and what in that of the smallest?"
FEW = "How many of the 200 does your layer get right, and how many of others? What keeps the two together?"
SAVED = "List the MACs of every stack that each of the five could be. Is the one of 3×3 always the cheapest?"
PRICE = "Which of your stacks puts out most numbers, and what does it save for them?"

EXCHANGE = Exercise(
    "exchange",
    practice=(
        Case(dict(kernel=5, c_in=1, c_out=1), [2, 25, 18], STACK),
        Case(dict(kernel=7, c_in=64, c_out=64), [3, 200_704, 110_592], STACK),
        Case(dict(kernel=5, c_in=1, c_out=2), [2, 50, 54], WIDEN),
        Case(dict(kernel=11, c_in=3, c_out=64), [5, 23_232, 149_184], WIDEN),
        Case(dict(kernel=3, c_in=64, c_out=128), [1, 73_728, 73_728], STACK),
    ),
)

ONE = [[[[1.0]]]]

ONE_WINDOW = Exercise(
    "one_window",
    practice=(
        Case(
            dict(a=[[[[2.0]]]], a_bias=[0.0], b=[[[[3.0]]]], b_bias=[0.0]),
            [[[[[6.0]]]], [0.0]],
            "Windows of one pixel: two factors make one.",
            kernel_and_bias,
        ),
        Case(
            dict(a=[[[[1.0, 2.0], [3.0, 4.0]]]], a_bias=[0.0], b=[[[[0.0, 1.0], [0.0, 0.0]]]], b_bias=[0.0]),
            [[[[[0.0, 1.0, 2.0], [0.0, 3.0, 4.0], [0.0, 0.0, 0.0]]]], [0.0]],
            "The second window looks one place to the right, so the first window's numbers move to the right.",
            kernel_and_bias,
        ),
        Case(
            dict(a=[ONE[0], [[[10.0]]]], a_bias=[0.0, 0.0], b=[[[[1.0]], [[2.0]]]], b_bias=[0.0]),
            [[[[[21.0]]]], [0.0]],
            THROUGH,
            kernel_and_bias,
        ),
        Case(
            dict(a=[[[[1.0]], [[10.0]]]], a_bias=[0.0], b=[[[[3.0]]]], b_bias=[0.0]),
            [[[[[3.0]], [[30.0]]]], [0.0]],
            "The kernel is out × in × …: each output has a window for each input.",
            kernel_and_bias,
        ),
        Case(
            dict(
                a=[[[[1.0, 2.0], [0.0, 0.0]]]],
                a_bias=[0.0],
                b=[[[[1.0, 0.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 3.0]]]],
                b_bias=[0.0],
            ),
            [
                [[[[1.0, 2.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0], [0.0, 0.0, 3.0, 6.0], [0.0, 0.0, 0.0, 0.0]]]],
                [0.0],
            ],
            "Windows of 2 and 3 pixels: a unit after both reads 4 pixels a side.",
            kernel_and_bias,
        ),
        Case(
            dict(
                a=[[[[1.0]], [[0.0]]], [[[0.0]], [[2.0]]], [[[3.0]], [[3.0]]]],
                a_bias=[1.0, 0.0, -1.0],
                b=[
                    [[[1.0, 0.0], [0.0, 0.0]], [[0.0, 1.0], [0.0, 0.0]], [[0.0, 0.0], [0.0, 0.0]]],
                    [[[0.0, 0.0], [0.0, 0.0]], [[0.0, 0.0], [2.0, 0.0]], [[0.0, 0.0], [0.0, 1.0]]],
                ],
                b_bias=[0.5, 0.0],
            ),
            [
                [
                    [[[1.0, 0.0], [0.0, 0.0]], [[0.0, 2.0], [0.0, 0.0]]],
                    [[[0.0, 0.0], [0.0, 3.0]], [[0.0, 0.0], [4.0, 3.0]]],
                ],
                [1.5, -1.0],
            ],
            "Two inputs, three channels in the middle, two outputs: each output has a window for each input, and "
            "a bias of its own.",
            kernel_and_bias,
        ),
        Case(
            dict(a=ONE, a_bias=[1.0], b=[[[[2.0, 3.0], [0.0, 0.0]]]], b_bias=[0.5]),
            [[[[[2.0, 3.0], [0.0, 0.0]]]], [5.5]],
            PASSED,
            kernel_and_bias,
        ),
    ),
    probes=(
        Probe("one channel", 1, lambda rng: pair_case(rng, False, False), 6, kernel_and_bias, SLIDE),
        Probe("several channels", 1, lambda rng: pair_case(rng, True, False), 6, kernel_and_bias, THROUGH),
        Probe("biases", 1, lambda rng: pair_case(rng, True, True), 6, kernel_and_bias, PASSED),
    ),
    run=run_one_window,
)

LEFT_OUT = Exercise(
    "left_out",
    practice=(
        Case(
            dict(plan=[2, 4], side=4, macs=864, outputs=32), [2], "Rows: 864 MACs, 32 outputs; 1152 and 64."
        ),
        Case(dict(plan=[4, 4, 4], side=2, macs=1008, outputs=32), [2, 3], STAGES),
        Case(dict(plan=[4, 4, "M", 8, 8], side=4, macs=5184, outputs=160), [4], BOTH),
        Case(dict(plan=[4, 4, "M", 8, 8], side=4, macs=6336, outputs=160), [3], BOTH),
        Case(dict(plan=[4, "M", 8], side=5, macs=1152, outputs=32), [1], STAGES),
        Case(
            dict(
                plan=[64, 64, "M", 128, 128, "M", 256, 256, 256, "M", 512, 512, 512, "M", 512, 512, 512],
                side=224,
                macs=13_496_942_592,
                outputs=12_744_704,
            ),
            [6, 7],
            "The lecture's slip, from the chapter, without the linear layers.",
        ),
    ),
    probes=(
        Probe("one stage", 1, lambda rng: bill_case(rng, "one"), hint=BOTH),
        Probe("several stages, no two layers alike", 1, lambda rng: bill_case(rng, "unlike"), hint=STAGES),
        Probe("VGG's two rules", 2, lambda rng: bill_case(rng, "vgg"), 24, hint=BOTH + " " + STAGES),
    ),
)

LINEAR_PROBE = Exercise(
    "linear_probe",
    practice=(
        Case({}, None, SIZES, reads_digits(ENOUGH)),
        Case({}, None, FEW, reads_digits(ASKED)),
    ),
    probes=(
        Probe(f"{ENOUGH} % of new images", 1, digits, 1, reads_digits(ENOUGH), SIZES),
        Probe(f"{ASKED} % of new images", 3, digits, 1, reads_digits(ASKED), FEW),
    ),
    run=run_probe,
)

BREAK_UP = Exercise(
    "break_up",
    practice=(
        Case({}, None, SAVED, sees_as_much),
        Case({}, None, PRICE, keeps_few),
    ),
    probes=(
        Probe("sees as much, within the MACs", 1, nothing, 1, sees_as_much, SAVED),
        Probe("and within the memory", 3, nothing, 1, keeps_few, PRICE),
    ),
    given=GIVEN,
)

SHEET = Sheet(
    "vgg",
    2,
    exercises=(EXCHANGE, ONE_WINDOW, LEFT_OUT, LINEAR_PROBE, BREAK_UP),
    manual={"why_it_stopped": 4},
    imports={"math": "math", "torch": "torch", "nn": "torch.nn", "F": "torch.nn.functional"},
    shortcuts=("arch", "vgg16", "transfer", "Frozen", "datasets", "torchvision", "trace"),
)
