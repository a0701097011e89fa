"""Sheet *Comparing complexity*: a batch's bill, a data sheet's unit, the front, the roof, customers who wait."""

from __future__ import annotations

from random import Random

from cnnlib.grading.sheet import Case, Exercise, Probe, Sheet, nothing
from cnnlib.grading.values import is_whole, judges_lists

# What a data sheet counts

WAYS = {"MACs": (1, 1), "FLOPs": (2, 1), "conv MACs": (1, 0), "conv FLOPs": (2, 0)}


def counted(way: str, conv: int, linear: int) -> float:
    """What a sheet with this convention prints of a network, in G."""
    factor, share = WAYS[way]
    return round(factor * (conv + share * linear) / 1e9, 2)


def data_sheet(rng: Random, ways: tuple[str, ...], misprints: int = 0) -> dict[str, object]:
    """Six networks, half with large linear layers; ``misprints`` of the first three lost a factor of two or gained one.

    The first network has hardly any linear layer, so that alone it tells less than the others.
    """
    way = rng.choice(ways)
    known, printed = {}, {}
    for place, name in enumerate(rng.sample("abcdefghijklmnopqrstuvwxyz", 6)):
        conv = rng.randrange(500_000_000, 9_000_000_000)
        linear = rng.randrange(60_000_000, 400_000_000) if place % 2 else rng.randrange(100_000, 900_000)
        known[name] = [conv, linear]
        printed[name] = counted(way, conv, linear)
        if place < misprints:
            printed[name] = round(printed[name] * (0.5 if way.endswith("FLOPs") else 2), 2)
    return dict(printed=printed, known=known)


def run_sheet(ns, printed, known):
    """Call the answer with pairs, as the text promises."""
    return ns["what_they_count"](dict(printed), {name: tuple(pair) for name, pair in known.items()})


def right_way(value: object, reference: object, inputs: dict) -> str:
    """Which of the two things a convention is made of is wrong."""
    if not isinstance(value, str) or value not in WAYS:
        return "one of the four texts is needed"
    factor, share = WAYS[value]
    if factor != WAYS[reference][0]:
        return "the factor of two is wrong: MACs and FLOPs are mixed up"
    return "" if share == WAYS[reference][1] else "the linear layers are wrong: counted, or left out?"


# Dominated or not


def market(rng: Random, currencies: int, ties: bool) -> dict[str, object]:
    """Networks in a random order; with ``ties`` many share an accuracy or a cost, and two are equal in everything."""
    n = rng.randrange(7, 11)
    if ties:
        scores, prices = range(60, 64), range(1, 5)
        rows = [[rng.choice(scores), [rng.choice(prices) for _ in range(currencies)]] for _ in range(n)]
        rows += [[64, [5] * currencies]] * 2  # the best, twice
        # The cheapest, and one as good that is dearer.
        rows += [[59, [price] + [0] * (currencies - 1)] for price in (0, 1)]
    else:
        scores = rng.sample(range(500, 900), n)
        prices = [rng.sample(range(10, 99), n) for _ in range(currencies)]
        rows = [
            [score / 10, list(costs)] for score, costs in zip(scores, zip(*prices, strict=True), strict=True)
        ]
    rng.shuffle(rows)
    return dict(networks=[[f"n{i}", *row] for i, row in enumerate(rows)])


def run_undominated(ns, networks):
    """Call the answer with tuples, as the text promises."""
    return ns["undominated"]([(name, accuracy, list(costs)) for name, accuracy, costs in networks])


@judges_lists
def right_front(value: object, reference: object, inputs: dict) -> str:
    """Who is there that should not be, or is missing; then the order."""
    if not isinstance(value, list | tuple) or not all(isinstance(name, str) for name in value):
        return "a list of names is needed"
    rows = {name: (accuracy, costs) for name, accuracy, costs in inputs["networks"]}
    if set(value) - set(rows):
        return "it holds a name that is not in the list"
    if set(value) - set(reference):
        return "it keeps a network that another one dominates"
    if missing := [name for name in reference if name not in value]:
        twins = [a for a in missing if any(rows[a] == rows[b] for b in rows if b != a)]
        return "it drops a network that no other one dominates" + (
            ", one that has an equal" if twins == missing else ""
        )
    return (
        "" if list(value) == list(reference) else "the names must stand once each, in the order of the list"
    )


# Under the roof


def roof_case(rng: Random, batch: int, kinds: tuple[str, ...]) -> dict[str, object]:
    """Layers that compute, move maps, or move weights; the times of the two limits differ clearly."""
    peak, bandwidth = rng.randrange(20, 60) * 10**9, rng.randrange(5, 15) * 10**8
    layers = []
    for kind in rng.sample(kinds, len(kinds)):
        macs, maps = rng.randrange(2, 6) * 10**8, rng.randrange(2, 8) * 10**5
        weights, reads = rng.randrange(1, 9) * 10**4, rng.randrange(1, maps)
        if kind == "maps":
            macs, maps = macs // 400, maps * 8
        if kind == "weights":
            macs, maps, weights, reads = macs // 20, maps // 400, weights * 400, reads // 400
        layers.append([macs, weights, reads, maps - min(reads, maps - 1)])
    return dict(layers=layers, batch=batch, peak=peak, bandwidth=bandwidth)


def run_roof(ns, layers, batch, peak, bandwidth):
    """Call the answer with tuples, as the text promises."""
    return ns["under_the_roof"]([tuple(layer) for layer in layers], batch, peak, bandwidth)


# Customers wait

GIVEN = ("RATE", "WAIT", "MEMORY", "TOP1")
TABLE = {  # top-1 (%), M MACs, M parameters, MiB of maps: as in the text
    "alexnet": (56.5, 714, 61.1, 1.5),
    "squeezenet1_1": (58.2, 349, 1.24, 5.2),
    "googlenet": (69.8, 1498, 6.62, 6.7),
    "resnet18": (69.8, 1814, 11.7, 6.7),
    "vgg16": (71.6, 15470, 138.4, 25.1),
    "resnet34": (73.3, 3664, 21.8, 6.7),
    "densenet121": (74.4, 2834, 7.98, 8.6),
    "densenet169": (75.6, 3360, 14.1, 8.6),
    "resnet50": (76.1, 4089, 25.6, 10.5),
    "resnext50_32x4d": (77.6, 4230, 25.0, 10.5),
}
ROUNDING = 1 + 1e-9


def pass_seconds(name: str, batch: int) -> float:
    """How long the shop's machine takes for a batch."""
    _, macs, params, _ = TABLE[name]
    return 4 * params / 1e4 + batch * 2 * macs / 4e6


@judges_lists
def a_service(value: object, reference: object, inputs: dict) -> str:
    """A network of the table, accurate enough, and a batch that fits into memory with it."""
    if type(value) not in (list, tuple) or len(value) != 2:
        return "serve() must return the name of a network and a batch"
    name, batch = value
    if type(name) is not str or name not in TABLE:
        return "the first value must be the name of a network in TABLE"
    if not is_whole(batch, 1) or batch > 10_000:
        return "the batch must be a whole number from 1 to 10,000"
    top1, _, params, maps = TABLE[name]
    if top1 < inputs["TOP1"]:
        return f"{name} makes {top1} %, at least {inputs['TOP1']} % are asked for"
    memory = 4e6 * params / 2**20 + batch * maps
    if memory > inputs["MEMORY"] * ROUNDING:
        return f"weights and maps take {memory:.1f} MiB, {inputs['MEMORY']} are allowed"
    return ""


@judges_lists
def in_time(value: object, reference: object, inputs: dict) -> str:
    """Such a service that keeps up and lets nobody wait too long."""
    if wrong := a_service(value, reference, inputs):
        return wrong
    name, batch = value
    seconds = pass_seconds(name, batch)
    if seconds > batch / inputs["RATE"] * ROUNDING:
        return (
            f"it does not keep up: a pass takes {1000 * seconds:.1f} ms, and in that time "
            f"{seconds * inputs['RATE']:.1f} pictures come for the {batch} that it does"
        )
    wait = 1000 * ((batch - 1) / inputs["RATE"] + seconds)
    if wait > inputs["WAIT"] * ROUNDING:
        return f"the first picture of a batch waits {wait:.1f} ms, {inputs['WAIT']} are allowed"
    return ""


ONCE = "Weights are there once, maps once for every image; the start is shared by all images of the batch."
TWICE = "Compute all four numbers of every network, and count how many printed ones each convention explains."
LINEAR = (
    "A network with hardly any linear layer cannot tell two of the conventions apart: look at all of them."
)
MISPRINT = "A misprint must not decide: take the convention that explains most numbers."
DOMINATES = "At least as good in everything, and better in one thing. Compare every network with every other."
TIES = "Who costs the same and is worse is dominated; who is equal in everything is not."
MANY = "One currency in which it is the cheaper one is enough to save a network."
SLOWER = "Each layer for itself: it computes while it moves. Which of the two does it wait for?"
SHARED = "The weights are moved once a batch, the maps for every image; a number has four bytes, a MAC two operations."

ONE_OF_BATCH = Exercise(
    "one_of_batch",
    practice=(
        Case(dict(batch=4, weights=100, maps=8, start=2, each=1, watts=10), [132, 1.5, 15], ONCE),
        Case(dict(batch=1, weights=4_000, maps=600, start=0.5, each=0.25, watts=20), [4_600, 0.75, 15], ONCE),
        Case(
            dict(batch=8, weights=4_000, maps=600, start=0.5, each=0.25, watts=20),
            [8_800, 0.3125, 6.25],
            ONCE,
        ),
    ),
)

WHAT_THEY_COUNT = Exercise(
    "what_they_count",
    practice=(
        Case(
            dict(
                printed={"a": 3.0, "b": 4.0},
                known={"a": [1_000_000_000, 500_000_000], "b": [2_000_000_000, 2_000_000]},
            ),
            "FLOPs",
            TWICE,
            right_way,
        ),
        Case(
            dict(
                printed={"resnet50": 4.09, "alexnet": 0.66, "vgg16": 15.35},
                known={
                    "resnet50": [4_087_136_256, 2_048_000],
                    "alexnet": [655_566_528, 58_621_952],
                    "vgg16": [15_346_630_656, 123_633_664],
                },
            ),
            "conv MACs",
            LINEAR,
            right_way,
        ),
        Case(
            dict(
                printed={"vgg19": 39.26, "vgg16": 30.94, "resnet50": 4.09, "alexnet": 0.71, "resnet18": 1.81},
                known={
                    "vgg19": [19_508_428_800, 123_633_664],
                    "vgg16": [15_346_630_656, 123_633_664],
                    "resnet50": [4_087_136_256, 2_048_000],
                    "alexnet": [655_566_528, 58_621_952],
                    "resnet18": [1_813_561_344, 512_000],
                },
            ),
            "MACs",
            MISPRINT,
            right_way,
        ),
    ),
    probes=(
        Probe(
            "MACs or FLOPs",
            1,
            lambda rng: data_sheet(rng, ("MACs", "FLOPs")),
            10,
            judge=right_way,
            hint=TWICE,
        ),
        Probe(
            "with linear layers or without",
            1,
            lambda rng: data_sheet(rng, tuple(WAYS)),
            10,
            right_way,
            LINEAR,
        ),
        Probe("misprints", 1, lambda rng: data_sheet(rng, tuple(WAYS), 2), 20, right_way, MISPRINT),
    ),
    run=run_sheet,
)

UNDOMINATED = Exercise(
    "undominated",
    practice=(
        Case(
            dict(networks=[["a", 60, [1]], ["b", 65, [3]], ["c", 70, [2]]]),
            ["a", "c"],
            DOMINATES,
            right_front,
        ),
        Case(
            dict(networks=[["a", 70, [2]], ["b", 70, [3]], ["c", 60, [1]], ["d", 70, [2]]]),
            ["a", "c", "d"],
            TIES,
            right_front,
        ),
        Case(
            dict(networks=[["a", 70, [4]], ["b", 60, [2]], ["c", 65, [2]], ["d", 75, [5]]]),
            ["a", "c", "d"],
            TIES,
            right_front,
        ),
        Case(
            dict(networks=[["a", 70, [2, 9]], ["b", 65, [8, 4]], ["c", 60, [3, 9]], ["d", 65, [8, 5]]]),
            ["a", "b"],
            MANY,
            right_front,
        ),
    ),
    probes=(
        Probe(
            "one currency, no two alike", 1, lambda rng: market(rng, 1, ties=False), 6, right_front, DOMINATES
        ),
        Probe("one currency, with ties", 1, lambda rng: market(rng, 1, ties=True), 10, right_front, TIES),
        Probe(
            "two currencies, and three",
            2,
            lambda rng: market(rng, rng.choice((2, 3)), ties=rng.random() < 0.5),
            10,
            right_front,
            MANY,
        ),
    ),
    run=run_undominated,
)

UNDER_THE_ROOF = Exercise(
    "under_the_roof",
    practice=(
        Case(dict(layers=[[50, 10, 5, 5]], batch=1, peak=100, bandwidth=40), [2, 1], SLOWER),
        Case(dict(layers=[[50, 10, 5, 5]], batch=4, peak=100, bandwidth=40), [5, 1], SHARED),
        Case(
            dict(layers=[[500, 10, 5, 5], [10, 20, 5, 5]], batch=1, peak=100, bandwidth=40), [13, 1], SLOWER
        ),
        Case(dict(layers=[[50, 10, 5, 5], [10, 96, 1, 3]], batch=6, peak=100, bandwidth=60), [14, 1], SHARED),
    ),
    probes=(
        Probe(
            "one layer, one image",
            1,
            lambda rng: roof_case(rng, 1, (rng.choice(("work", "maps")),)),
            hint=SLOWER,
        ),
        Probe(
            "several layers, one image",
            1,
            lambda rng: roof_case(rng, 1, ("work", "maps", "weights", "work")),
            hint=SLOWER,
        ),
        Probe(
            "several layers, a batch",
            2,
            lambda rng: roof_case(rng, rng.randrange(3, 33), ("work", "maps", "weights", "weights")),
            hint=SHARED,
        ),
    ),
    run=run_roof,
)

SERVE = Exercise(
    "serve",
    practice=(
        Case(
            {},
            None,
            "Which networks are accurate enough, and what does each leave of the memory for maps?",
            a_service,
        ),
        Case(
            {},
            None,
            "Fetching the weights costs the same for one picture and for ten; but the first one waits for the last.",
            in_time,
        ),
    ),
    probes=(
        Probe("accurate enough, and fits into memory", 1, nothing, 1, a_service),
        Probe("and keeps up, and lets nobody wait", 4, nothing, 1, in_time),
    ),
    given=GIVEN,
)

SHEET = Sheet(
    "complexity",
    1,
    exercises=(ONE_OF_BATCH, WHAT_THEY_COUNT, UNDOMINATED, UNDER_THE_ROOF, SERVE),
    manual={"is_it_efficient": 4},
    shortcuts=("pareto", "pareto_front", "roofline", "trace", "conventions", "torch", "torchvision"),
)
