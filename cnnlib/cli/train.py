"""``cnnlib train``: training on the command line. Torch is imported when the command runs.

Images are one of the course's sets by name, or a folder in ImageNet's layout: train/CLASS/* and val/CLASS/*.
"""

from __future__ import annotations

import argparse
import io
import json
import os
from contextlib import nullcontext, redirect_stdout
from dataclasses import asdict, replace

from cnnlib.cli.options import positive, whole

SETS = ("mnist", "fashion_mnist", "cifar10")
SETTINGS = ("epochs", "batch", "accumulate", "clip")
SPEED = ("channels_last", "amp", "compile", "sync_norm")
WORKERS = min(8, (os.cpu_count() or 1) - 1)
FOR_SETS, FOR_FOLDERS = ("full", "download", "pad", "lr"), ("recipe", "workers", "skip_unreadable")


def refuse_ignored(args: argparse.Namespace) -> None:
    """Raises ``ValueError`` for an option that says nothing about these images."""
    wrong, use = (
        (FOR_FOLDERS, "a folder of images") if args.data in SETS else (FOR_SETS, "a set of the course")
    )
    for name in wrong:
        if getattr(args, name, None):
            option = "--" + name.replace("_", "-")
            raise ValueError(f"{option} is for {use}: leave it out with --data {args.data}")
    if args.data == "cifar10" and args.full:
        raise ValueError("--full: cifar10 is always the full set, leave it out")


def set_images(args: argparse.Namespace):
    """Training and test images of a set of the course."""
    from cnnlib import images

    load = getattr(images, args.data)
    options = {} if args.data == "cifar10" else {"full": args.full or args.download}
    try:
        split = load(download=args.download, **options)
    except ValueError as error:
        raise ValueError(str(error).replace("pass download=True", "add --download")) from None
    return tuple(part.pad(args.pad) for part in split) if args.pad else split


def _setup(args: argparse.Namespace):
    """Images and recipe, with what the command line says in place of what the recipe says."""
    from cnnlib import images, models
    from cnnlib.training import RECIPES, PiecewiseLinear, Recipe, Setup

    changed = {flag: True for flag in SPEED if getattr(args, flag)}
    changed |= {name: getattr(args, name) for name in SETTINGS if getattr(args, name) is not None}
    if args.data in SETS:
        recipe = Recipe(5, PiecewiseLinear((0, 0.2, 1), (0, args.lr or 0.05, 0)), 64)
        setup = Setup(*set_images(args), recipe)
    elif not args.recipe:
        raise ValueError(
            f"--data {args.data} is no set of the course ({', '.join(SETS)}): a folder needs --recipe"
        )
    else:
        folders = images.train_and_val(args.data, args.skip_unreadable)
        setup = RECIPES[args.recipe](*folders, models.image_shape(args.name)[-1], workers(args))
    return replace(setup, recipe=replace(setup.recipe, seed=args.seed, **changed))


def workers(args: argparse.Namespace) -> int:
    """How many processes read a folder."""
    return WORKERS if args.workers is None else args.workers


def report_left_out(images) -> None:
    """Say what of a folder is not among the images."""
    for note in images.dataset.left_out() if hasattr(images, "dataset") else ():
        print(note)


def build_for(name: str, images):
    """A network for these images: as many outputs as there are classes, where it can have them."""
    from cnnlib import models

    count, image = len(images.classes), images.example()
    options = {"num_classes": count, "in_channels": image.shape[1]}
    return models.build(name, **{key: value for key, value in options.items() if key in models.options(name)})


def _print_row(row, epochs: float) -> None:
    try:
        print(
            f"epoch {row.epoch}/{epochs:g}  loss {row.train_loss:.4f}  train {row.train_acc:.2%}  "
            f"test {row.valid_acc:.2%}  {row.seconds:.1f} s",
            flush=True,
        )
    except BrokenPipeError:
        raise ValueError("nobody reads the lines any more, so training stops: send them to a file") from None


def train(args: argparse.Namespace) -> int:
    """Train a network and print a line an epoch; under torchrun, on several devices."""
    from cnnlib import training
    from cnnlib.training import current_world, process_group

    refuse_ignored(args)
    with (
        process_group(args.device) as device,
        nullcontext() if current_world().is_main else redirect_stdout(io.StringIO()),
    ):
        device = training.find_device(device)
        setup = _setup(args)
        for images in (setup.train_set, setup.valid_set):
            report_left_out(images)
        with training.seeded(args.seed):
            net = build_for(args.name, setup.train_set).to(device)
        rows = training.train(net, setup.train_set, setup.valid_set, setup.recipe, checkpoint=args.checkpoint)
        with open(
            args.log if args.log and current_world().is_main else os.devnull, "w", encoding="utf-8"
        ) as log:
            for row in rows:
                print(json.dumps(asdict(row)), file=log, flush=True)
                _print_row(row, setup.recipe.epochs)
    return 0


def image_options() -> argparse.ArgumentParser:
    """What both commands take."""
    both = argparse.ArgumentParser(add_help=False)
    both.add_argument("name", help="a network of the book, such as lenet_small")
    both.add_argument(
        "--data", required=True, metavar="SET", help=f"{', '.join(SETS)}, or a folder in ImageNet's layout"
    )
    both.add_argument("--full", action="store_true", help="the full set instead of the shipped part")
    both.add_argument("--download", action="store_true", help="fetch the full set if it is not here")
    both.add_argument(
        "--pad", type=whole(1), metavar="N", help="black pixels around each image: 2 for lenet5 on mnist"
    )
    both.add_argument("--device", help="cpu, cuda, mps (default: the fastest there is)")
    both.add_argument(
        "--workers", type=whole(0), metavar="N", help=f"processes that read a folder (default {WORKERS})"
    )
    both.add_argument(
        "--skip-unreadable", action="store_true", help="try each file of a folder, leave out bad ones"
    )
    return both


def add_parser(commands) -> None:
    """The command, among the others of ``cnnlib``."""
    sub = commands.add_parser(
        "train", parents=[image_options()], help="train a network", description=train.__doc__
    )
    sub.add_argument("--recipe", choices=["imagenet-2015", "imagenet-2021"], help="for a folder")
    sub.add_argument(
        "--epochs", type=positive, metavar="N", help="passes over the images (default 5, or the recipe's)"
    )
    sub.add_argument(
        "--batch", type=whole(1), metavar="N", help="images a step (default 64, or the recipe's)"
    )
    sub.add_argument(
        "--lr", type=positive, metavar="RATE", help="peak rate for a set of the course (default 0.05)"
    )
    sub.add_argument(
        "--seed", type=whole(0, 2**63 - 1), default=0, metavar="N", help="of weights and batches (default 0)"
    )
    sub.add_argument(
        "--accumulate", type=whole(1), metavar="N", help="parts that a step takes its batch in (default 1)"
    )
    sub.add_argument(
        "--clip", type=positive, metavar="NORM", help="largest norm of a step's gradients (default: any)"
    )
    sub.add_argument("--checkpoint", metavar="FILE", help="keep the run here, and go on from it")
    sub.add_argument("--log", metavar="FILE", help="write the rows here too, a line of JSON an epoch")
    for flag in SPEED:
        sub.add_argument(
            f"--{flag.replace('_', '-')}", action="store_true", help="see cnnlib.training.Recipe"
        )
    sub.set_defaults(main=train)
