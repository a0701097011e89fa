"""What the settings for speed are worth on this machine: time of a training step, as it is and with each of them.

    python tools/measure_recipes.py                          every small network of the book
    python tools/measure_recipes.py resnet_small --device cuda --batch 128 --compile
    python tools/measure_recipes.py lenet_small resnet_small densenet_small --compile --keep    for pages/training.md

CPU time of the process on the CPU, so that other programs matter little; the wall clock elsewhere.
"""

import argparse
import time
from dataclasses import replace
from statistics import median

import torch
from kept_rows import keep
from torch import Generator

import cnnlib
from cnnlib.measuring.instruments import find_device, time_call
from cnnlib.table import Table
from cnnlib.training.distributed import World
from cnnlib.training.recipe import Recipe
from cnnlib.training.step import Step

PLAIN = Recipe(1)
SETTINGS = {"channels_last": replace(PLAIN, channels_last=True), "amp": replace(PLAIN, amp=True)}


def seconds(name, recipe, batch, device, steps):
    """Median of ``steps`` training steps after two that warm up."""
    net = cnnlib.build(name).to(device).train()
    if recipe.channels_last:
        net.to(memory_format=torch.channels_last)
    draw = Generator().manual_seed(0)
    x = torch.rand(batch, *cnnlib.models.image_shape(name), generator=draw).to(device)
    y = torch.randint(10, (batch,), generator=draw).to(device)
    step = Step(net, recipe, World())
    clock = time.process_time if device.type == "cpu" else time.perf_counter
    times = [time_call(lambda: step(x, y, 0.01, batch, draw), device, clock) for _ in range(steps + 2)]
    return median(times[2:])


def table(rows):
    """A row a network: milliseconds of a plain step, and how many times as fast each setting is."""
    settings = list(rows[0])[2:]
    lines = [(row["network"], f"{row['ms']:.1f}", *(f"{row[key]:.2f}" for key in settings)) for row in rows]
    return Table(("network", "ms a step", *settings), lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    small = [name for name in cnnlib.list_models() if name.endswith("_small")]
    parser.add_argument("networks", nargs="*", default=small)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument(
        "--compile", action="store_true", help="also torch.compile, which takes minutes a network"
    )
    parser.add_argument("--keep", action="store_true", help="store them for pages/training.md too")
    args = parser.parse_args()
    settings = SETTINGS | ({"compile": replace(PLAIN, compile=True)} if args.compile else {})
    device, rows = find_device(args.device), []
    for name in args.networks:
        plain = seconds(name, PLAIN, args.batch, device, args.steps)
        others = {
            key: round(plain / seconds(name, recipe, args.batch, device, args.steps), 2)
            for key, recipe in settings.items()
        }
        rows.append({"network": name, "ms": round(1000 * plain, 1)} | others)
        print(rows[-1], flush=True)
    print(
        f"Training steps of {args.batch} images on {device}: times as fast with each setting.\n{table(rows)}"
    )
    if args.keep:
        clock = "CPU time of the process" if device.type == "cpu" else "wall clock"
        keep("recipe-speed", device, {"rows": rows}, batch=args.batch, steps=args.steps, clock=clock)


if __name__ == "__main__":
    main()
