"""Puts the stored measurements into pages/training.md, between the comments ``% NAME`` and ``% end``.

    python tools/training_page.py

The records are data/runs/training-speed.json and recipe-speed.json, which bench_training.py and measure_recipes.py make
when they are asked to ``--keep``.
"""

import json
import re

import bench_training
import measure_recipes
from kept_rows import RUNS, provenance

PAGE = RUNS.parents[1] / "pages" / "training.md"


def stored(name):
    return json.loads((RUNS / f"{name}.json").read_text(encoding="utf-8"))


def verdict(rows):
    """A sentence a network: what the plain loop takes at its best."""
    return " ".join(
        f"With {row['network']} the plain loop takes {row['times_ours']:.2f} times as long as ours by the clock, and "
        f"{row['cpu_times_ours']:.2f} times the processors' time."
        for row in rows
        if row["best"]
    )


def speed(record):
    suites = {name: record[name] for name in bench_training.SUITES}
    tables = {name: table.to_markdown() for name, table in bench_training.tables(suites).items()}
    return tables | {"verdict": verdict(record["pairs"]), "machine": provenance(record)}


def settings(record):
    return {
        "settings": measure_recipes.table(record["rows"]).to_markdown(),
        "settings-machine": provenance(record),
    }


RECORDS = {"training-speed": speed, "recipe-speed": settings}


def filled(text):
    """The page with what was measured in its places."""
    made = {name: blocks for name, blocks in RECORDS.items() if (RUNS / f"{name}.json").is_file()}
    for name, block in (item for record, blocks in made.items() for item in blocks(stored(record)).items()):
        text, found = re.subn(rf"(?ms)^% {name}\n.*?^% end$", f"% {name}\n\n{block}\n\n% end", text)
        if found != 1:
            raise SystemExit(f"{PAGE.name} has {found} places for {name}: need one")
    return text


if __name__ == "__main__":
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
