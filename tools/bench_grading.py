"""How long a class takes to grade: python tools/bench_grading.py [--sheet cost] [--count 300] [--jobs 1 2]

Makes that many different notebooks in a temporary folder, right answers and known wrong ones in turn, grades them
in the jail that works here, prints seconds by the clock and by submission with the load of the machine, and puts them
into _build/bench.json.
"""

import argparse
import json
import os
import runpy
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import bench_rows

from cnnlib.grading import source

ROOT = Path(__file__).resolve().parents[1]


def notebooks(sheet, count):
    """Name and content: every notebook has one answer of the known wrong ones, every fourth has none."""
    text_path = source.find_text(sheet)
    text = json.dumps(source.solved_notebook(text_path.read_text(encoding="utf8")))
    wrong = runpy.run_path(str(text_path.parent / "answers" / f"{sheet}.py"))["WRONG"]
    spoilt = [(name, code) for name, found in wrong.items() for code in found.values()]
    for number in range(count):
        nb = json.loads(text)
        name, code = spoilt[number % len(spoilt)]
        for cell in nb["cells"]:
            if (
                number % 4
                and cell["cell_type"] == "code"
                and f" {name}, " in cell["source"].split("\n")[0] + ","
            ):
                cell["source"] = code
        nb["cells"].append({"cell_type": "markdown", "metadata": {}, "source": f"Notebook {number}"})
        yield f"s{number:04}.ipynb", json.dumps(nb)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sheet", default="cost")
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--jobs", type=int, nargs="+", default=[1, 2])
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home, "class")
        folder.mkdir()
        for name, content in notebooks(asked.sheet, asked.count):
            (folder / name).write_text(content, encoding="utf8")
        rows = []
        for jobs in asked.jobs:
            out = Path(home, f"jobs{jobs}.csv")
            command = [*("-m", "cnnlib", "grade", folder, "--sheet", asked.sheet, "--seed", "1")]
            command += ["--out", out, "--jobs", str(jobs)]
            start = time.monotonic()
            done = subprocess.run(
                [sys.executable, *map(str, command)], cwd=ROOT, capture_output=True, text=True
            )
            seconds = time.monotonic() - start
            if done.returncode:
                sys.exit(done.stderr)
            load = os.getloadavg()[0]
            rows.append(
                {
                    "sheet": asked.sheet,
                    "notebooks": asked.count,
                    "jobs": jobs,
                    "seconds": seconds,
                    "load": load,
                }
            )
            print(done.stdout.splitlines()[-1])
            print(
                f"{asked.count} notebooks, {jobs} jobs: {seconds:.0f} s, {seconds / asked.count:.2f} s each; "
                f"load {load:.1f} on {os.cpu_count()} cores",
                flush=True,
            )
    bench_rows.store("grading", rows)


if __name__ == "__main__":
    main()
