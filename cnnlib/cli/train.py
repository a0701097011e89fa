"""``cnnlib train`` and ``cnnlib evaluate``: training on the command line. Torch is imported when a command runs.

Images are one of the course's sets by name, or a folder in ImageNet's layout: train/CLASS/* and val/CLASS/*.
"""

from __future__ import annotations

import argparse
import io
import os
from contextlib import nullcontext, redirect_stdout
from dataclasses import replace
from pathlib import Path

SETS = ("mnist", "fashion_mnist", "cifar10")
SPEED = ("channels_last", "amp", "compile", "sync_norm")
WORKERS = min(8, (os.cpu_count() or 1) - 1)


def _images(args: argparse.Namespace):
    """Training and test images of a set of the course."""
    from cnnlib import images as datasets

    if args.data == "cifar10":
        return datasets.cifar10(download=args.download)
    return getattr(datasets, args.data)(full=args.full or args.download, download=args.download)


def _setup(args: argparse.Namespace):
    """Images and recipe, with what the command line says in place of what the recipe says."""
    from cnnlib import images, models
    from cnnlib.training import RECIPES, PiecewiseLinear, Recipe, Setup

    changed = {flag: True for flag in SPEED if getattr(args, flag)}
    changed |= {name: getattr(args, name) for name in ("epochs", "batch") if getattr(args, name) is not None}
    if args.data in SETS:
        if args.recipe:
            raise ValueError(
                f"--recipe {args.recipe} is for a folder of images: leave it out with --data {args.data}"
            )
        recipe = Recipe(5, PiecewiseLinear((0, 0.2, 1), (0, args.lr or 0.05, 0)), 64)
        setup = Setup(*_images(args), recipe)
    elif not args.recipe:
        raise ValueError(
            f"--data {args.data} is no set of the course ({', '.join(SETS)}): a folder needs --recipe"
        )
    elif args.lr:
        raise ValueError(
            f"--lr {args.lr}: the recipe {args.recipe} has rates of its own; leave one of the two out"
        )
    else:
        folders = images.train_and_val(args.data, args.skip_unreadable)
        setup = RECIPES[args.recipe](*folders, models.image_shape(args.name)[-1], args.workers)
    return replace(setup, recipe=replace(setup.recipe, seed=args.seed, **changed))


def _report_skipped(images) -> None:
    skipped = getattr(getattr(images, "dataset", None), "skipped", ())
    if skipped:
        print(f"skipped {len(skipped)} unreadable files, such as {skipped[0]}")


def _build_for(name: str, images):
    """A network for these images: as many outputs as there are classes, where it can have them."""
    from cnnlib import models

    count, image = len(images.classes), images.example()
    options = {"num_classes": count, "in_channels": image.shape[1]}
    return models.build(name, **{key: value for key, value in options.items() if key in models.options(name)})


def train(args: argparse.Namespace) -> int:
    """Train a network and print a line an epoch; under torchrun, on several devices."""
    from cnnlib import training
    from cnnlib.training import current_world, process_group

    with (
        process_group(args.device) as device,
        nullcontext() if current_world().is_main else redirect_stdout(io.StringIO()),
    ):
        device = training.find_device(device)
        setup = _setup(args)
        _report_skipped(setup.train_set)
        with training.seeded(args.seed):
            net = _build_for(args.name, setup.train_set).to(device)
        rows = training.train(net, setup.train_set, setup.valid_set, setup.recipe, checkpoint=args.checkpoint)
        for row in rows:
            print(
                f"epoch {row.epoch}/{setup.recipe.epochs:g}  loss {row.train_loss:.4f}  train {row.train_acc:.2%}"
                f"  test {row.valid_acc:.2%}  {row.seconds:.1f} s",
                flush=True,
            )
    return 0


def _evaluation_images(args: argparse.Namespace, classes: list[str] | None, transform, normalisation: dict):
    """The images to judge on; ``classes``: those of the training run, if they are known."""
    from cnnlib.images import Stream, image_folder

    if args.data in SETS:
        return _images(args)[1]
    root = Path(args.data, "val") if Path(args.data, "val").is_dir() else args.data
    files = image_folder(root, classes, args.skip_unreadable)
    return Stream(files, files.classes, transform, args.workers, **normalisation)


def _published(args: argparse.Namespace):
    """A network with weights that somebody published, and images prepared for them."""
    from cnnlib import models
    from cnnlib.images import deterministic
    from cnnlib.models import weights

    found = weights.find(args.name, args.weights)
    images = _evaluation_images(args, None, deterministic(found.transform), {})
    return models.build(args.name, weights=args.weights), images


def _from_file(args: argparse.Namespace):
    """A network with weights from a file, and images prepared as in its training, or as is usual for ImageNet."""
    from cnnlib import models
    from cnnlib.images import centre_crop
    from cnnlib.training import IMAGENET_MEAN, IMAGENET_STD, checkpoint, resize_side

    state, size = checkpoint.load(args.weights), models.image_shape(args.name)[-1]
    normalisation = state.get("normalisation") or {"mean": IMAGENET_MEAN, "std": IMAGENET_STD}
    classes = state["training"]["classes"] if "training" in state else None
    images = _evaluation_images(args, classes, centre_crop(resize_side(size), size), normalisation)
    net = _build_for(args.name, images)
    try:
        net.load_state_dict(checkpoint.weights(args.weights))
    except (RuntimeError, TypeError, AttributeError) as error:
        what = f"{args.weights} does not fit {args.name} with {len(images.classes)} classes"
        raise ValueError(f"{what}: {str(error).strip().splitlines()[-1].strip()}") from None
    return net, images


def evaluate(args: argparse.Namespace) -> int:
    """Print loss, top-1 and top-5 accuracy of a trained network."""
    import torch
    from torch.nn import functional as F

    from cnnlib.training import check_set, evaluating, find_device, predict

    net, images = _from_file(args) if Path(args.weights).exists() else _published(args)
    net = net.to(find_device(args.device))
    _report_skipped(images)
    with evaluating(net):
        check_set(net, images, "the set")
    logits = predict(net, images, args.batch).cpu()
    labels = images.y if hasattr(images, "y") else torch.tensor(images.dataset.labels)
    best = logits.topk(min(5, logits.shape[1])).indices == labels[:, None]
    print(
        f"{len(images):,} images  loss {F.cross_entropy(logits, labels):.4f}  "
        f"top-1 {best[:, 0].float().mean():.2%}  top-{best.shape[1]} {best.any(1).float().mean():.2%}"
    )
    return 0


def add_parsers(commands) -> None:
    """The two commands, among the others of ``cnnlib``."""
    both = argparse.ArgumentParser(add_help=False)
    both.add_argument("name", help="a network of the book, such as lenet_small")
    both.add_argument(
        "--data", required=True, metavar="SET", help=f"{', '.join(SETS)}, or a folder in ImageNet's layout"
    )
    both.add_argument("--full", action="store_true", help="the full set instead of the shipped part")
    both.add_argument("--download", action="store_true", help="fetch the full set if it is not here")
    both.add_argument("--device", help="cpu, cuda, mps (default: the fastest there is)")
    both.add_argument(
        "--workers",
        type=int,
        default=WORKERS,
        metavar="N",
        help=f"processes that read a folder (default {WORKERS})",
    )
    both.add_argument(
        "--skip-unreadable", action="store_true", help="try each file of a folder, leave out bad ones"
    )

    sub = commands.add_parser("train", parents=[both], help="train a network", description=train.__doc__)
    sub.add_argument("--recipe", choices=["imagenet-2015"], help="of a paper, for a folder")
    sub.add_argument(
        "--epochs", type=float, metavar="N", help="passes over the images (default 5, or the recipe's)"
    )
    sub.add_argument("--batch", type=int, metavar="N", help="images a step (default 64, or the recipe's)")
    sub.add_argument("--lr", type=float, metavar="RATE", help="peak rate (default 0.05, or the recipe's)")
    sub.add_argument("--seed", type=int, default=0, metavar="N", help="of weights and batches (default 0)")
    sub.add_argument("--checkpoint", metavar="FILE", help="keep the run here, and go on from it")
    for flag in SPEED:
        sub.add_argument(
            f"--{flag.replace('_', '-')}", action="store_true", help="see cnnlib.training.Recipe"
        )
    sub.set_defaults(main=train)

    sub = commands.add_parser(
        "evaluate", parents=[both], help="judge trained weights", description=evaluate.__doc__
    )
    sub.add_argument(
        "--weights", required=True, metavar="FILE", help="a checkpoint, a state_dict, or IMAGENET1K_V1 …"
    )
    sub.add_argument("--batch", type=int, default=128, metavar="N", help="images at once (default 128)")
    sub.set_defaults(main=evaluate)
