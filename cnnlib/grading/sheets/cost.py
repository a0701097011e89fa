"""Sheet *What a layer costs*: output size, weights, work, memory, receptive field, a stem under a budget."""

from __future__ import annotations

from random import Random

from cnnlib.grading.sheet import Case, Exercise, Probe, Sheet, nothing
from cnnlib.grading.values import is_whole, judges_lists

# Weights and work


def conv(rng: Random, stride: int = 1, groups: int = 1, square: bool = False) -> dict[str, object]:
    """A convolution: on a square map with padding that keeps its size, or on one that is not square."""
    kernel = rng.choice((3, 5, 7))
    height, width = rng.sample(range(12, 60), 2)
    c_in, c_out = (groups * n for n in rng.sample(range(2, 20), 2))
    if square:
        width, pad = height, kernel // 2
    else:
        pad = rng.randrange(kernel // 2 + 1) if groups == 1 else 0
    return dict(
        c_in=c_in,
        c_out=c_out,
        kernel=kernel,
        height=height,
        width=width,
        stride=stride,
        pad=pad,
        groups=groups,
    )


def leftover(rng: Random) -> dict[str, object]:
    """A strided convolution whose last window hangs over the edge of the map."""
    while True:
        case = conv(rng, stride=rng.choice((2, 3)))
        room = case["height"] + 2 * case["pad"] - case["kernel"]
        if room % case["stride"]:
            return case


# Memory


def maps(rng: Random, layers: int, batch: int = 1, dtype: str = "float32") -> dict[str, object]:
    """The maps of a chain of layers, as [channels, height, width]; the two largest are no neighbours."""
    while True:
        channels = [3, *(rng.randrange(1, 60) for _ in range(layers))]
        sides = sorted((rng.randrange(10, 60) for _ in channels), reverse=True)
        chain = [[c, side, side + rng.randrange(1, 5)] for c, side in zip(channels, sides, strict=True)]
        small_to_large = sorted(range(len(chain)), key=lambda i: chain[i][0] * chain[i][1] * chain[i][2])
        if layers == 1 or abs(small_to_large[-1] - small_to_large[-2]) > 1:
            return dict(maps=chain, batch=batch, dtype=dtype)


def run_memory(ns, maps, **rest):
    """Call the answer with tuples, as the text promises."""
    return ns["peak_memory"]([tuple(shape) for shape in maps], *rest.values())


# Receptive field


def chain(rng: Random, strides=(1,), dilations=(1,)) -> dict[str, object]:
    """Three to six layers (kernel, stride, dilation), with every stride and every dilation among them."""
    n = rng.randrange(3, 7)
    columns = [
        [rng.choice((2, 3, 5, 7)) for _ in range(n)],
        *(rng.sample([*some, *rng.choices(some, k=n)][:n], n) for some in (strides, dilations)),
    ]
    return dict(layers=[list(layer) for layer in zip(*columns, strict=True)])


def run_field(ns, layers):
    """Call the answer with tuples, as the text promises."""
    return ns["receptive_field"]([tuple(layer) for layer in layers])


# A stem under a budget

GIVEN = ("SIDE", "CHANNELS", "SEES", "MACS", "PARAMS")


def totals(layers: list[tuple[int, int, int, int]], side: int) -> tuple[int, int, int, int]:
    """Last side, pixels seen, MACs, parameters of convolutions (c_out, kernel, stride, pad) on 3 channels."""
    from cnnlib.shapes import Span, out_size  # judges run outside; where student code runs, it is not there

    c_in, span, macs, params = 3, Span(), 0, 0
    for c_out, kernel, stride, pad in layers:
        side = out_size(side, kernel, stride, pad)
        span = span.through(kernel, stride, pad)
        params += c_out * (c_in * kernel**2 + 1)
        macs += side**2 * c_out * c_in * kernel**2
        c_in = c_out
    return side, span.size, macs, params


@judges_lists
def form(layers: object, reference: object, inputs: dict) -> str:
    """Layers that can be built, read every pixel, and put out the map that is asked for."""
    if type(layers) is not list or not 1 <= len(layers) <= 20:
        return "stem() must return a list of 1 to 20 layers"
    for place, layer in enumerate(layers, 1):
        if type(layer) not in (list, tuple) or len(layer) != 4:
            return f"layer {place} must be (c_out, kernel, stride, pad)"
        if not all(is_whole(value, least) for value, least in zip(layer, (1, 1, 1, 0), strict=True)):
            return f"layer {place} must hold whole numbers, pad at least 0 and the others at least 1"
        if max(layer) > 10_000:
            return f"layer {place} holds a number above 10,000"
        if layer[2] > layer[1]:
            return f"layer {place} has a stride larger than its kernel, so it skips pixels"
        if layer[3] >= layer[1]:
            return f"layer {place} has a pad as large as its kernel, so some windows see only zeros"
        least = -(-inputs["CHANNELS"] // (8 if place == 1 else 4))  # fewer would let hardly anything pass
        if layer[0] < least:
            return f"layer {place} puts out {layer[0]} channels, at least {least} are asked for"
    try:
        side = totals(layers, inputs["SIDE"])[0]
    except ValueError:
        return "the kernel of one layer is larger than its padded map"
    if side != inputs["SIDE"] // 8:
        return f"the last map has {side} pixels a side, {inputs['SIDE'] // 8} are asked for"
    if layers[-1][0] != inputs["CHANNELS"]:
        return f"the last map has {layers[-1][0]} channels, {inputs['CHANNELS']} are asked for"
    return ""


@judges_lists
def cheap(layers: object, reference: object, inputs: dict) -> str:
    """The right form, and within both budgets."""
    if wrong := form(layers, reference, inputs):
        return wrong
    _, _, macs, params = totals(layers, inputs["SIDE"])
    if macs > (most := inputs["MACS"] * inputs["SIDE"] ** 2):
        return f"the stem needs {macs:,} MACs, {most:,} are allowed"
    if params > inputs["PARAMS"]:
        return f"the stem has {params:,} parameters, {inputs['PARAMS']:,} are allowed"
    return ""


@judges_lists
def wide(layers: object, reference: object, inputs: dict) -> str:
    """The right form, within both budgets, and seeing enough."""
    if wrong := cheap(layers, reference, inputs):
        return wrong
    sees = totals(layers, inputs["SIDE"])[1]
    return (
        ""
        if sees >= inputs["SEES"]
        else f"the receptive field is {sees} pixels wide, at least {inputs['SEES']} are asked for"
    )


ROUND_DOWN = "A window that does not fit whole is dropped. How many whole steps fit?"
MAC = "One product of every weight at every place; biases are additions, and a MAC is not two FLOPs."
GROUPS = "A filter reads only the channels of its own group. How many are that?"
PLACES = "Count the places first: along the height, along the width, after stride and padding."
TWO_MAPS = "Only two maps are held at a time: the one that a layer reads and the one that it writes."
DILATED = "How far apart are the first and the last tap of a dilated window?"
APART = "How many image pixels lie between two neighbours of the map that this layer reads?"

CONV_OUT = Exercise(
    "conv_out",
    practice=(
        Case(dict(n=7, kernel=3, stride=2), 3, "The window starts at pixel 0, 2 and 4: count the starts."),
        Case(dict(n=28, kernel=5, stride=1, pad=2), 28, "Zeros are added at each of the two ends."),
        Case(dict(n=25, kernel=2, stride=2), 12, ROUND_DOWN),
        Case(dict(n=8, kernel=3, stride=2), 3, ROUND_DOWN),
        Case(dict(n=224, kernel=7, stride=2, pad=3), 112, ROUND_DOWN),
        Case(dict(n=227, kernel=11, stride=4, pad=2), 56, ROUND_DOWN),
        Case(
            dict(n=32, kernel=3, stride=1, pad=0, dilation=4),
            24,
            "With dilation 4, three pixels of the window cover more than three pixels of the line.",
        ),
    ),
)

CONV_PARAMS = Exercise(
    "conv_params",
    practice=(
        Case(dict(c_in=3, c_out=4, kernel=1), 16, "Four filters of three weights, and what else?"),
        Case(dict(c_in=3, c_out=64, kernel=11), 23_296, "A filter has kernel x kernel weights a channel."),
        Case(dict(c_in=64, c_out=64, kernel=3, groups=1, bias=False), 36_864, "Here there is no bias."),
        Case(dict(c_in=96, c_out=256, kernel=5, groups=2), 307_456, GROUPS),
        Case(dict(c_in=64, c_out=64, kernel=3, groups=32, bias=False), 1_152, GROUPS),
    ),
)

CONV_MACS = Exercise(
    "conv_macs",
    practice=(
        Case(dict(c_in=3, c_out=4, kernel=1, height=2, width=2), 48, "Sixteen outputs, three products each."),
        Case(dict(c_in=3, c_out=5, kernel=3, height=6, width=6), 2_160, PLACES + " Biases are additions."),
        Case(dict(c_in=3, c_out=8, kernel=3, height=32, width=20, stride=2, pad=1), 34_560, PLACES),
        Case(
            dict(c_in=64, c_out=64, kernel=3, height=56, width=56, stride=1, pad=1, groups=32),
            3_612_672,
            GROUPS,
        ),
    ),
    probes=(
        Probe("a square map, stride 1", 1, lambda rng: conv(rng, square=True), hint=MAC),
        Probe("a stride, and a last window that does not fit", 1, leftover, hint=PLACES),
        Probe("groups", 1, lambda rng: conv(rng, groups=rng.choice((2, 4))), hint=GROUPS),
    ),
)

PEAK_MEMORY = Exercise(
    "peak_memory",
    practice=(
        Case(
            dict(maps=[[1, 4, 4], [2, 4, 4]]), 192, "One layer: what it reads, and what it writes, in bytes."
        ),
        Case(dict(maps=[[1, 4, 4], [2, 4, 4], [8, 2, 2]]), 256, TWO_MAPS),
        Case(dict(maps=[[8, 4, 4], [1, 4, 4], [8, 4, 4]]), 576, TWO_MAPS),
        Case(
            dict(maps=[[3, 8, 8], [8, 4, 4]], batch=10), 12_800, "Every image of the batch has its own maps."
        ),
        Case(
            dict(maps=[[3, 8, 8], [8, 4, 4]], batch=1, dtype="uint8"), 320, "How many bytes has one number?"
        ),
    ),
    probes=(
        Probe(
            "one layer", 1, lambda rng: maps(rng, 1), hint="Count what it reads and what it writes, in bytes."
        ),
        Probe("a chain of layers", 1, lambda rng: maps(rng, rng.randrange(3, 7)), hint=TWO_MAPS),
        Probe(
            "a batch, and other types",
            1,
            lambda rng: maps(
                rng, rng.randrange(2, 6), rng.randrange(2, 65), rng.choice(("float64", "float16", "uint8"))
            ),
            hint="Every image of the batch has its own maps, and a number takes 8, 4, 2 or 1 bytes.",
        ),
    ),
    run=run_memory,
)

RECEPTIVE_FIELD = Exercise(
    "receptive_field",
    practice=(
        Case(dict(layers=[]), 1, "With no layer at all, a pixel sees itself."),
        Case(dict(layers=[[3, 1, 1], [3, 1, 1]]), 5, "Neighbouring windows overlap."),
        Case(dict(layers=[[3, 2, 1], [3, 1, 1]]), 7, APART),
        Case(dict(layers=[[11, 4, 1], [3, 2, 1], [5, 1, 1], [3, 2, 1]]), 67, APART),
        Case(
            dict(layers=[[3, 1, 2]]),
            5,
            "From the first pixel to the last one, with those that are skipped between.",
        ),
        Case(dict(layers=[[3, 1, 1], [3, 1, 2], [3, 1, 3]]), 13, DILATED),
    ),
    probes=(
        Probe(
            "stride 1", 1, chain, hint="Neighbouring windows overlap: each layer adds its kernel less one."
        ),
        Probe("several strides", 1, lambda rng: chain(rng, strides=(2, 3, 2)), hint=APART),
        Probe(
            "dilation",
            1,
            lambda rng: chain(rng, dilations=(2, 3, 1)),
            hint=DILATED,
        ),
        Probe(
            "strides and dilation", 1, lambda rng: chain(rng, strides=(2, 3), dilations=(3, 2)), hint=APART
        ),
    ),
    run=run_field,
)

STEM = Exercise(
    "stem",
    practice=(
        Case({}, None, "What do all strides together make of a side?", form),
        Case(
            {},
            None,
            "Which layer costs most, and on which two things that you may choose does that depend?",
            cheap,
        ),
        Case({}, None, "By how many image pixels does each of your layers widen the receptive field?", wide),
    ),
    probes=(
        Probe("the right map, within both budgets", 1, nothing, 1, cheap),
        Probe("sees enough, within both budgets", 4, nothing, 1, wide),
    ),
    given=GIVEN,
)

SHEET = Sheet(
    "cost",
    2,
    exercises=(CONV_OUT, CONV_PARAMS, CONV_MACS, PEAK_MEMORY, RECEPTIVE_FIELD, STEM),
    manual={"shrink_first": 4},
    shortcuts=("shapes", "out_size", "Span", "trace", "torch", "torchvision"),
)
