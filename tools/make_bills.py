"""Traces every network of the book and stores the totals, as a page cannot wait for all of them: data/facts/bills.csv.

python tools/make_bills.py        # some minutes on one core
"""

import csv
import os
from pathlib import Path

import torch

import cnnlib

PATH = Path(__file__).resolve().parents[1] / "data" / "facts" / "bills.csv"
COLUMNS = ("name", "image", "params", "macs", "activations", "memory", "training_memory", "receptive_field")


def bill(name):
    """One image, float32; memory in bytes, weights apart."""
    shape = cnnlib.models.image_shape(name)
    place = (
        "cpu" if name.startswith("regnet") else "meta"
    )  # torchvision's RegNet computes its widths in tensors
    with torch.device(place):
        net = cnnlib.build(name)
    c = cnnlib.trace(net, shape)
    return [name, "x".join(map(str, shape)), c.params, c.macs, c.activations, c.memory, c.training_memory,
            c.receptive_field]  # fmt: skip


def main():
    part = PATH.with_suffix(".part")
    with part.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for name in cnnlib.list_models():
            writer.writerow(bill(name))
            file.flush()
    os.replace(part, PATH)
    print(f"{PATH}: {len(cnnlib.list_models())} networks")


if __name__ == "__main__":
    main()
