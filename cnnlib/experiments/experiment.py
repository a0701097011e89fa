"""What an experiment is: sides that start suitably and are trained alike, and the number that they are judged by."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from torch import Tensor, nn

from cnnlib import models
from cnnlib.costs import trace
from cnnlib.images import Augment, Images
from cnnlib.models import fan_in_normal
from cnnlib.training import Recipe

NONLINEARITIES = {nn.ReLU: "relu", nn.Tanh: "tanh"}  # as ``torch.nn.init.calculate_gain`` calls them


@dataclass(frozen=True)
class Metric:
    """One number of a run, and the curve it is read from.

    ``value``: rows of a run -> number; ``curve``: a row -> what is drawn at its epoch. Rows are dicts with the
    fields of ``training.Epoch``. ``worst``: of a run that diverged and so has no rows. ``on_test``: it is the test
    accuracy after the last epoch, so that single test images can be told apart.
    """

    name: str
    unit: str
    value: Callable[[list[dict]], float]
    curve: Callable[[dict], float]
    ylabel: str
    worst: float
    more_is_better: bool = True
    on_test: bool = False

    def of(self, run: Mapping) -> float:
        """The number of one run."""
        return self.value(run["rows"]) if run["rows"] else self.worst


def _accuracy(row: dict) -> float:
    return 100 * row["valid_acc"]


def _training_error(row: dict) -> float:
    return 100 * (1 - row["train_acc"])


def _last_accuracy(rows: list[dict]) -> float:
    return _accuracy(rows[-1])


def _last_training_error(rows: list[dict]) -> float:
    return _training_error(rows[-1])


def _epochs_to_25(rows: list[dict]) -> float:
    """Where the curve, straight between epochs, first reaches 25 %; the last epoch if it never does."""
    error = [_training_error(row) for row in rows]
    for i, now in enumerate(error):
        if now <= 25:
            return i + 1 - (25 - now) / (error[i - 1] - now) if i else 1.0
    return float(len(rows))


TEST_ACCURACY = Metric(
    "test accuracy", "points", _last_accuracy, _accuracy, "test accuracy (%)", 0.0, on_test=True
)
TRAINING_ERROR = Metric(
    "training error in the last epoch", "points", _last_training_error, _training_error,
    "training error (%)", 100.0, False,
)  # fmt: skip
EPOCHS_TO_25 = Metric(
    "time to 25 % training error",
    "epochs",
    _epochs_to_25,
    _training_error,
    "training error (%)",
    float("inf"),
    False,
)


@dataclass(frozen=True)
class Side:
    """One of the things compared."""

    build: Callable[[], nn.Module]
    augment: tuple[Augment, ...] = ()


@dataclass(frozen=True)
class Experiment:
    """Sides trained alike: same images, epochs and batches, and for each the best of the same peak ``rates``.

    The rate rises from 0 to its peak over a fifth of the run and falls back to 0. ``pairs``: which side is
    compared with which. ``images``: how many training images are used. ``equal_macs``: the epochs of the recipe
    are those of the first side, and the others train for as many as cost the same. ``unequal``: why the sides may
    spend different arithmetic, where they do. ``views``: how each trained network looks at the test images, when its
    answers (logits) are kept beside the rows.
    """

    question: str
    data: Callable[[], tuple[Images, Images]]
    images: int
    sides: Mapping[str, Side]
    pairs: tuple[tuple[str, str], ...]
    recipe: Recipe
    rates: tuple[float, ...]
    metric: Metric = TEST_ACCURACY
    equal_macs: bool = False
    unequal: str = ""
    views: Mapping[str, Callable[[nn.Module, Images], Tensor]] = field(default_factory=dict)

    def epochs(self) -> dict[str, float]:
        """How long each side trains, to a hundredth of a pass over the images."""
        if not self.equal_macs:
            return dict.fromkeys(self.sides, self.recipe.epochs)
        image = self.data()[0].x.shape[1:]
        macs = {label: trace(side.build(), tuple(image)).macs for label, side in self.sides.items()}
        whole = self.recipe.epochs * next(iter(macs.values()))
        return {label: round(whole / cost, 2) for label, cost in macs.items()}


def suited(build: Callable[..., nn.Module], **choices: object) -> nn.Module:
    """A network of layers in a row, each starting as the nonlinearity after it asks for; biases start at 0.

    Normal with variance gain² / fan-in: gain √2 before a ReLU (He and others 2015, eq. 10), 5/3 before tanh, 1 where
    the next weights follow without any. With torch's own start, eight layers without normalisation stay at chance
    for most of such short runs; with √2 where nothing follows, signals grow from layer to layer.
    """
    net, after = build(**choices), "linear"
    for module in reversed(list(net.modules())):
        after = NONLINEARITIES.get(type(module), after)
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight, nonlinearity=after)
            nn.init.zeros_(module.bias)
            after = "linear"
    return net


def steady(name: str) -> nn.Module:
    """A network of the book; one that norms nothing with He's start, for the same reason."""
    net = models.build(name)
    normed = any(isinstance(module, nn.BatchNorm2d) for module in net.modules())
    return net if normed else fan_in_normal(net)
