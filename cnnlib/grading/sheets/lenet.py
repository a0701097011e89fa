"""Sheet *LeNet-5*: three ways to connect, a layer with holes, learned subsampling, the 1998 loss, widths."""

from __future__ import annotations

from random import Random

from cnnlib.grading.sheet import Case, Exercise, Probe, Sheet, nothing, numbers
from cnnlib.grading.values import is_whole, judges_arrays, judges_lists, same

# A layer with holes


def link_table(rng: Random, c_in: int, c_out: int) -> list[list[int]]:
    """A table of links: every map sees something, no table says all or is symmetric."""
    while True:
        links = [[rng.randrange(2) for _ in range(c_in)] for _ in range(c_out)]
        if all(map(any, links)) and not all(map(all, links)) and links[0] != links[1]:
            return links


def partial_case(rng: Random, what: str) -> dict[str, object]:
    """Maps, weights, biases and a table; weights stand in the holes, too."""
    c_in, c_out, kernel = rng.randrange(3, 6), rng.randrange(3, 6), rng.choice((2, 3))
    return dict(
        x=numbers(rng, 2, c_in, 6, 5),
        weight=numbers(rng, c_out, c_in, kernel, kernel, zero=False),
        bias=numbers(rng, c_out, zero=False),
        links=link_table(rng, c_in, c_out),
        what=what,
    )


def run_partial(ns, x, weight, bias, links, what):
    """The output, or the gradient that reaches the weights."""
    import torch

    weight = torch.tensor(weight).requires_grad_()
    out = ns["partial"](torch.tensor(x), weight, torch.tensor(bias), torch.tensor(links))
    if what == "output":
        return out
    out.square().sum().backward()
    return weight.grad


@judges_arrays
def right_gradient(value: object, reference: object, inputs: dict) -> str:
    """What is wrong with a gradient, above all whether it reaches a weight that is not there."""
    if value is None:
        return (
            "no gradient reaches the weights; were they taken out of the graph (.data, detach, torch.tensor)?"
        )
    if (wrong := same(value, reference)) and getattr(value, "shape", 0) == getattr(reference, "shape", 1):
        missing = [(i, j) for i, row in enumerate(inputs["links"]) for j, link in enumerate(row) if not link]
        if any(value[place].any() for place in missing):
            return "a gradient reaches weights whose link is 0, so training brings them to life"
    return wrong


# Subsampling


def sub_case(rng: Random, weights: bool) -> dict[str, object]:
    """Maps with as many channels as columns, so that a weight along the wrong axis is seen only in its values."""
    c = 2 * rng.randrange(1, 4)
    weight = [value / 4 for value in numbers(rng, c, zero=False)] if weights else [0.0] * c
    return dict(
        x=numbers(rng, 2, c, 6, 2 * c), weight=weight, bias=[v / 2 for v in numbers(rng, c, zero=False)]
    )


def run_subsample(ns, x, weight, bias):
    """Call the answer with tensors."""
    import torch

    return ns["subsample"](torch.tensor(x), torch.tensor(weight), torch.tensor(bias))


# The loss of 1998


def loss_case(rng: Random, j: float, far: float = 1.0) -> dict[str, object]:
    """Drawings of six pixels near one of five codes, and which code is meant."""
    codes = [[rng.choice((-1.0, 1.0)) for _ in range(6)] for _ in range(5)]
    y = [rng.randrange(5) for _ in range(4)]
    x = [[far * (pixel + rng.randrange(-8, 9) / 8) for pixel in codes[label]] for label in y]
    return dict(x=x, codes=codes, y=y, j=j)


def run_loss(ns, x, codes, y, j):
    """Call the answer with tensors."""
    import torch

    exact = torch.float64
    return ns["drawing_loss"](
        torch.tensor(x, dtype=exact), torch.tensor(codes, dtype=exact), torch.tensor(y), j
    )


# Widths under a budget

GIVEN = ("PARAMS", "MACS", "MAPS")
NAMES = ("C1", "C3", "C5", "F6")


def totals(c1: int, c3: int, c5: int, f6: int) -> tuple[int, int]:
    """Parameters and MACs of the usual LeNet with these widths, for one image of 32 x 32."""
    weights = [25 * c1, 25 * c1 * c3, 25 * c3 * c5, c5 * f6, f6 * 10]
    places = [28 * 28, 10 * 10, 1, 1, 1]
    macs = sum(w * p for w, p in zip(weights, places, strict=True))
    return sum(weights) + c1 + c3 + c5 + f6 + 10, macs


@judges_lists
def within_budget(value: object, reference: object, inputs: dict) -> str:
    """Four widths within both budgets."""
    if type(value) not in (list, tuple) or len(value) != 4:
        return "widths() must return four numbers: C1, C3, C5, F6"
    if not all(is_whole(width, 1) and width <= 100_000 for width in value):
        return "all four widths must be whole numbers of at least 1"
    params, macs = totals(*value)
    if macs > inputs["MACS"]:
        return f"the network needs {macs:,} MACs, {inputs['MACS']:,} are allowed"
    if params > inputs["PARAMS"]:
        return f"the network has {params:,} parameters, {inputs['PARAMS']:,} are allowed"
    return ""


@judges_lists
def well_spent(value: object, reference: object, inputs: dict) -> str:
    """Within both budgets, no layer too narrow, and hardly a parameter unspent."""
    if wrong := within_budget(value, reference, inputs):
        return wrong
    for name, width, least in zip(NAMES, value, (3, inputs["MAPS"], 60, 40), strict=True):
        if width < least:
            return f"{name} has width {width}, at least {least} is asked for"
    params, least = totals(*value)[0], inputs["PARAMS"] * 98 // 100
    return (
        "" if params >= least else f"the network has {params:,} parameters, at least {least:,} are asked for"
    )


UNITS = "Every pixel of every new map is a unit. How many inputs has one, its bias counted?"
HOLE = "A weight whose link is 0 must not count, whatever number stands there."
BIAS = "The bias is added once a window, and all of it is squashed: 1.7159 tanh(2a/3)."
SUM = "The four pixels are added, not averaged; then one weight and one bias a map; then the squashing."
WORDS = "The right digit's distance, plus the logarithm of a sum over all digits and one term more."
RUBBISH = "e to the minus j stands in the sum, once, beside the terms of the codes."
STABLE = "exp of a large negative number is 0, and log of 0 is no loss. Which term could you take out of the sum first?"

THREE_WAYS = Exercise(
    "three_ways",
    practice=(
        Case(dict(c_in=1, side=4, c_out=2, kernel=3), [[136, 136], [80, 80], [20, 80]], UNITS),
        Case(
            dict(c_in=1, side=32, c_out=6, kernel=5),
            [[4_821_600, 4_821_600], [122_304, 122_304], [156, 122_304]],
            UNITS,
        ),
        Case(
            dict(c_in=3, side=32, c_out=8, kernel=3),
            [[22_125_600, 22_125_600], [201_600, 201_600], [224, 201_600]],
            "A window reads all input maps, and has one bias for all of them.",
        ),
    ),
)

PARTIAL = Exercise(
    "partial",
    practice=(
        Case(
            dict(
                x=[[[[1.0, 2.0], [3.0, 4.0]]]],
                weight=[[[[1.0, 1.0], [1.0, 1.0]]]],
                bias=[0.0],
                links=[[1]],
                what="output",
            ),
            [[[[10.0]]]],
            "No padding: a window of 2 stops once on 2 pixels.",
        ),
        Case(
            dict(
                x=[[[[1.0]], [[10.0]], [[100.0]]]],
                weight=[[[[1.0]], [[1.0]], [[1.0]]], [[[2.0]], [[2.0]], [[2.0]]]],
                bias=[0.0, 0.5],
                links=[[1, 0, 1], [0, 1, 0]],
                what="output",
            ),
            [[[[101.0]], [[20.5]]]],
            HOLE,
        ),
        Case(
            dict(
                x=[[[[1.0]], [[3.0]]]],
                weight=[[[[1.0]], [[1.0]]]],
                bias=[0.0],
                links=[[1, 0]],
                what="gradient",
            ),
            [[[[2.0]], [[0.0]]]],
            "Where in your calculation does the weight become 0, and is what PyTorch differentiates behind that?",
            right_gradient,
        ),
    ),
    probes=(
        Probe("what comes out", 1, lambda rng: partial_case(rng, "output"), hint=HOLE),
        Probe(
            "no gradient reaches a missing weight",
            2,
            lambda rng: partial_case(rng, "gradient"),
            6,
            right_gradient,
        ),
    ),
    run=run_partial,
)

SUBSAMPLE = Exercise(
    "subsample",
    practice=(
        Case(dict(x=[[[[1.0, 2.0], [3.0, 4.0]]]], weight=[0.2], bias=[0.0]), [[[[1.492939]]]], BIAS),
        Case(
            dict(x=[[[[1.0, 2.0], [3.0, 4.0]]]], weight=[0.0], bias=[1.0]),
            [[[[1.0000]]]],
            "With weight 0 only the bias is left, and f(1) = 1: A is 1.7159 and S is 2/3.",
        ),
        Case(
            dict(x=[[[[1.0, 2.0], [3.0, 4.0]]]], weight=[0.05], bias=[0.5]),
            [[[[1.0000]]]],
            SUM,
        ),
        Case(
            dict(
                x=[[[[1.0, 1.0], [1.0, 1.0]], [[1.0, 1.0], [1.0, 1.0]]]],
                weight=[0.25, -0.25],
                bias=[0.0, 0.0],
            ),
            [[[[1.0000]], [[-1.0000]]]],
            "Each map has its own weight: they belong to the axis of the channels.",
        ),
    ),
    probes=(
        Probe("weights of 0: what the bias does", 1, lambda rng: sub_case(rng, weights=False), hint=BIAS),
        Probe("weights and biases", 2, lambda rng: sub_case(rng, weights=True), hint=SUM),
    ),
    run=run_subsample,
)

DRAWING_LOSS = Exercise(
    "drawing_loss",
    practice=(
        Case(
            dict(x=[[1.0, 1.0]], codes=[[1.0, 1.0], [-1.0, 1.0]], y=[0], j=1000.0),
            0.01814992791780978,
            "The distances are 0 and 4, and a j of 1000 adds nothing: log(1 + e^-4).",
        ),
        Case(dict(x=[[1.0, 1.0]], codes=[[1.0, 1.0], [-1.0, 1.0]], y=[0], j=0.0), 0.7022633214390952, WORDS),
        Case(
            dict(x=[[1.0, 1.0], [-1.0, 1.0]], codes=[[1.0, 1.0], [-1.0, 1.0]], y=[0, 0], j=1000.0),
            2.01814992791780978,
            "Several images: the mean of their losses.",
        ),
        Case(dict(x=[[41.0, 1.0]], codes=[[1.0, 1.0], [-1.0, 1.0]], y=[0], j=5000.0), 0.0, STABLE),
    ),
    probes=(
        Probe("one distance to each code, j far away", 1, lambda rng: loss_case(rng, 1000.0), hint=WORDS),
        Probe(
            "a j that pulls", 2, lambda rng: loss_case(rng, rng.choice((0.5, 1.0, 2.0, 3.0))), hint=RUBBISH
        ),
        Probe("drawings far from every code", 1, lambda rng: loss_case(rng, 5000.0, far=20.0), hint=STABLE),
    ),
    run=run_loss,
)

WIDTHS = Exercise(
    "widths",
    practice=(
        Case(
            {},
            None,
            "Write down the MACs of each layer with the widths of 1998. Which widths do the two largest depend on?",
            within_budget,
        ),
        Case({}, None, "Which widths change the parameters, but hardly the MACs?", well_spent),
    ),
    probes=(
        Probe("within both budgets", 1, nothing, 1, within_budget),
        Probe("within both budgets, and spends them", 3, nothing, 1, well_spent),
    ),
    given=GIVEN,
)

SHEET = Sheet(
    "lenet",
    2,
    exercises=(THREE_WAYS, PARTIAL, SUBSAMPLE, DRAWING_LOSS, WIDTHS),
    manual={"keep_the_codes": 4},
    imports={"math": "math", "torch": "torch", "nn": "torch.nn", "F": "torch.nn.functional"},
    shortcuts=("arch", "lenet", "PartialConv", "Subsample", "DigitCodes", "torchvision", "trace"),
)
