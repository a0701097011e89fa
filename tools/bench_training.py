"""Our training loop against the plain one of the tutorials: DataLoader, torchvision's transforms, a step a batch.

    python tools/bench_training.py                     LeNet as lectures draw it, a small ResNet, five rounds
    python tools/bench_training.py lenet_lecture --rounds 3

Same network, images, crop and flip, recipe and first weights. The plain loop runs with 0, 1 and 2 workers (as many
as cores), each contender in a process of its own, in turn, so that all meet the same machine; it is judged by
its best number of workers. Rows go to ``_build/bench.json``. Memory is the largest a process and its workers held.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from statistics import mean, median

import torch
from bench_rows import store
from torch.nn import functional as F
from torch.utils.data import DataLoader
from torchvision import transforms

import cnnlib
from cnnlib import augment, datasets
from cnnlib.schedule import Linear
from cnnlib.table import Table
from cnnlib.train import Recipe, evaluate, seeded, train

EPOCHS = {"lenet_lecture": 3, "resnet_small": 1}
BATCH, PAD, RATE = 64, 2, Linear((0, 0.2, 1), (0, 0.05, 0))


def images(name):
    """Fashion-MNIST, with a black border where the network takes 32 pixels."""
    border = (cnnlib.arch.image_shape(name)[-1] - 28) // 2
    sets = datasets.fashion_mnist()
    return tuple(datasets.Images(F.pad(part.x, (border,) * 4), part.y, part.classes) for part in sets)


def ours(net, learn, judge, seed):
    recipe = Recipe(EPOCHS[net.name], RATE, BATCH, augment=(augment.crop(PAD), augment.flip), seed=seed)
    return list(train(net, learn, judge, recipe, progress=False))[-1].valid_acc


class Pictures(torch.utils.data.Dataset):
    """As torchvision's FashionMNIST: a PIL image, transformed, and its label."""

    def __init__(self, part):
        self.pictures = [transforms.functional.to_pil_image(x) for x in part.x]
        self.labels = part.y.tolist()
        side = part.x.shape[-1]
        self.transform = transforms.Compose(
            [
                transforms.RandomCrop(side, padding=PAD),
                transforms.RandomHorizontalFlip(),
                transforms.ToTensor(),
            ]
        )

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        return self.transform(self.pictures[index]), self.labels[index]


def plain(net, learn, judge, seed, workers):
    torch.manual_seed(seed)
    loader = DataLoader(
        Pictures(learn), BATCH, shuffle=True, num_workers=workers, persistent_workers=workers > 0
    )
    optimiser = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4)
    epochs, done = EPOCHS[net.name], 0
    for _ in range(epochs):
        net.train()
        for x, y in loader:
            optimiser.param_groups[0]["lr"] = RATE((done + 0.5) / (epochs * len(loader)))
            loss = F.cross_entropy(net(x), y)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            done += 1
        acc = evaluate(net, judge)[1]
    return acc


def cpu_seconds():
    """Of this process and of workers that have ended; unlike the clock, blind to what else the machine does."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def contend(name, who, seed):
    """One run; prints seconds, accuracy and bytes."""
    learn, judge = images(name)
    with seeded(seed):
        net = cnnlib.build(name)
    net(learn.x[:BATCH])  # what torch sets up on first use belongs to neither loop
    start, busy = time.perf_counter(), cpu_seconds()
    workers = 0 if who == "cnnlib" else int(who.split()[0])
    acc = ours(net, learn, judge, seed) if who == "cnnlib" else plain(net, learn, judge, seed, workers)
    seconds, busy = time.perf_counter() - start, cpu_seconds() - busy
    kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    kib += workers * resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    print(json.dumps({"seconds": seconds, "cpu_seconds": busy, "accuracy": acc, "bytes": 1024 * kib}))


def compared(name, rounds):
    """A row for each contender."""
    count = os.cpu_count() or 1
    names = ["cnnlib", *(f"{n} workers" for n in sorted({0, 1, min(2, count)}))]
    found = {who: [] for who in names}
    for seed in range(rounds):
        for who in names:
            command = [sys.executable, __file__, name, "--one", who, "--seed", str(seed)]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            found[who].append(json.loads(done.stdout.splitlines()[-1]))
    best = min(names[1:], key=lambda who: median(run["seconds"] for run in found[who]))
    for who in names:
        runs = found[who]
        ratios = [r["seconds"] / mine["seconds"] for r, mine in zip(runs, found["cnnlib"], strict=True)]
        yield {
            "network": name, "loop": who, "epochs": EPOCHS[name], "rounds": rounds,
            "threads": torch.get_num_threads(), "best": who == best,
            "seconds": round(median(r["seconds"] for r in runs), 2),
            "cpu_seconds": round(median(r["cpu_seconds"] for r in runs), 2),
            "images_per_second": round(5000 * EPOCHS[name] / median(r["seconds"] for r in runs)),
            "times_ours": round(median(ratios), 2), "lowest": round(min(ratios), 2), "highest": round(max(ratios), 2),
            "accuracy": round(mean(r["accuracy"] for r in runs), 4), "bytes": max(r["bytes"] for r in runs),
        }  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("networks", nargs="*", default=list(EPOCHS), help=", ".join(EPOCHS))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--seed", type=int, default=0, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        return contend(args.networks[0], args.one, args.seed)
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, load {os.getloadavg()[0]:.1f}")
    rows = [row for name in args.networks for row in compared(name, args.rounds)]
    store("training", rows)
    lines = [
        (r["network"], r["loop"] + (" (best)" if r["best"] else ""), f"{r['seconds']:.1f}",
            f"{r['cpu_seconds']:.1f}", r["images_per_second"],
         f"{r['times_ours']:.2f} ({r['lowest']:.2f} to {r['highest']:.2f})", f"{r['accuracy']:.1%}",
         f"{r['bytes'] / 2**20:.0f}")
        for r in rows
    ]  # fmt: skip
    columns = ("network", "loop", "s", "CPU s", "images/s", "times ours", "accuracy", "MiB")
    print(Table(columns, lines, f"Training on 5,000 images, median of {args.rounds} rounds taken in turn."))


if __name__ == "__main__":
    main()
