"""Experiments: networks, images and seeds go in, stored rows and verdicts come out.

An ``Experiment`` is data; ``run(name)`` makes it and stores it, ``show(name)`` draws it, ``verdict(name)`` says what it
shows, and ``check(name)`` what is weak about it. The chapters' experiments stand in modules by year, all of them in
``EXPERIMENTS``; ``standings`` is the table of all families on one budget.
"""

from cnnlib.experiments import standings
from cnnlib.experiments.comparison import Comparison, compare
from cnnlib.experiments.experiment import Experiment, Side
from cnnlib.experiments.registry import EXPERIMENTS, named
from cnnlib.experiments.runner import run
from cnnlib.experiments.stored import answers, check, intervals, judged, load, show, sides, verdict

__all__ = [
    "Comparison",
    "EXPERIMENTS",
    "Experiment",
    "Side",
    "answers",
    "check",
    "compare",
    "intervals",
    "judged",
    "load",
    "named",
    "run",
    "show",
    "sides",
    "standings",
    "verdict",
]
