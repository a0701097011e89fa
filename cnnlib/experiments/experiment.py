"""What an experiment is: sides trained alike, and what is compared with what."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from torch import Tensor, nn

from cnnlib.costs import trace
from cnnlib.experiments.comparison import TEST_ACCURACY, Metric
from cnnlib.images import Augment, Images
from cnnlib.training import Recipe


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
