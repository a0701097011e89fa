"""Write every network of the book for the cost explorer: `python tools/export_costs.py [NAME ...] [--check]`.

One script a network under `_assets/explorer/nets/`, which the page loads when a reader chooses that network, and
`_assets/explorer/networks.js` with their names; and the table at the end of the page, from `data/facts/bills.csv`.
`--check` says which files are not what the package gives today.
"""

import argparse
import csv
import json
import sys
import warnings
from functools import partial
from itertools import chain
from pathlib import Path

import torch

from cnnlib import models, table
from cnnlib.costs import export

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "_assets" / "explorer"
NETS = FOLDER / "nets"
LIST = FOLDER / "networks.js"
PAGE = ROOT / "pages" / "explorer.md"
MARK = "% Written by tools/export_costs.py from here on\n"


def compact(value):
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def build(name):
    """The network, without numbers where it can be built so."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with torch.device("meta"):
                return models.build(name)
        except (NotImplementedError, RuntimeError):  # RegNet computes its widths with tensors
            return models.build(name)


def script(name):
    """What stands in the file of one network."""
    return f"explorer.add({compact(export(build(name), models.image_shape(name)))});\n"


def names_script():
    """The list of networks: name and image."""
    known = [[name, models.image_shape(name)] for name in models.list_models()]
    return f"window.explorer ??= {{}};\nexplorer.networks = {compact(known)};\n"


def page():
    """The page with its last table, every network at its own size."""
    lines = [
        "| network | image | params | MACs | activations | peak memory of maps | sees |",
        "| :-- | --: | --: | --: | --: | --: | --: |",
    ]
    with (ROOT / "data/facts/bills.csv").open(encoding="utf8", newline="") as file:
        for bill in csv.DictReader(file):
            name, image = bill["name"], bill["image"].replace("x", "×")
            counts = " | ".join(f"{int(bill[column]):,}" for column in ("params", "macs", "activations"))
            size, sees = table.size(int(bill["memory"])), bill["receptive_field"].replace("x", "×") or "–"
            lines.append(f'| <a href="#net={name}">{name}</a> | {image} | {counts} | {size} | {sees} |')
    return PAGE.read_text(encoding="utf8").partition(MARK)[0] + MARK + "\n" + "\n".join(lines) + "\n"


def stale(names):
    """The files that are missing or not what the package gives today; each with what it should hold."""
    wanted = chain(
        [(LIST, names_script), (PAGE, page)], ((NETS / f"{name}.js", partial(script, name)) for name in names)
    )
    for path, write in wanted:
        text = write()
        if not path.is_file() or path.read_text(encoding="utf8") != text:
            yield path, text


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="networks (default: all)")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a file is out of date")
    args = parser.parse_args()
    NETS.mkdir(parents=True, exist_ok=True)
    found = 0
    for path, text in stale(args.names or models.list_models()):
        found += 1
        print(
            f"{path.relative_to(ROOT)}: {'out of date' if args.check else f'{len(text):,} bytes'}",
            flush=True,
        )
        if not args.check:
            path.write_text(text, encoding="utf8")
    return 1 if args.check and found else 0


if __name__ == "__main__":
    sys.exit(main())
