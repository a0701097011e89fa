"""Two loops that train alike: ours, and that of PyTorch's examples (DataLoader, torchvision's transforms).

``python tools/training_loops.py SETTING`` makes one run and prints what it found as a line of JSON; SETTING is JSON
too, with the fields of ``Setting``. Under torchrun, several processes make the run together.
"""

import json
import multiprocessing
import os
import resource
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset, DistributedSampler
from torchvision import transforms

import cnnlib
from cnnlib import datasets
from cnnlib.images import augmentation
from cnnlib.models.layers import chain
from cnnlib.training import distributed
from cnnlib.training.evaluation import seeded
from cnnlib.training.loop import train
from cnnlib.training.recipe import PiecewiseLinear, Recipe

PAD, MOMENTUM, DECAY = 2, 0.9, 5e-4
# The highest rate of each network, found by a few runs of the plain loop.
RATES = {"lenet5 of tutorials": 0.05, "lenet_lecture": 0.05, "resnet_small": 0.1}


@dataclass(frozen=True)
class Setting:
    """One run. ``loop``: "cnnlib", or how many workers the plain loop has; ``batch`` is over all processes."""

    network: str
    epochs: int
    batch: int = 64
    images: int = 5000
    processes: int = 1
    loop: str = "cnnlib"
    seed: int = 0

    def rate(self, progress: float) -> float:
        return PiecewiseLinear((0, 0.2, 1), (0, RATES[self.network], 0))(progress)


def built(name: str) -> nn.Module:
    """A network of the book, or LeNet-5 as tutorials write it: every C3 map sees all of S2. 28 x 28 in."""
    if name in cnnlib.list_models():
        return cnnlib.build(name)
    return chain(
        c1=nn.Conv2d(1, 6, 5, padding=2), act1=nn.ReLU(), s2=nn.MaxPool2d(2),
        c3=nn.Conv2d(6, 16, 5), act3=nn.ReLU(), s4=nn.MaxPool2d(2), flatten=nn.Flatten(),
        f5=nn.Linear(400, 120), act5=nn.ReLU(), f6=nn.Linear(120, 84), act6=nn.ReLU(), f7=nn.Linear(84, 10),
    )  # fmt: skip


def ours(net, learn, judge, setting):
    """The accuracy after each epoch."""
    changes = (augmentation.crop(PAD), augmentation.flip)
    recipe = Recipe(setting.epochs, setting.rate, setting.batch, MOMENTUM, DECAY, changes, seed=setting.seed)
    for row in train(net, learn, judge, recipe, progress=False):
        yield row.valid_acc


class Clothes(Dataset):
    """As torchvision's FashionMNIST: bytes in memory, and on the way out a PIL image, which is transformed."""

    def __init__(self, part, *changes):
        self.bytes, self.labels = (part.x[:, 0] * 255).round().byte(), part.y
        self.transform = transforms.Compose([*changes, transforms.ToTensor()])

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        image = Image.fromarray(self.bytes[index].numpy())
        return self.transform(image), int(self.labels[index])


def judged(net, loader, count, world):
    net.eval()
    right = torch.zeros(())
    with torch.no_grad():
        for x, y in loader:
            right += (net(x).argmax(1) == y).sum()
    return world.all_reduce(right).item() / count


def plain(net, learn, judge, setting):
    """The accuracy after each epoch."""
    torch.manual_seed(setting.seed)
    world, workers = distributed.current_world(), int(setting.loop)
    changes = transforms.RandomCrop(28, padding=PAD), transforms.RandomHorizontalFlip()
    kept = {"num_workers": workers, "persistent_workers": workers > 0}
    learning, share, model = Clothes(learn, *changes), None, net
    if world.size > 1:
        share = DistributedSampler(learning, world.size, world.rank, seed=setting.seed)
        model = nn.parallel.DistributedDataParallel(net)
    loader = DataLoader(learning, setting.batch // world.size, share is None, share, **kept)
    tests = DataLoader(Clothes(judge[world.rank :: world.size]), 512, **kept)
    optimiser = torch.optim.SGD(net.parameters(), lr=0.0, momentum=MOMENTUM, weight_decay=DECAY)
    done = 0
    for epoch in range(setting.epochs):
        net.train()
        if share:
            share.set_epoch(epoch)
        for x, y in loader:
            optimiser.param_groups[0]["lr"] = setting.rate((done + 0.5) / (setting.epochs * len(loader)))
            loss = F.cross_entropy(model(x), y)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            done += 1
        yield judged(net, tests, len(judge), world)


def cpu_seconds():
    """Of this process and of workers that have ended; unlike the clock, blind to what else the machine does."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def own_bytes():
    """What the workers hold for themselves: a fork shares the rest with its parent until one of them writes."""
    maps = [
        Path(f"/proc/{child.pid}/smaps_rollup").read_text() for child in multiprocessing.active_children()
    ]
    lines = [line.split() for text in maps for line in text.splitlines()]
    return 1024 * sum(int(line[1]) for line in lines if line[0] in ("Private_Clean:", "Private_Dirty:"))


def run(setting):
    """Seconds and accuracy after each epoch, seconds of all processors, and bytes at most, over all processes."""
    learn, judge = datasets.fashion_mnist()
    learn = learn.head(setting.images)
    with seeded(setting.seed):
        net = built(setting.network)
    net(learn.x[: setting.batch])  # what torch sets up on first use belongs to neither loop
    loop = ours if setting.loop == "cnnlib" else plain
    start, busy, epochs, workers = time.perf_counter(), cpu_seconds(), [], 0
    for accuracy in loop(net, learn, judge, setting):
        epochs.append((time.perf_counter() - start, accuracy))
        workers = own_bytes()  # they end with the loop
    most = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss + workers
    spent = torch.tensor([cpu_seconds() - busy, most], dtype=torch.float64)
    busy, size = distributed.current_world().all_reduce(spent).tolist()
    return {"epochs": epochs, "cpu_seconds": busy, "bytes": round(size)}


def main():
    with distributed.process_group("cpu"):
        found = run(Setting(**json.loads(sys.argv[1])))
        if distributed.current_world().is_main:
            print(json.dumps(found))


if __name__ == "__main__":
    main()
