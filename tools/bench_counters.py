"""How long it takes to count a network: ours against five counters in use, in turn, so that all meet the same machine.

    python tools/bench_counters.py                      five networks, five rounds (a few minutes)
    python tools/bench_counters.py resnet18 --rounds 3

prints the median of the rounds for each counter, how many times as long as ours that is, and the lowest and
highest of that ratio over the rounds. A counter whose number is not near the right one is marked: being quick
is no use then. Needs requirements-bench.txt.
"""

import argparse
import copy
import io
import logging
import os
import time
import warnings
from contextlib import redirect_stderr, redirect_stdout
from statistics import median

import torch
import torchvision
from bench_rows import store
from rivals import COUNTERS

import cnnlib
from cnnlib.table import Table

NETWORKS = ("resnet18", "resnet152", "densenet201", "inception_v3", "vit_b_16")
SIDE = {"inception_v3": 299}


def ours(net, image):
    return cnnlib.trace(net, image).macs


def network(name):
    options = {"init_weights": False, "aux_logits": False} if name == "inception_v3" else {}
    return torchvision.models.get_model(name, **options).eval()


def seconds(count, net, image):
    """Wall time of one count on a copy made before the clock starts, and the number counted."""
    net = copy.deepcopy(net)
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        start = time.perf_counter()
        found = count(net, image)
        return time.perf_counter() - start, found


def compared(name, rounds):
    """A line for each counter on one network."""
    net, side = network(name), SIDE.get(name, 224)
    counters = {"cnnlib": ours, **COUNTERS}
    times, found = {who: [] for who in counters}, {}
    for turn in range(rounds + 1):
        for who, count in counters.items():
            spent, found[who] = seconds(count, net, (3, side, side))
            if turn:  # the first round warms up
                times[who].append(spent)
    for who in counters:
        ratios = [t / mine for t, mine in zip(times[who], times["cnnlib"], strict=True)]
        right = found[who] and abs(found[who] / found["cnnlib"] - 1) < 0.05
        yield (
            name,
            who,
            f"{1000 * median(times[who]):,.0f}",
            f"{median(ratios):.1f}" if who != "cnnlib" else None,
            f"{min(ratios):.1f} to {max(ratios):.1f}" if who != "cnnlib" else None,
            None if right else f"counts {found[who] / found['cnnlib']:.2f} of the MACs",
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("networks", nargs="*", default=NETWORKS, help="of torchvision")
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    logging.disable(logging.WARNING)
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, load {os.getloadavg()[0]:.1f}")
    rows = [line for name in args.networks for line in compared(name, args.rounds)]
    columns = ("network", "counter", "ms", "times ours", "over the rounds", "note")
    store("counters", [dict(zip(columns, row, strict=True)) for row in rows])
    print(
        Table(columns, rows, f"Time to count one network once, median of {args.rounds} rounds taken in turn.")
    )


if __name__ == "__main__":
    main()
