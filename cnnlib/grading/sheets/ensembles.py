"""Sheet *Ensembles*: two means, calibration, a report with three faults, a line-up, a team to train.

The pictures of the last exercise are the course's own, and their classes never leave the grader: the judge finds
them by the pictures. So a student's process, where the course's images are not, gets nothing but pixels.
"""

from __future__ import annotations

import base64
import io
from functools import cache
from random import Random

from cnnlib.grading.sheet import Case, Exercise, Probe, Sheet, nothing
from cnnlib.grading.values import is_whole, judges_arrays, judges_lists, same

# Calibration


def sure_case(rng: Random, count: int, n: int) -> dict[str, object]:
    """Probabilities of four classes, on no edge of a bin; sure ones are right too seldom, unsure ones too often."""
    p, y = [], []
    for _ in range(n):
        confidence = rng.choice((rng.uniform(0.4, 0.65), rng.uniform(0.75, 0.98)))
        if abs(confidence * count - round(confidence * count)) < 0.02:
            confidence += 0.04 / count
        said = rng.randrange(4)
        parts = [rng.uniform(0.2, 0.4) for _ in range(3)]
        rest = [(1 - confidence) * part / sum(parts) for part in parts]
        p.append([*rest[:said], confidence, *rest[said:]])
        wrong = rng.random() < (0.5 if confidence > 0.7 else 0.1)
        y.append((said + rng.randrange(1, 4)) % 4 if wrong else said)
    return dict(p=p, y=y, count=count)


def run_gap(ns, p, y, count):
    """Call the answer with tensors."""
    import torch

    return ns["calibration_gap"](torch.tensor(p, dtype=torch.float64), torch.tensor(y), count)


# A greedy team


def pool(rng: Random, networks: int, size: int) -> dict[str, object]:
    """Answers of networks to 40 images of three classes; two by two they share a weakness, so copies help little."""
    y = [rng.randrange(3) for _ in range(40)]
    weak = [rng.sample(range(40), 16) for _ in range((networks + 1) // 2)]
    answers = []
    for m in range(networks):
        rows = []
        for i, label in enumerate(y):
            scores = [rng.uniform(0.1, 1) for _ in range(3)]
            scores[label] += 0.2 if i in weak[m // 2] else rng.uniform(0.3, 1)
            rows.append([score / sum(scores) for score in scores])
        answers.append(rows)
    return dict(answers=answers, y=y, size=size)


def run_team(ns, answers, y, size):
    """Call the answer with tensors."""
    import torch

    return ns["honest_team"](torch.tensor(answers, dtype=torch.float64), torch.tensor(y), size)


@judges_lists
def right_team(value: object, reference: object, inputs: dict) -> str:
    """Who is in the team, in which order, and the share that it answers right."""
    if not isinstance(value, list | tuple) or len(value) != 2:
        return "two values are needed: the list of members, and a share"
    team, share = value
    if not isinstance(team, list | tuple) or not all(is_whole(m, 0) for m in team):
        return "the first value must be a list of whole numbers"
    if len(team) != len(reference[0]):
        return f"{len(reference[0])} members are needed, not {len(team)}"
    if len(set(team)) < len(team):
        return "a network is in the team twice"
    if list(team) != list(reference[0]):
        return "another team is right: which images choose, and what is it that must be good?"
    return "the share is wrong: who judges, and whose answers?" if same(share, reference[1]) else ""


# The line-up

GIVEN = ("MACS", "PARAMS", "ERROR")
MACS_OF = (1_486_800, 1_479_408, 1_445_990)
PARAMS_OF = (23_110, 64_344, 24_993)
ERROR_OF = (0.2771, 0.2861, 0.2943)
DISTANCE = ((0.0486, 0.0887, 0.0944), (0.0887, 0.0949, 0.1276), (0.0944, 0.1276, 0.0940))


def promised(team: list[int]) -> float:
    """Squared error of the average of a team, as the text's table has it (Krogh and Vedelsby, 1994)."""
    size = sum(team)
    pairs = [(a, b, team[a] * (team[b] - (a == b))) for a in range(3) for b in range(3)]
    ambiguity = sum(DISTANCE[a][b] * number for a, b, number in pairs) / size**2 / 2
    return sum(n * error for n, error in zip(team, ERROR_OF, strict=True)) / size - ambiguity


@judges_lists
def within_budgets(value: object, reference: object, inputs: dict) -> str:
    """Three numbers of networks, at least one in all, within both budgets."""
    if type(value) not in (list, tuple) or len(value) != 3 or not all(is_whole(n, 0) for n in value):
        return "line_up() must return three whole numbers: VGGs, GoogLeNets, ResNets"
    if not 1 <= sum(value) <= 1_000:
        return "a team has at least one member, and at most a thousand"
    for what, costs in (("MACS", MACS_OF), ("PARAMS", PARAMS_OF)):
        spent = sum(n * cost for n, cost in zip(value, costs, strict=True))
        if spent > inputs[what]:
            words = {"MACS": "MACs", "PARAMS": "parameters"}[what]
            return f"the team has {spent:,} {words}, {inputs[what]:,} are allowed"
    return ""


@judges_lists
def good_team(value: object, reference: object, inputs: dict) -> str:
    """Within both budgets, and a low error."""
    if wrong := within_budgets(value, reference, inputs):
        return wrong
    error = promised(value)
    if error > inputs["ERROR"] + 1e-9:
        return f"the table promises an error of {error:.4f}, at most {inputs['ERROR']:.4f} is asked for"
    return ""


# A team to train

LEAST_RIGHT, LEAST_WON, MOST_ERROR = 0.60, 0.01, 0.45


@cache
def pictures():
    """All clothes of the course as rows of 14 x 14 bytes, each once, and {row: class}. Only outside of the jail."""
    import numpy as np

    from cnnlib import resources

    with np.load(io.BytesIO(resources.read("fashion_mnist_5k.npz"))) as file:
        x = np.concatenate([file["x_train"], file["x_test"]]).reshape(-1, 14, 2, 14, 2)
        y = np.concatenate([file["y_train"], file["y_test"]])
    small = x.astype("int64").sum((2, 4)) // 4
    classes = dict(zip((row.tobytes() for row in small.astype("uint8")), y.tolist(), strict=True))
    return list(classes), classes


def clothes(rng: Random, learn: int, new: int) -> dict[str, object]:
    """Pictures to learn from, with classes under new numbers, and others without, a tenth of them twice."""
    rows, classes = pictures()
    twice = new // 10
    picked, numbers = rng.sample(rows, learn + new - twice), rng.sample(range(10), 10)
    picked += rng.sample(picked[learn:], twice)
    return dict(
        x=base64.b64encode(b"".join(picked[:learn])).decode(),
        y=[numbers[classes[row]] for row in picked[:learn]],
        new=base64.b64encode(b"".join(picked[learn:])).decode(),
    )


def rows_of(coded: str) -> list[bytes]:
    """The rows of pixels in a text."""
    pixels = base64.b64decode(coded)
    return [pixels[at : at + 196] for at in range(0, len(pixels), 196)]


def truth(inputs: dict) -> list[int]:
    """The classes of the new pictures, under the numbers that this draw has; -1 for one never learned."""
    _, classes = pictures()
    numbers = {classes[row]: y for row, y in zip(rows_of(inputs["x"]), inputs["y"], strict=True)}
    return [numbers.get(classes[row], -1) for row in rows_of(inputs["new"])]


PRACTICE_SET = (240, 400)


def _drawn(inputs: dict) -> dict[str, object]:
    """The pictures of a probe; of a student's own check, those of ``run_training``."""
    return inputs or clothes(Random(0), *PRACTICE_SET)


def run_training(ns, x=None, y=None, new=None):
    """Call the answer with tensors; without inputs, in a student's own notebook, on pictures of the course."""
    import torch

    drawn = _drawn(dict(x=x, y=y, new=new) if x else {})
    images = [
        torch.frombuffer(bytearray(base64.b64decode(drawn[part])), dtype=torch.uint8).view(-1, 1, 14, 14)
        / 255
        for part in ("x", "new")
    ]
    return ns["train_team"](images[0], torch.tensor(drawn["y"]), images[1])


@judges_arrays
def members(value: object, reference: object, inputs: dict) -> str:
    """Probabilities of three to eight members."""
    import numpy as np

    new = len(rows_of(_drawn(inputs)["new"]))
    if not hasattr(value, "dtype"):
        return "a tensor is needed, members x pictures x 10 (torch.stack makes one of a list)"
    if value.ndim != 3 or value.shape[1:] != (new, 10) or not 3 <= len(value) <= 8:
        return f"the shape is {list(value.shape)}, and [3 to 8 members, {new}, 10] is needed"
    if not np.isfinite(value).all() or value.min() < 0 or not np.allclose(value.sum(2), 1, atol=1e-3):
        return "these are no probabilities: for each member and picture, ten numbers that add up to 1"
    return ""


@judges_arrays
def differ(value: object, reference: object, inputs: dict) -> str:
    """Members that are functions of the picture, and whose average wins something."""
    if wrong := members(value, reference, inputs):
        return wrong
    rows = rows_of(_drawn(inputs)["new"])
    again = [rows.index(row) for row in rows]  # where each picture stands first
    if abs(value - value[:, again]).max() > 1e-3:
        return "some pictures come twice, and a member answers them differently: a network would not"
    won = ((value - value.mean(0)) ** 2).sum(2).mean()
    if won < LEAST_WON:
        return f"the average wins {won:.4f} of squared error over its members, {LEAST_WON} are asked for"
    return ""


@judges_arrays
def learned(value: object, reference: object, inputs: dict) -> str:
    """Such members, and an average that is right often enough, and better than one small network."""
    import numpy as np

    if wrong := differ(value, reference, inputs):
        return wrong
    y, mean = np.array(truth(_drawn(inputs))), value.mean(0)
    right = (mean.argmax(1) == y).mean()
    if right < LEAST_RIGHT:
        return f"the average is right on {right:.1%} of the new pictures, {LEAST_RIGHT:.0%} are asked for"
    error = ((mean - (y[:, None] == np.arange(10))) ** 2).sum(1).mean()
    if error > MOST_ERROR:
        return f"the average has a squared error of {error:.3f}, at most {MOST_ERROR} is asked for"
    return ""


MEANS = "Softmax each network, then average; or average the logits, then softmax once."
LARGEST = "The confidence is the largest probability, whichever class it belongs to, and right or wrong."
GAPS = "For each bin: mean confidence less share right, without its sign; empty bins count nothing."
WEIGHTS = "A bin counts as much as it holds images, and a gap's sign does not matter."
HALVES = "The first half chooses, the second judges: no image does both."
THE_MEAN = "Average the probabilities of the team with the candidate, then see how often that is right."
TWICE = "Once in the team, a network is no candidate any more."
DRAWS = "Among M members, one of M draws gives the same one twice. Who differs lowers the error, not only who is good."
STARTS = "What must be different from member to member, so that they make different mistakes of their own?"
ENOUGH = "Look at the loss: does it still fall when you stop?"
FORM = "softmax along the classes, one row a picture, one block a member."

TWO_MEANS = Exercise(
    "two_means",
    practice=(
        Case(
            dict(logits=[[0.0, 0.0]]), [[0.5, 0.5], [0.5, 0.5]], "One network: both means are its own answer."
        ),
        Case(
            dict(logits=[[1.0986122886681098, 0.0], [0.0, 0.0]]),
            [[0.625, 0.375], [0.6339745962155613, 0.3660254037844387]],
            MEANS,
        ),
        Case(
            dict(logits=[[12.0, 0.0], [0.0, 2.0], [0.0, 2.0]]),
            [[0.4127998999565443, 0.5872001000434556], [0.935030830871336, 0.06496916912866404]],
            MEANS,
        ),
    ),
)


CALIBRATION_GAP = Exercise(
    "calibration_gap",
    practice=(
        Case(
            dict(p=[[0.9, 0.1], [0.2, 0.8], [0.7, 0.3]], y=[0, 1, 1], count=1),
            0.8 - 2 / 3,
            LARGEST,
        ),
        Case(
            dict(
                p=[[0.9, 0.05, 0.05], [0.1, 0.8, 0.1], [0.1, 0.2, 0.7], [0.3, 0.3, 0.4]],
                y=[0, 1, 0, 0],
                count=2,
            ),
            0.2,
            GAPS,
        ),
        Case(dict(p=[[0.9, 0.1], [0.4, 0.6]], y=[1, 1], count=4), 0.65, GAPS),
        Case(
            dict(p=[[0.75, 0.25], [0.875, 0.125], [0.75, 0.25]], y=[0, 1, 1], count=4),
            (0.5 + 0.875) / 3,
            "A confidence of 0.75 lies on an edge of four bins: it belongs to the third.",
        ),
    ),
    probes=(
        Probe("one bin", 1, lambda rng: sure_case(rng, 1, rng.randrange(15, 25)), hint=LARGEST),
        Probe("several bins", 3, lambda rng: sure_case(rng, rng.choice((4, 5)), 40), hint=WEIGHTS),
    ),
    run=run_gap,
)

FOUR = dict(
    answers=[
        [[0.9, 0.1], [0.7, 0.3], [0.45, 0.55], [0.6, 0.4]],
        [[0.9, 0.1], [0.4, 0.6], [0.2, 0.8], [0.4, 0.6]],
        [[0.2, 0.8], [0.3, 0.7], [0.9, 0.1], [0.1, 0.9]],
    ],
    y=[0, 1, 0, 0],
)

HONEST_TEAM = Exercise(
    "honest_team",
    practice=(
        Case(FOUR | dict(size=1), [[1], 0.0], HALVES, right_team),
        Case(FOUR | dict(size=2), [[1, 2], 0.5], TWICE, right_team),
        Case(
            dict(
                answers=[
                    [
                        [0.6, 0.4],
                        [0.6, 0.4],
                        [0.4, 0.6],
                        [0.6, 0.4],
                        [0.6, 0.4],
                        [0.6, 0.4],
                        [0.4, 0.6],
                        [0.6, 0.4],
                    ],
                    [
                        [0.6, 0.4],
                        [0.6, 0.4],
                        [0.4, 0.6],
                        [0.4, 0.6],
                        [0.6, 0.4],
                        [0.6, 0.4],
                        [0.4, 0.6],
                        [0.6, 0.4],
                    ],
                    [
                        [0.3, 0.7],
                        [0.3, 0.7],
                        [0.9, 0.1],
                        [0.9, 0.1],
                        [0.3, 0.7],
                        [0.9, 0.1],
                        [0.9, 0.1],
                        [0.3, 0.7],
                    ],
                ],
                y=[0, 0, 0, 0, 1, 0, 0, 1],
                size=2,
            ),
            [[0, 1], 0.25],
            THE_MEAN,
            right_team,
        ),
    ),
    probes=(
        Probe("a team of one", 1, lambda rng: pool(rng, 5, 1), 6, right_team, HALVES),
        Probe(
            "teams of three and four",
            3,
            lambda rng: pool(rng, 7, rng.choice((3, 4))),
            24,
            right_team,
            THE_MEAN,
        ),
    ),
    run=run_team,
)

LINE_UP = Exercise(
    "line_up",
    practice=(
        Case(
            {},
            None,
            "GoogLeNet has most parameters; all three kinds have nearly the same MACs.",
            within_budgets,
        ),
        Case({}, None, DRAWS, good_team),
    ),
    probes=(
        Probe("within both budgets", 1, nothing, 1, within_budgets),
        Probe("within both budgets, and good", 4, nothing, 1, good_team),
    ),
    given=GIVEN,
)

TRAIN_TEAM = Exercise(
    "train_team",
    practice=(
        Case({}, None, FORM, members),
        Case({}, None, STARTS, differ),
        Case({}, None, ENOUGH, learned),
    ),
    probes=(
        Probe("probabilities of some members", 1, lambda rng: clothes(rng, 20, 30), 1, members, FORM),
        Probe("members that differ", 2, lambda rng: clothes(rng, 100, 100), 1, differ, STARTS),
        Probe("right on pictures never seen", 2, lambda rng: clothes(rng, *PRACTICE_SET), 1, learned, ENOUGH),
    ),
    run=run_training,
)

SHEET = Sheet(
    "ensembles",
    1,
    exercises=(TWO_MEANS, CALIBRATION_GAP, HONEST_TEAM, LINE_UP, TRAIN_TEAM),
    manual={"ten_at_once": 4},
    imports={"math": "math", "torch": "torch", "nn": "torch.nn", "F": "torch.nn.functional"},
    shortcuts=("ensemble", "calibration", "datasets", "arch", "tiny", "trace", "train", "torchvision"),
)
