"""``cnnlib costs``: what a network costs, on the command line. Torch is imported when a command runs.

A network is named as ``resnet50`` (of the book), ``torchvision:resnet50``, or ``path/to/file.py:ClassName``.
"""

from __future__ import annotations

import argparse
import json
import sys
import warnings
from collections.abc import Callable
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

Shape = tuple[int, ...]
_FOLDS: dict[str, Callable] = {
    "layer": lambda cost: cost.table(),
    "part": lambda cost: cost.by(1),
    "block": lambda cost: cost.by(2),
    "stage": lambda cost: cost.by_size(),
    "kind": lambda cost: cost.by_kind(),
}
_FORMATS: dict[str, Callable] = {
    "text": repr,
    "md": lambda table: table.to_markdown(),
    "csv": lambda table: table.to_csv().rstrip("\n"),
    "html": lambda table: table._repr_html_(),
    "json": lambda table: json.dumps(_json_ready(table), indent=1, ensure_ascii=False),
}


def shape(text: str) -> Shape:
    """``3x224x224`` as (3, 224, 224)."""
    try:
        return tuple(int(n) for n in text.lower().replace("×", "x").split("x"))
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r}: need channels, height and width, such as 3x224x224"
        ) from None


def _json_ready(table) -> dict:
    """A table for JSON: its caption, its rows as objects, the totals apart; shapes become lists."""
    rows = [dict(zip(table.columns, row, strict=True)) for row in table.rows]
    total = rows.pop() if table.total else None
    return {"caption": table.caption, "rows": rows, **({"total": total} if total else {})}


def _book_network(name: str) -> tuple[object, Shape]:
    from cnnlib import models

    return models.build(name), models.image_shape(name)


def _torchvision_network(name: str) -> tuple[object, Shape]:
    """torchvision's network, and the image that its public weights were tested on."""
    import torch
    from torchvision import models

    try:
        weights = models.get_model_weights(name)
    except ValueError:
        raise ValueError(
            f"torchvision has no network {name!r}: its models.list_models() names them"
        ) from None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some announce how they will initialise their weights one day
        try:
            with torch.device("meta"):
                net = models.get_model(name)
        except NotImplementedError:  # RegNet computes its widths with tensors, and those need numbers
            net = models.get_model(name)
    net.name = name
    side = getattr(weights.DEFAULT.transforms(), "crop_size", 224)
    side = side if isinstance(side, int) else side[0]
    return net, (3, side, side)


def _file_network(path: Path, name: str) -> tuple[object, Shape]:
    """The network that a Python file defines: a class to be called without arguments, or a module."""
    if not path.is_file():
        raise ValueError(f"there is no file {path}")
    title = f"{path.stem} in {path.resolve().parent}"  # a name that no other module has
    spec = spec_from_file_location(title, path)
    module = sys.modules[title] = module_from_spec(spec)  # where dataclasses look for it
    sys.path.insert(0, str(path.resolve().parent))  # for what the file imports from beside it
    try:
        spec.loader.exec_module(module)
        made = getattr(module, name, None)
        if made is None:
            raise ValueError(f"{path} defines no {name!r}")
        return (made() if callable(made) and isinstance(made, type) else made), (3, 224, 224)
    except ValueError:
        raise
    except Exception as error:  # whatever somebody's file raises: its own words say it best
        raise ValueError(f"{path}:{name} cannot be made: {type(error).__name__}: {error}") from error
    finally:
        sys.path.remove(str(path.resolve().parent))


def network(source: str) -> tuple[object, Shape]:
    """The network that ``source`` names, and its own image. Raises ``ValueError`` if there is none."""
    library, colon, name = source.rpartition(":")
    if colon and library == "torchvision":
        return _torchvision_network(name)
    if colon and library.endswith(".py"):
        return _file_network(Path(library), name)
    if source.endswith(".py"):
        raise ValueError(f"{source} is a file: name the class too, as {source}:ClassName")
    return _book_network(source)


def _traced(source: str, args: argparse.Namespace):
    from cnnlib.costs import trace

    net, image = network(source)
    asked = args.input or [image]
    return trace(net, asked if len(asked) > 1 else asked[0], args.batch)


def _compared(args: argparse.Namespace):
    from cnnlib import table

    found = [_traced(source, args) for source in args.compare]
    for other in found[1:]:
        if other.image != found[0].image:
            raise ValueError(
                f"{found[0].name} takes {table.number(found[0].image)}, {other.name} {table.number(other.image)}: "
                "choose one image with --input"
            )
    return table.compare(*found, names=args.compare)


def _one(args: argparse.Namespace):
    from cnnlib.costs import conventions

    cost = _traced(args.name, args)
    if args.printed:
        return conventions.printed(cost)
    if args.top:
        return cost.top(args.top, args.of)
    if args.by == "layer" and args.format in ("csv", "json"):
        return cost.details()
    return _FOLDS[args.by](cost)


def _export(args: argparse.Namespace) -> None:
    """Writes the network for the cost explorer of the site."""
    from cnnlib.costs import export

    net, image = network(args.name)
    found = export(net, args.input[0] if args.input else image)
    target = Path(args.export)
    target.write_text(json.dumps(found, separators=(",", ":")) + "\n", encoding="utf8")
    print(f'{target}: {len(found["ops"])} operations; drop it onto the page "Cost explorer"')


def main(args: argparse.Namespace) -> int:
    """Print what a network costs, layer by layer or folded, or compare several."""
    if bool(args.compare) == bool(args.name):
        raise ValueError("name one network, or several behind --compare")
    if args.export:
        if not args.name:
            raise ValueError("--export writes one network: name it")
        _export(args)
        return 0
    print(_FORMATS[args.format](_compared(args) if args.compare else _one(args)))
    return 0


def add_parser(subparsers) -> None:
    """Add the command ``costs``; ``args.main(args)`` runs it."""
    sub = subparsers.add_parser("costs", help="what each layer of a network costs", description=main.__doc__)
    sub.add_argument("name", nargs="?", help="resnet50, torchvision:resnet50 or path/to/file.py:ClassName")
    sub.add_argument("--compare", nargs="+", metavar="NAME", help="several networks side by side")
    sub.add_argument(
        "--input", type=shape, action="append", metavar="CxHxW",
        help="image, if not the one it was made for (3x224x224 for a file); again for each further input",
    )  # fmt: skip
    sub.add_argument("--batch", type=int, default=1, metavar="N", help="images at once (default 1)")
    what = sub.add_mutually_exclusive_group()
    what.add_argument(
        "--by", choices=_FOLDS, default="layer", help="add rows up (default: layer, which does not)"
    )
    what.add_argument("--top", type=int, metavar="K", help="only the K dearest rows")
    what.add_argument("--printed", action="store_true", help="what papers and other tools print for it")
    sub.add_argument("--of", default="macs", metavar="WHAT", help="what --top ranks by (default macs)")
    sub.add_argument("--format", choices=_FORMATS, default="text", help="of the table (default text)")
    sub.add_argument(
        "--export", metavar="FILE", help="write it to this JSON file for the site's cost explorer"
    )
    sub.set_defaults(main=main)
