"""``cnnlib train`` and ``cnnlib evaluate``. Torch is imported when a command runs.

Images are one of the course's sets by name, or a folder in ImageNet's layout: train/CLASS/* and val/CLASS/*.
"""

from __future__ import annotations

import argparse
import io
import json
import os
from contextlib import nullcontext, redirect_stdout
from dataclasses import asdict, replace
from pathlib import Path

from cnnlib.cli.options import positive, whole

SETS = ("mnist", "fashion_mnist", "cifar10")
SETTINGS = ("epochs", "batch", "accumulate", "clip")
SPEED = ("channels_last", "amp", "compile", "sync_norm")
WORKERS = min(8, (os.cpu_count() or 1) - 1)
FOR_SETS, FOR_FOLDERS = ("full", "download", "pad", "lr"), ("recipe", "workers", "skip_unreadable")


def _refuse_ignored(args: argparse.Namespace) -> None:
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


def _set_images(args: argparse.Namespace):
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
        setup = Setup(*_set_images(args), recipe)
    elif not args.recipe:
        raise ValueError(
            f"--data {args.data} is no set of the course ({', '.join(SETS)}): a folder needs --recipe"
        )
    else:
        folders = images.train_and_val(args.data, args.skip_unreadable)
        setup = RECIPES[args.recipe](*folders, models.image_shape(args.name)[-1], _workers(args))
    return replace(setup, recipe=replace(setup.recipe, seed=args.seed, **changed))


def _workers(args: argparse.Namespace) -> int:
    """How many processes read a folder."""
    return WORKERS if args.workers is None else args.workers


def _report_left_out(images) -> None:
    """Say what of a folder is not among the images."""
    for note in images.dataset.left_out() if hasattr(images, "dataset") else ():
        print(note)


def _build_for(name: str, images):
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

    _refuse_ignored(args)
    with (
        process_group(args.device) as device,
        nullcontext() if current_world().is_main else redirect_stdout(io.StringIO()),
    ):
        device = training.find_device(device)
        setup = _setup(args)
        for images in (setup.train_set, setup.valid_set):
            _report_left_out(images)
        with training.seeded(args.seed):
            net = _build_for(args.name, setup.train_set).to(device)
        rows = training.train(net, setup.train_set, setup.valid_set, setup.recipe, checkpoint=args.checkpoint)
        with open(
            args.log if args.log and current_world().is_main else os.devnull, "w", encoding="utf-8"
        ) as log:
            for row in rows:
                print(json.dumps(asdict(row)), file=log, flush=True)
                _print_row(row, setup.recipe.epochs)
    return 0


# Evaluation


def _evaluation_images(
    args: argparse.Namespace, transform, normalisation: dict, classes: list[str] | None = None
):
    """The images to judge on. A folder has to have ``classes``, if they are given."""
    from cnnlib.images import Stream, image_folder

    if args.data in SETS:
        return _set_images(args)[1]
    root = Path(args.data, "val") if Path(args.data, "val").is_dir() else args.data
    files = image_folder(root, classes, args.skip_unreadable)
    return Stream(files, files.classes, transform, _workers(args), **normalisation)


def _check_classes(args: argparse.Namespace, images, classes) -> None:
    """Raises ``ValueError`` if images are of other classes than the weights know: their labels would mean nothing."""
    if tuple(images.classes) != tuple(classes):
        raise ValueError(
            f"{args.weights} knows {len(classes)} classes, such as {classes[0]!r}, and {args.data} has "
            f"{len(images.classes)}, such as {images.classes[0]!r}: give images of the same classes"
        )


def _published(args: argparse.Namespace):
    """A network with weights that somebody published, and images prepared for them and labelled as they are."""
    from cnnlib import models
    from cnnlib.images import from_torchvision
    from cnnlib.models import weights

    found = weights.find(args.name, args.weights)
    images = _evaluation_images(args, from_torchvision(found.transform), {})
    if args.data in SETS:
        _check_classes(args, images, found.classes)
    else:
        files = images.dataset.labelled_as(found.classes, weights.imagenet_ids())
        images = replace(images, dataset=files, classes=files.classes)
    return models.build(args.name, weights=args.weights), images


def _from_file(args: argparse.Namespace):
    """A network with weights from a file, and images prepared as in its training, or as is usual for ImageNet."""
    from cnnlib import models
    from cnnlib.images import centre_crop
    from cnnlib.training import IMAGENET_MEAN, IMAGENET_STD, checkpoint, resize_side

    state, size = checkpoint.load(args.weights), models.image_shape(args.name)[-1]
    normalisation = state.get("normalisation") or {"mean": IMAGENET_MEAN, "std": IMAGENET_STD}
    classes = state["training"]["classes"] if "training" in state else None
    images = _evaluation_images(args, centre_crop(resize_side(size), size), normalisation, classes)
    if classes is not None:
        _check_classes(args, images, classes)
    else:
        print(f"{args.weights} names no classes: labels follow the alphabet, or the order of the set")
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

    _refuse_ignored(args)
    net, images = _from_file(args) if Path(args.weights).exists() else _published(args)
    net = net.to(find_device(args.device))
    _report_left_out(images)
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


# Options


def _image_options() -> argparse.ArgumentParser:
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


def add_parsers(commands) -> None:
    """Both commands, among the others of ``cnnlib``."""
    sub = commands.add_parser(
        "train", parents=[_image_options()], help="train a network", description=train.__doc__
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

    sub = commands.add_parser(
        "evaluate", parents=[_image_options()], help="judge trained weights", description=evaluate.__doc__
    )
    sub.add_argument(
        "--weights", required=True, metavar="FILE", help="a checkpoint, a state_dict, or IMAGENET1K_V1 …"
    )
    sub.add_argument("--batch", type=whole(1), default=128, metavar="N", help="images at once (default 128)")
    sub.set_defaults(main=evaluate)
