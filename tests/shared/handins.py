"""A folder of hand-ins, graded as from the command line."""

import argparse
import csv
import io
import json
from pathlib import Path

from cnnlib.cli.grade import add_parsers

ROOT = Path(__file__).resolve().parents[2]
TEXT = ROOT / "chapters" / "exercises" / "cost.md"
# An answer to `stem` that stands alone, so that a test may break any other answer.
STEM = "def stem():\n    return [(15, 3, 2, 1), (30, 3, 2, 1), (30, 3, 2, 1), (30, 3, 1, 1), (64, 3, 1, 1)]"


def command(*arguments):
    """Run `cnnlib ...` in this process; its exit code."""
    parser = argparse.ArgumentParser()
    add_parsers(parser.add_subparsers(required=True))
    parsed = parser.parse_args([str(argument) for argument in arguments])
    return parsed.main(parsed)


class Folder:
    """A folder of hand-ins, and what grading it says."""

    def __init__(self, path):
        self.path, self.out = path / "submissions", path / "grades.csv"
        self.path.mkdir()

    def put(self, name, content):
        """Write a notebook (dict), a text or bytes."""
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, dict):
            content = json.dumps(content)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())

    def grade(self, *options):
        return command("grade", self.path, "--sheet", TEXT, "--out", self.out, *options)

    def rows(self):
        text = self.out.read_text(encoding="utf-8-sig")
        return {row["id"]: row for row in csv.DictReader(io.StringIO(text))}

    @property
    def run(self):
        return self.out.with_name("grades-run")

    def results(self):
        found = [
            json.loads(path.read_text(encoding="utf-8")) for path in (self.run / "results").glob("*.json")
        ]
        return {result["id"]: result for result in found}
