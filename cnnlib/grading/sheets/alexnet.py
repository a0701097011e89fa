"""Sheet *AlexNet*: sizes of its maps, a grouped convolution, response normalisation, dropout, a card to fill."""

from __future__ import annotations

from random import Random

from cnnlib.grading.sheet import Case, Exercise, Probe, Sheet, nothing, numbers
from cnnlib.grading.values import is_whole, judges_lists

# Groups


def group_case(rng: Random, groups: int) -> dict[str, object]:
    """Maps and filters in groups; more maps come out than go in."""
    share_in, share_out = rng.randrange(2, 4), rng.randrange(4, 6)
    kernel, pad = rng.choice(((3, 1), (3, 2), (5, 1)))
    return dict(
        x=numbers(rng, 2, groups * share_in, 6, 5),
        weight=numbers(rng, groups * share_out, share_in, kernel, kernel),
        bias=numbers(rng, groups * share_out, zero=False),
        groups=groups,
        pad=pad,
    )


def run_grouped(ns, x, weight, bias, groups, pad):
    """Call the answer with tensors."""
    import torch

    return ns["grouped"](torch.tensor(x), torch.tensor(weight), torch.tensor(bias), groups, pad)


# Response normalisation


def norm_case(rng: Random, n: int, channels: int) -> dict[str, object]:
    """Activations and constants that differ from the paper's, so that each is seen."""
    return dict(
        a=numbers(rng, 2, channels, 3, 2, zero=False),
        n=n,
        k=rng.choice((1.0, 2.0, 3.0)),
        alpha=rng.choice((0.1, 0.2, 0.5)),
        beta=rng.choice((0.5, 0.75, 1.0)),
    )


def run_lrn(ns, a, n, k, alpha, beta):
    """Call the answer with a tensor."""
    import torch

    return ns["lrn"](torch.tensor(a), n, k, alpha, beta)


# Dropout


def drop_case(rng: Random, p: tuple[float, ...], mixed: bool) -> dict[str, object]:
    """Inputs of one unit; with ``mixed`` signs the rectifier bends between the masks."""
    n = rng.randrange(2, 6)
    while True:
        x = [abs(v) for v in numbers(rng, n, zero=False)]
        weight = numbers(rng, n, zero=False)
        weight = weight if mixed else [abs(v) for v in weight]
        if (
            not mixed
            or min(weight) < 0 < max(weight)
            and sum(a * b for a, b in zip(x, weight, strict=True)) > 0
        ):
            return dict(x=x, weight=weight, p=rng.choice(p))


# A card to fill

GIVEN = ("CARD", "BATCH", "MACS")
MIB = 2**20
CONVS = ((11, 4, 2), (5, 1, 2), (3, 1, 1), (3, 1, 1), (3, 1, 1))  # kernel, stride, pad
SIDES = (55, 27, 13, 13, 13)
POOLED = (27, 13, 0, 0, 6)  # sides behind the pools


def totals(filters: list[int], hidden: int, batch: int) -> tuple[int, int]:
    """Bytes in training, and MACs of one image, of the one-tower AlexNet with these widths."""
    c_in, params, macs, kept = 3, 0, 0, 0
    for c_out, (kernel, _, _), side, pooled in zip(filters, CONVS, SIDES, POOLED, strict=True):
        params += c_out * (c_in * kernel**2 + 1)
        macs += side**2 * c_out * c_in * kernel**2
        kept += c_out * (side**2 + pooled**2)
        c_in = c_out
    inputs = 36 * c_in
    for units in (hidden, hidden, 1000):
        params += units * (inputs + 1)
        macs += units * inputs
        kept += units
        inputs = units
    return 12 * params + 4 * batch * kept, macs


@judges_lists
def fits_on_card(value: object, reference: object, inputs: dict) -> str:
    """Five numbers of filters and a number of hidden units that fit the card."""
    if type(value) not in (list, tuple) or len(value) != 2 or type(value[0]) not in (list, tuple):
        return "fit_card() must return ([five numbers of filters], hidden units)"
    filters, hidden = value
    if len(filters) != 5 or not all(is_whole(n, 1) and n <= 100_000 for n in [*filters, hidden]):
        return "five numbers of filters and one of hidden units are needed, whole and at least 1"
    size, most = totals(filters, hidden, inputs["BATCH"])[0], inputs["CARD"] * MIB
    return "" if size <= most else f"training takes {size / MIB:,.0f} MiB, the card has {inputs['CARD']:,}"


@judges_lists
def does_enough(value: object, reference: object, inputs: dict) -> str:
    """Fits, and still does as much work as is asked for, with no layer starved."""
    if wrong := fits_on_card(value, reference, inputs):
        return wrong
    filters, hidden = value
    if min(filters[1:]) < 128 or filters[0] < 32 or hidden < 512:
        return "a layer is starved: at least 32 filters in conv1, 128 in the others, 512 hidden units"
    macs, least = totals(filters, hidden, inputs["BATCH"])[1], inputs["MACS"] * 1_000_000
    return "" if macs >= least else f"the network does {macs:,} MACs, at least {least:,} are asked for"


FLOOR = "A window that does not fit whole is dropped; pools have windows of 3 in steps of 2."
SHARE = "Filter g of the second half reads the second half of the maps, and nothing of the first."
BIAS = "Every filter has its own bias, and the padding is zeros on all four sides."
OWN = "The square of the activation, times alpha, plus k; all of that to the power beta divides."
NEIGHBOURS = "The squares of n neighbouring channels are added, not averaged; beyond the edge there are none."
MASKS = "Rectify the sum of every mask first, then average over the masks."
CHANCE = "A mask with s survivors has the chance (1-p)^s p^(n-s), and a survivor is divided by 1-p."

WALK = Exercise(
    "walk",
    practice=(
        Case(dict(side=227, pad=0), [55, 27, 13, 6, 9216], "conv1: windows of 11 in steps of 4."),
        Case(dict(side=224, pad=2), [55, 27, 13, 6, 9216], "The border is put on at both ends."),
        Case(dict(side=203, pad=0), [49, 24, 11, 5, 6400], FLOOR),
        Case(dict(side=224, pad=0), [54, 26, 12, 5, 6400], FLOOR),
    ),
)

ONE = [[[[1.0]], [[10.0]]]]

GROUPED = Exercise(
    "grouped",
    practice=(
        Case(
            dict(x=ONE, weight=[[[[1.0]], [[1.0]]]], bias=[0.0], groups=1, pad=0),
            [[[[11.0]]]],
            "One group is an ordinary convolution.",
        ),
        Case(
            dict(x=ONE, weight=[[[[2.0]]], [[[3.0]]]], bias=[0.0, 0.5], groups=2, pad=0),
            [[[[2.0]], [[30.5]]]],
            SHARE,
        ),
        Case(
            dict(x=ONE, weight=[[[[1.0]]], [[[2.0]]], [[[3.0]]], [[[4.0]]]], bias=[0.0] * 4, groups=2, pad=0),
            [[[[1.0]], [[2.0]], [[30.0]], [[40.0]]]],
            "The first half of the filters belongs to the first group.",
        ),
        Case(
            dict(
                x=[[[[1.0]], [[10.0]], [[100.0]], [[1000.0]]]],
                weight=[[[[1.0]], [[1.0]]], [[[1.0]], [[1.0]]]],
                bias=[0.0, 0.0],
                groups=2,
                pad=0,
            ),
            [[[[11.0]], [[1100.0]]]],
            SHARE,
        ),
        Case(
            dict(x=[[[[1.0]]]], weight=[[[[5.0]]]], bias=[1.0], groups=1, pad=1),
            [[[[1.0, 1.0, 1.0], [1.0, 6.0, 1.0], [1.0, 1.0, 1.0]]]],
            BIAS,
        ),
    ),
    probes=(
        Probe("one group", 1, lambda rng: group_case(rng, 1), hint=BIAS),
        Probe("two groups, and four", 2, lambda rng: group_case(rng, rng.choice((2, 4))), hint=SHARE),
    ),
    run=run_grouped,
)

LRN = Exercise(
    "lrn",
    practice=(
        Case(dict(a=[[[[2.0]]]], n=1, k=2.0, alpha=0.5, beta=0.5), [[[[1.0]]]], OWN),
        Case(
            dict(a=[[[[1.0]], [[2.0]], [[0.0]]]], n=3, k=0.0, alpha=1.0, beta=1.0),
            [[[[0.2]], [[0.4]], [[0.0]]]],
            NEIGHBOURS,
        ),
        Case(
            dict(a=[[[[1.0]], [[0.0]], [[2.0]]]], n=3, k=0.0, alpha=1.0, beta=1.0),
            [[[[1.0]], [[0.0]], [[0.5]]]],
            NEIGHBOURS,
        ),
        Case(dict(a=[[[[3.0]]]], n=5, k=0.0, alpha=4.0, beta=0.5), [[[[0.5]]]], OWN),
    ),
    probes=(
        Probe("windows of one channel", 1, lambda rng: norm_case(rng, 1, rng.randrange(4, 8)), hint=OWN),
        Probe(
            "wider windows",
            2,
            lambda rng: norm_case(rng, rng.choice((3, 5)), rng.randrange(6, 9)),
            hint=NEIGHBOURS,
        ),
    ),
    run=run_lrn,
)

DROPOUT_AVERAGE = Exercise(
    "dropout_average",
    practice=(
        Case(dict(x=[1.0], weight=[3.0], p=0.5), [3.0, 3.0], "Half of the time the input is doubled."),
        Case(dict(x=[1.0, 1.0], weight=[1.0, -1.0], p=0.5), [0.5, 0.0], MASKS),
        Case(dict(x=[1.0, 1.0], weight=[1.0, -0.5], p=0.25), [0.625, 0.5], CHANCE),
    ),
    probes=(
        Probe("positive weights, p = 0.5", 1, lambda rng: drop_case(rng, (0.5,), mixed=False), hint=CHANCE),
        Probe("both signs, p = 0.5", 1, lambda rng: drop_case(rng, (0.5,), mixed=True), hint=MASKS),
        Probe(
            "both signs, other p", 1, lambda rng: drop_case(rng, (0.1, 0.25, 0.75), mixed=True), hint=CHANCE
        ),
    ),
)

FIT_CARD = Exercise(
    "fit_card",
    practice=(
        Case({}, None, "Weights cost 12 bytes each, and most are in the linear layers.", fits_on_card),
        Case(
            {},
            None,
            "Work sits in conv2 to conv5, on small maps; conv1's large maps fill the card.",
            does_enough,
        ),
    ),
    probes=(
        Probe(
            "fits the card",
            1,
            nothing,
            1,
            fits_on_card,
            "Weights sit in the linear layers, maps in the first two.",
        ),
        Probe(
            "fits, and works as much as asked", 4, nothing, 1, does_enough, "Let conv2 to conv5 do the work."
        ),
    ),
    given=GIVEN,
)

SHEET = Sheet(
    "alexnet",
    1,
    exercises=(WALK, GROUPED, LRN, DROPOUT_AVERAGE, FIT_CARD),
    manual={"first_figure": 4},
    imports={"math": "math", "torch": "torch", "nn": "torch.nn", "F": "torch.nn.functional"},
    shortcuts=("arch", "LocalResponseNorm", "local_response_norm", "torchvision", "trace"),
)
