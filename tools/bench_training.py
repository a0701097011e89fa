"""Our training loop against the plain one of PyTorch's examples: DataLoader, torchvision's transforms, a step a batch.

    python tools/bench_training.py                     all there is, two rounds: ten minutes on an idle machine
    python tools/bench_training.py pairs --rounds 5    three networks
    python tools/bench_training.py batch images processes    how it scales, with LeNet-5

Same network, images, crop and flip, rates, epochs and first weights. The plain loop runs with 0, 1 and 2 workers a
process, each contender in a process of its own, in turn, so that all meet the same machine; it is judged by its best
number of workers. Rows go to ``_build/bench.json``; with ``--keep`` also to data/runs/training-speed.json, which
pages/training.md shows.
"""

import argparse
import json
import os
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, replace
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from statistics import mean, median

import torch
from bench_rows import store
from kept_rows import keep
from training_loops import Setting, run

from cnnlib.table import Table

LOOPS = Path(__file__).with_name("training_loops.py")
LENET = Setting("lenet5 of tutorials", 1)
SUITES = {
    "pairs": [replace(LENET, epochs=3), Setting("lenet_lecture", 1), Setting("resnet_small", 1)],
    "batch": [replace(LENET, batch=batch) for batch in (16, 64, 256)],
    "images": [replace(LENET, images=images) for images in (1250, 2500, 5000)],
    "processes": [replace(LENET, processes=processes) for processes in (1, 2)],
}


def contend(setting):
    """One run, in a process of its own (a fork, as PyTorch takes seconds to start), or in several."""
    if setting.processes == 1:
        with ProcessPoolExecutor(1, get_context("fork")) as pool:
            return pool.submit(run, setting).result()
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += [f"--nproc-per-node={setting.processes}", str(LOOPS), json.dumps(asdict(setting))]
    threads = {"OMP_NUM_THREADS": str(torch.get_num_threads())}
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=os.environ | threads)
    return json.loads(done.stdout.splitlines()[-1])


def seconds(found):
    return found["epochs"][-1][0]


def until(found, accuracy):
    """Seconds at the end of the first epoch that reached the accuracy."""
    return next(second for second, reached in found["epochs"] if reached >= accuracy)


@cache
def compared(setting, rounds):
    """A row for each contender."""
    loops = ["cnnlib", *map(str, sorted({0, 1, min(2, os.cpu_count() or 1)}))]
    turns = [
        {loop: contend(replace(setting, loop=loop, seed=seed)) for loop in loops} for seed in range(rounds)
    ]
    # What all reached in the end, each round: the last to get there ends it.
    common = [min(one["epochs"][-1][1] for one in turn.values()) for turn in turns]
    best = min(loops[1:], key=lambda loop: median(seconds(turn[loop]) for turn in turns))
    rows = []
    for loop in loops:
        runs = [turn[loop] for turn in turns]
        ratios = [seconds(turn[loop]) / seconds(turn["cnnlib"]) for turn in turns]
        busy = [turn[loop]["cpu_seconds"] / turn["cnnlib"]["cpu_seconds"] for turn in turns]
        took = median(map(seconds, runs))
        shown = {key: value for key, value in asdict(setting).items() if key not in ("seed", "loop")}
        rows.append(shown | {
            "loop": loop, "best": loop == best, "seconds": round(took, 2),
            "seconds_to_same": round(median(map(until, runs, common)), 2),
            "cpu_seconds": round(median(one["cpu_seconds"] for one in runs), 2),
            "images_per_second": round(setting.images * setting.epochs / took),
            "times_ours": round(median(ratios), 2), "lowest": round(min(ratios), 2), "highest": round(max(ratios), 2),
            "cpu_times_ours": round(median(busy), 2),
            "accuracy": round(mean(one["epochs"][-1][1] for one in runs), 4),
            "bytes": max(one["bytes"] for one in runs),
        })  # fmt: skip
    return rows


def against(row):
    return f"{row['times_ours']:.2f} ({row['lowest']:.2f} to {row['highest']:.2f})"


def who(row):
    if row["loop"] == "cnnlib":
        return "ours"
    return f"{row['loop']} worker{'s' * (row['loop'] != '1')}"


def pairs(rows):
    """Every contender of every network."""
    lines = [
        (row["network"], who(row), f"{row['seconds_to_same']:.1f}", row["images_per_second"], against(row),
         f"{row['cpu_times_ours']:.2f}", f"{row['accuracy']:.1%}",
         round(row["bytes"] / 2**20))
        for row in rows
    ]  # fmt: skip
    columns = (
        "network", "loop", "s to the same", "images/s", "times our s (range)",
        "times our CPU s", "accuracy", "MiB",
    )  # fmt: skip
    return Table(columns, lines)


def scaling(rows, what):
    """Our loop and the best of the plain ones, at each size."""
    lines = []
    for mine in (row for row in rows if row["loop"] == "cnnlib"):
        plain = next(row for row in rows if row[what] == mine[what] and row["best"])
        speeds = mine["images_per_second"], plain["images_per_second"]
        sizes = (round(row["bytes"] / 2**20) for row in (mine, plain))
        lines.append((mine[what], *speeds, against(plain), f"{plain['cpu_times_ours']:.2f}", *sizes))
    columns = (
        what, "ours, images/s", "plain at its best", "times our s (range)", "times our CPU s", "ours, MiB",
        "plain, MiB",
    )  # fmt: skip
    return Table(columns, lines)


def tables(suites):
    """What the page shows, a table a suite."""
    return {name: pairs(rows) if name == "pairs" else scaling(rows, name) for name, rows in suites.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("suites", nargs="*", default=list(SUITES), help=", ".join(SUITES))
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--keep", action="store_true", help="store them for pages/training.md too")
    args = parser.parse_args()
    suites = {}
    for name in args.suites:
        suites[name] = [row for setting in SUITES[name] for row in compared(setting, args.rounds)]
        print(f"{name}, median of {args.rounds} rounds taken in turn\n{tables(suites)[name]}", flush=True)
    store("training", [{"suite": name, **row} for name, rows in suites.items() for row in rows])
    if args.keep:
        keep("training-speed", torch.device("cpu"), suites, rounds=args.rounds)


if __name__ == "__main__":
    main()
