"""Sheet *Network in Network*: a bill, a perceptron as convolutions, a map for free, a head to train, three mlpconvs."""

from __future__ import annotations

from random import Random

from cnnlib.grading.sheet import Case, Exercise, Inputs, Probe, Sheet, nothing, numbers
from cnnlib.grading.values import is_whole, judges_arrays, judges_lists, same

# A perceptron as convolutions


def perceptron(rng: Random, c_in: int) -> Inputs:
    """A map, and a perceptron whose layers are equally wide, so that a transposed matrix still fits."""
    kernel = rng.choice((2, 4) if c_in == 3 else (2, 3))
    units = rng.randrange(3, 6)
    sizes = [(units, c_in * kernel**2), (units, units), (units, units)]
    return dict(
        x=numbers(rng, 2, c_in, 6, 5),
        layers=[[numbers(rng, *size), numbers(rng, size[0], zero=False)] for size in sizes],
        kernel=kernel,
    )


def run_convs(ns, x, layers, kernel):
    """What comes out of the convolutions that the answer makes, each followed by a ReLU."""
    import torch

    x = torch.tensor(x)
    for weight, bias in ns["as_convs"]([(torch.tensor(w), torch.tensor(b)) for w, b in layers], kernel):
        weight, bias = (v if v is None else torch.as_tensor(v, dtype=torch.float32) for v in (weight, bias))
        x = torch.nn.functional.conv2d(x, weight, bias).relu()
    return x


# A map for free


def last_maps(rng: Random, bias: bool) -> Inputs:
    """Features and a head with as many classes as channels; the bias alone may decide who wins."""
    size = rng.randrange(3, 6)
    return dict(
        features=numbers(rng, 4, size, 3, 2),
        weight=numbers(rng, size, size),
        bias=numbers(rng, size, zero=False) if bias else [0.0] * size,
    )


def run_evidence(ns, features, weight, bias):
    """Call the answer with tensors."""
    import torch

    return ns["evidence"](torch.tensor(features), torch.tensor(weight), torch.tensor(bias))


@judges_arrays
def adds_up(value: object, reference: object, inputs: Inputs) -> str:
    """What is wrong with the maps, above all whether their means are the scores."""
    import numpy as np

    wrong, right = same(value, reference), np.asarray(reference, "float64")
    if wrong and getattr(value, "shape", None) == right.shape:
        differs = ~np.isclose(value.mean((1, 2)), right.mean((1, 2)), atol=1e-4)
        if differs.any():
            return f"the means of {differs.sum()} of {differs.size} maps are not the highest score of their image"
    return wrong


# A head to train

CHANNELS, SIDE, FIRES = 6, 5, 3
IMAGES, NEW = 64, 120
MOST = 180  # parameters
CHANCE, ASKED = 45, 90  # per cent of new images
OPEN = 1  # the images of a check in the notebook


def meeting(seed: int) -> list[list[int]]:
    """The two channels that meet in each of four classes."""
    rng = Random(f"classes {seed}")
    return rng.sample([[a, b] for a in range(CHANNELS) for b in range(a)], 4)


def firing(rng: Random, pair: list[int]) -> list[list[list[float]]]:
    """One image: every channel fires at three places, and the two of the pair share two of theirs."""
    places, (a, b) = rng.sample(range(SIDE**2), SIDE**2), pair
    image = [[rng.random() / 4 for _ in places] for _ in range(CHANNELS)]
    for channel, row in enumerate(image):
        where = places[FIRES * channel : FIRES * (channel + 1)]
        if channel == b:
            where = [where[0], *places[FIRES * a : FIRES * a + 2]]
        for place in where:
            row[place] = 1 + rng.random()
    return [[row[i : i + SIDE] for i in range(0, SIDE**2, SIDE)] for row in image]


def firings(seed: int, what: str, count: int) -> tuple[list, list[int]]:
    """Images with their labels, every class as often; ``what`` they are for makes them others."""
    rng, pairs = Random(f"{what} {seed}"), meeting(seed)
    labels = [i % len(pairs) for i in range(count)]
    rng.shuffle(labels)
    return [firing(rng, pairs[label]) for label in labels], labels


def run_head(ns, seed=OPEN):
    """Give the answer images to learn from; what it learned comes back, and is tried on others outside."""
    import torch

    images, labels = firings(seed, "learn", IMAGES)
    return ns["meeting_head"](torch.tensor(images), torch.tensor(labels))


def head_of(value: object) -> tuple[list, str]:
    """The (weight, bias) pairs of a returned head as matrices, or what is wrong with its form."""
    import numpy as np

    if type(value) is not list or not 1 <= len(value) <= 8:
        return [], "meeting_head() must return a list of (weight, bias), one for each layer"
    layers, channels = [], CHANNELS
    for number, layer in enumerate(value, 1):
        if type(layer) is not list or len(layer) != 2 or not all(hasattr(t, "dtype") for t in layer):
            return [], f"layer {number} must be a pair of tensors, (weight, bias)"
        weight, bias = (np.asarray(t, "float64") for t in layer)
        if weight.shape[2:] == (1, 1):
            weight = weight[:, :, 0, 0]
        if weight.ndim != 2 or weight.shape[1] != channels or bias.shape != weight.shape[:1]:
            return [], (
                f"layer {number} reads {channels} channels, so it needs a weight of units × {channels} and a "
                f"bias of units, not {list(layer[0].shape)} and {list(layer[1].shape)}"
            )
        if not (np.isfinite(weight).all() and np.isfinite(bias).all()):
            return [], f"layer {number} holds numbers that are not finite: did the training blow up?"
        layers.append((weight, bias))
        channels = len(bias)
    if channels != 4:
        return [], f"the last layer puts out {channels} maps, and there are 4 classes"
    return layers, ""


def right_share(layers: list, seed: int) -> tuple[float, int]:
    """Per cent of new images that a head gets right, and how many classes it ever answers with."""
    import numpy as np

    images, labels = firings(seed, "judge", NEW)
    maps = np.asarray(images)
    for number, (weight, bias) in enumerate(layers):
        maps = np.maximum(maps, 0) if number else maps
        maps = np.einsum("oc,nchw->nohw", weight, maps) + bias[:, None, None]
    answers = maps.mean((2, 3)).argmax(1)
    return 100 * float((answers == np.asarray(labels)).mean()), len(set(answers.tolist()))


def learned(least: int):
    """A judge: within the budget, and at least ``least`` per cent of new images right."""

    @judges_arrays
    def judge(value: object, reference: object, inputs: Inputs) -> str:
        layers, wrong = head_of(value)
        if wrong:
            return wrong
        if (params := sum(w.size + b.size for w, b in layers)) > MOST:
            return f"the head has {params} parameters, {MOST} are allowed"
        share, classes = right_share(layers, inputs.get("seed", OPEN))
        if share >= least:
            return ""
        said = f"{share:.0f} % of the new images come out right, {least} % are asked for"
        if len(layers) == 1:
            return (
                f"{said}; a single layer is a weighted sum, and its mean the same sum of the channels' means"
            )
        return said + ("; the head gives all images one answer" if classes == 1 else "")

    return judge


def class_set(rng: Random) -> Inputs:
    """Which classes, and which images of them."""
    return dict(seed=rng.randrange(10**9))


# Three mlpconv layers under a budget

GIVEN = ("FILTERS", "MACS", "PARAMS", "SHARE")
WINDOWS = ((5, 32), (5, 16), (3, 8))  # kernel, and side of the map that it is on
LEAST = 24  # units of any layer but the last


def totals(rows: list[list[int]]) -> tuple[int, int, int]:
    """Parameters, MACs of the windows, MACs of the 1 x 1 layers: three mlpconv layers on an image of 3 x 32 x 32."""
    c_in, params, macs = 3, 0, [0, 0]
    for row, (kernel, side) in zip(rows, WINDOWS, strict=True):
        for place, units in enumerate(row):
            weights = units * c_in * (1 if place else kernel**2)
            params += weights + units
            macs[place > 0] += weights * side**2
            c_in = units
    return params, *macs


@judges_lists
def affordable(value: object, reference: object, inputs: Inputs) -> str:
    """Nine widths within both budgets, no layer starved."""
    if (
        type(value) not in (list, tuple)
        or len(value) != 3
        or any(type(r) not in (list, tuple) for r in value)
    ):
        return "three_mlps() must return three triples: (filters, hidden, out)"
    if any(len(row) != 3 for row in value) or not all(
        is_whole(n, 1) and n <= 10_000 for r in value for n in r
    ):
        return "each triple must hold three whole numbers of at least 1: (filters, hidden, out)"
    if value[2][2] != 10:
        return f"the last layer makes {value[2][2]} maps, and there are 10 classes"
    if min(n for row in value for n in row if row is not value[2]) < LEAST or min(value[2][:2]) < LEAST:
        return f"a layer is starved: only the last may have fewer than {LEAST} units"
    params, windows, points = totals(value)
    if windows + points > (most := inputs["MACS"] * 10**6):
        return f"the network needs {windows + points:,} MACs, {most:,} are allowed"
    if params > (most := inputs["PARAMS"] * 1000):
        return f"the network has {params:,} parameters, {most:,} are allowed"
    return ""


@judges_lists
def looks_hard(value: object, reference: object, inputs: Inputs) -> str:
    """Affordable, with enough filters in every window and enough work in the perceptrons."""
    if wrong := affordable(value, reference, inputs):
        return wrong
    if (fewest := min(row[0] for row in value)) < inputs["FILTERS"]:
        return f"one window has {fewest} filters, at least {inputs['FILTERS']} are asked for"
    _, windows, points = totals(value)
    share = 100 * points / (windows + points)
    return (
        ""
        if share >= inputs["SHARE"]
        else f"the 1×1 layers do {share:.1f} % of the MACs, at least {inputs['SHARE']} % are asked for"
    )


PLACES = "Count the places where the window stops. All three layers work once at each of them."
READS = "A layer of 1×1 reads the units of the layer before it, each once; a window reads kernel² pixels of each map."
ONE_PIXEL = "The second and third layer see one place only: windows of 1×1, with the same weights and biases."
ORDER = "Where does the weight for row r, column s, channel c stand in the perceptron's row, and where in a window?"
SUMS = "The mean of a map is the score of its class: weigh the channels at every place as the head weighs their means."
CONSTANT = (
    "A bias is added to the score once. What must be added at every place, so that the mean grows by as much?"
)
TOGETHER = (
    "Every channel fires equally often in all classes. Only a unit that sees two at one place can tell."
)
NEWS = "How many of the 64 come out right, and does the loss still fall when you stop?"

MLP_BILL = Exercise(
    "mlp_bill",
    practice=(
        Case(dict(c_in=1, side=3, kernel=3, stride=1, pad=0, units=[2, 2, 1]), [20, 9, 18, 6], READS),
        Case(
            dict(c_in=3, side=32, kernel=5, stride=1, pad=2, units=[192, 160, 96]),
            [14_592, 46_336, 14_745_600, 47_185_920],
            PLACES,
        ),
        Case(
            dict(c_in=3, side=227, kernel=11, stride=4, pad=0, units=[96, 96, 96]),
            [34_944, 18_624, 105_415_200, 55_756_800],
            PLACES,
        ),
    ),
)

TWO_CHANNELS = [[[[1.0, 2.0], [3.0, 4.0]], [[10.0, 20.0], [30.0, 40.0]]]]

AS_CONVS = Exercise(
    "as_convs",
    practice=(
        Case(
            dict(x=[[[[3.0, 5.0]]]], layers=[[[[1.0], [-1.0]], [0.0, 4.0]]], kernel=1),
            [[[[3.0, 5.0]], [[1.0, 0.0]]]],
            "One pixel, one channel: the weights only need two more axes, of length 1.",
        ),
        Case(
            dict(
                x=[[[[1.0, 2.0], [3.0, 4.0]]]],
                layers=[[[[1.0, 0.0, 0.0, 0.0]], [0.5]], [[[2.0]], [1.0]]],
                kernel=2,
            ),
            [[[[4.0]]]],
            ONE_PIXEL,
        ),
        Case(
            dict(x=[[[[1.0, 2.0], [3.0, 4.0]]]], layers=[[[[0.0, 1.0, 0.0, 0.0]], [0.0]]], kernel=2),
            [[[[2.0]]]],
            "The second number of a patch is the second pixel of its first row.",
        ),
        Case(
            dict(x=TWO_CHANNELS, layers=[[[[0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]], [0.0]]], kernel=2),
            [[[[10.0]]]],
            ORDER,
        ),
        Case(
            dict(
                x=[[[[2.0]]]],
                layers=[[[[1.0], [2.0]], [0.0, 0.0]], [[[1.0, 0.0], [1.0, 1.0]], [0.0, 0.0]]],
                kernel=1,
            ),
            [[[[2.0]], [[6.0]]]],
            "A row of a linear layer's weight belongs to one unit that it puts out, as the first axis of a window's.",
        ),
    ),
    probes=(
        Probe("one channel", 1, lambda rng: perceptron(rng, 1), hint=ONE_PIXEL),
        Probe("three channels", 2, lambda rng: perceptron(rng, 3), hint=ORDER),
    ),
    run=run_convs,
)

EVIDENCE = Exercise(
    "evidence",
    practice=(
        Case(
            dict(features=[[[[1.0, 3.0]]]], weight=[[2.0], [-1.0]], bias=[0.0, 0.0]),
            [[[2.0, 6.0]]],
            "The scores are the mean of 2 and 6, and that of -1 and -3. The first wins.",
            adds_up,
        ),
        Case(
            dict(
                features=[[[[4.0, 0.0]], [[0.0, 0.0]]], [[[0.0, 0.0]], [[1.0, 1.0]]]],
                weight=[[1.0, 0.0], [0.0, 3.0]],
                bias=[0.0, 0.0],
            ),
            [[[4.0, 0.0]], [[3.0, 3.0]]],
            "Each image has its own winner.",
            adds_up,
        ),
        Case(
            dict(features=[[[[3.0, 0.0]], [[1.0, 1.0]]]], weight=[[1.0, 0.0], [0.0, 2.0]], bias=[0.0, 0.0]),
            [[[2.0, 2.0]]],
            "The winner has the highest mean, not the highest pixel.",
            adds_up,
        ),
        Case(
            dict(features=[[[[4.0, -3.0]], [[0.0, 1.0]]]], weight=[[1.0, 2.0], [0.0, 1.0]], bias=[0.0, 0.0]),
            [[[4.0, -1.0]]],
            SUMS,
            adds_up,
        ),
        Case(
            dict(features=[[[[1.0, 3.0]]]], weight=[[1.0], [1.0]], bias=[0.0, 6.0]),
            [[[7.0, 9.0]]],
            CONSTANT,
            adds_up,
        ),
        Case(
            dict(
                features=[[[[1.0, 3.0]], [[0.0, 1.0]]], [[[0.0, 1.0]], [[2.0, 4.0]]]],
                weight=[[1.0, 0.0], [0.0, 2.0], [-1.0, 0.0]],
                bias=[1.0, -1.0, 0.0],
            ),
            [[[2.0, 4.0]], [[3.0, 7.0]]],
            "Each image's winner brings its own bias.",
            adds_up,
        ),
    ),
    probes=(
        Probe("heads without bias", 1, lambda rng: last_maps(rng, bias=False), 6, adds_up, SUMS),
        Probe("heads with biases", 2, lambda rng: last_maps(rng, bias=True), 6, adds_up, CONSTANT),
    ),
    run=run_evidence,
)

MEETING_HEAD = Exercise(
    "meeting_head",
    practice=(
        Case({}, None, TOGETHER, learned(CHANCE)),
        Case({}, None, NEWS, learned(ASKED)),
    ),
    probes=(
        Probe("better than any weighted sum, within the budget", 1, class_set, 1, learned(CHANCE), TOGETHER),
        Probe(f"{ASKED} % of new images, within the budget", 4, class_set, 1, learned(ASKED), NEWS),
    ),
    run=run_head,
)

THREE_MLPS = Exercise(
    "three_mlps",
    practice=(
        Case(
            {},
            None,
            "List the MACs of all nine layers. On which two of your widths does the largest one depend?",
            affordable,
        ),
        Case(
            {},
            None,
            "Which of your nine widths stand in the MACs of no window?",
            looks_hard,
        ),
    ),
    probes=(
        Probe(
            "within both budgets",
            1,
            nothing,
            1,
            affordable,
            "On which two of your widths does the largest of the nine layers depend?",
        ),
        Probe(
            "within both budgets, with wide windows and hard-working perceptrons",
            3,
            nothing,
            1,
            looks_hard,
            "Hidden layers read no window: they are where 1×1 work can grow without making a window dearer.",
        ),
    ),
    given=GIVEN,
)

SHEET = Sheet(
    "nin",
    1,
    exercises=(MLP_BILL, AS_CONVS, EVIDENCE, MEETING_HEAD, THREE_MLPS),
    manual={"small_gap": 4},
    imports={"math": "math", "torch": "torch", "nn": "torch.nn", "F": "torch.nn.functional"},
    shortcuts=("arch", "mlpconv", "class_maps", "torchvision", "trace"),
)
