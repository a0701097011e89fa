"""``cnnlib evaluate``: loss and accuracy of trained weights on images of the classes that they know."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from cnnlib.cli.options import whole
from cnnlib.cli.train import (
    SETS,
    build_for,
    image_options,
    refuse_ignored,
    report_left_out,
    set_images,
    workers,
)


def _evaluation_images(
    args: argparse.Namespace, transform, normalisation: dict, classes: list[str] | None = None
):
    """The images to judge on. A folder has to have ``classes``, if they are given."""
    from cnnlib.images import Stream, image_folder

    if args.data in SETS:
        return set_images(args)[1]
    root = Path(args.data, "val") if Path(args.data, "val").is_dir() else args.data
    files = image_folder(root, classes, args.skip_unreadable)
    return Stream(files, files.classes, transform, workers(args), **normalisation)


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
    net = build_for(args.name, images)
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

    refuse_ignored(args)
    net, images = _from_file(args) if Path(args.weights).exists() else _published(args)
    net = net.to(find_device(args.device))
    report_left_out(images)
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


def add_parser(commands) -> None:
    """The command, among the others of ``cnnlib``."""
    sub = commands.add_parser(
        "evaluate", parents=[image_options()], help="judge trained weights", description=evaluate.__doc__
    )
    sub.add_argument(
        "--weights", required=True, metavar="FILE", help="a checkpoint, a state_dict, or IMAGENET1K_V1 …"
    )
    sub.add_argument("--batch", type=whole(1), default=128, metavar="N", help="images at once (default 128)")
    sub.set_defaults(main=evaluate)
