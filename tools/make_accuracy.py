"""Collects a published accuracy for each network of the book that has one: data/facts/accuracy.csv.

    python tools/make_accuracy.py

ImageNet: from the metadata that torchvision ships with its weights (nothing is downloaded), and for networks
without public weights from data/facts/papers.csv. CIFAR-10: from papers.csv.
"""

import csv
import math
from pathlib import Path

import torchvision
from torchvision import models

import cnnlib

ROOT = Path(__file__).resolve().parents[1]
FACTS = ROOT / "data" / "facts"
COLUMNS = ("name", "set", "top1", "top5", "kind", "weights", "recipe", "crops", "source", "note")

# A newer recipe under the label V1: this network had no earlier weights.
NEWER = {"resnext101_64x4d"}
V1 = "stride in the first 1x1, ours in the 3x3"
PART = "a part of the validation images left out"
# Network -> claim in papers.csv, place of its number among several, crops, note. Claims are errors unless they
# say accuracy; where a claim prints "top-1 / top-5", the second number follows the first.
IMAGENET = {
    "alexnet_2012": ("AlexNet 1 CNN ILSVRC-2012 top-1 val / top-5 val", 0, "10", ""),
    "zfnet_512_1024_512": ("ZFNet single net (wider layers 3-5) top-1 val / top-5 val / top-5 test", 0, "10", ""),
    "googlenet_2014": ("Caffe GoogLeNet replica top-1 / top-5 accuracy", 0, "1", "a replica, not the authors' weights"),
    "plain18": ("plain-18 / ResNet-18 top-1 val, 10-crop", 0, "10", ""),
    "plain34": ("plain-34 / ResNet-34 top-1 val, 10-crop", 0, "10", ""),
    "resnet50_v1": ("ResNet-50 / 101 / 152 top-1 val, 1-crop", 0, "1", ""),
    "resnet101_v1": ("ResNet-50 / 101 / 152 top-1 val, 1-crop", 1, "1", ""),
    "resnet152_v1": ("ResNet-50 / 101 / 152 top-1 val, 1-crop", 2, "1", ""),
    "seresnet50": ("SE-ResNet-50 top-1 / top-5 error, 224 1-crop", 0, "1", V1),
    "seresnet101": ("SE-ResNet-101 top-1 / top-5 error, 224 1-crop", 0, "1", V1),
    "seresnet152": ("SE-ResNet-152 top-1 / top-5 error, 224 1-crop", 0, "1", V1),
    "seresnext50_32x4d": ("SE-ResNeXt-50 32x4d top-1 / top-5 error, 224 1-crop", 0, "1", ""),
    "seresnext101_32x4d": ("SE-ResNeXt-101 32x4d top-1 / top-5 error, 224 1-crop", 0, "1", ""),
    "senet154": ("SENet-154 top-1 / top-5 error, 224", 0, "1", ""),
    "resnext101_32x4d": ("ResNet-101 / ResNeXt-101 32x4d top-1, 1-crop", 1, "1", ""),
    "inception_v4": ("Inception-v4 single crop top-1 / top-5 error", 0, "1", PART),
    "inception_resnet_v2": (
        "Inception-ResNet-v2 single crop top-1 / top-5 error", 0, "1", PART,
    ),
}  # fmt: skip
CIFAR = {
    "nin_cifar": ("NiN CIFAR-10 error (dropout + augmentation)", 0),
    **{f"resnet{n}_cifar": (f"ResNet-{n} CIFAR-10 error", 0) for n in (20, 32, 44, 56, 110, 1202)},
    **{
        f"preresnet{n}_cifar": (f"ResNet-{n} CIFAR-10 error original / pre-activation", 1)
        for n in (110, 164, 1001)
    },
    "wrn_28_10": ("WRN-28-10 CIFAR-10 / CIFAR-100 error", 0),
    "resnext29_8x64d": ("ResNeXt-29 8x64d CIFAR-10 / CIFAR-100 error", 0),
    "resnext29_16x64d": ("ResNeXt-29 16x64d CIFAR-10 / CIFAR-100 error", 0),
    "resnet110_sd_cifar": ("Stochastic depth ResNet-110 CIFAR-10 error", 0),
    "fractalnet20": ("FractalNet-20 CIFAR-10+ error, drop-path", 0),
    "densenet_40_12": ("DenseNet L=40 k=12 CIFAR-10+ / CIFAR-100+ error", 0),
    "densenet_100_12": ("DenseNet L=100 k=12 CIFAR-10+ / CIFAR-100+ error", 0),
    "densenet_100_24": ("DenseNet L=100 k=24 CIFAR-10+ / CIFAR-100+ error", 0),
    "densenet_bc_100_12": ("DenseNet BC L=100 k=12 CIFAR-10+ / CIFAR-100+ error", 0),
    "densenet_bc_250_24": ("DenseNet BC L=250 k=24 CIFAR-10+ / CIFAR-100+ error", 0),
    "densenet_bc_190_40": ("DenseNet BC L=190 k=40 CIFAR-10+ / CIFAR-100+ error", 0),
}


def of_weights(name):
    """A row for each set of public weights that has a measured accuracy; alexnet_lecture takes larger images."""
    theirs = cnnlib.models.public_name(name)
    if theirs not in models.list_models() or name == "alexnet_lecture":
        return
    for weights in models.get_model_weights(theirs):
        measured = weights.meta["_metrics"]["ImageNet-1K"]
        if not math.isnan(measured["acc@1"]):
            source = f"torchvision {torchvision.__version__.split('+')[0]}, {theirs}, meta of the weights"
            recipe = "first" if weights.name.endswith("V1") and name not in NEWER else "newer"
            yield [name, "ImageNet", measured["acc@1"], measured["acc@5"], "weights", weights.name, recipe, "1",
                   source, weights.meta["recipe"]]  # fmt: skip


def of_paper(name, data, claim, place, crops, note):
    """A row from papers.csv, errors turned into accuracies."""
    printed = [float(part) for part in claim["value"].split("/")]
    right = printed if "accuracy" in claim["claim"] else [round(100 - value, 2) for value in printed]
    top5 = right[1] if "top-1 / top-5" in claim["claim"] or "val / top-5 val" in claim["claim"] else ""
    kind = "paper" if "arXiv" in claim["source"] or "NIPS" in claim["source"] else "repository"
    source = f"papers.csv: {claim['claim']} ({claim['source']})"
    return [name, data, right[place], top5, kind, "", "first", crops, source, note]


def main():
    with (FACTS / "papers.csv").open(newline="", encoding="utf-8") as file:
        claims = {row["claim"]: row for row in csv.DictReader(file)}
    rows = []
    for name in cnnlib.list_models():
        rows += of_weights(name)
        if name in IMAGENET:
            claim, *rest = IMAGENET[name]
            rows.append(of_paper(name, "ImageNet", claims[claim], *rest))
        if name in CIFAR:
            claim, place = CIFAR[name]
            rows.append(of_paper(name, "CIFAR-10", claims[claim], place, "1", ""))
    with (FACTS / "accuracy.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(rows)
    print(f"{len(rows)} rows for {len({row[0] for row in rows})} networks")


if __name__ == "__main__":
    main()
