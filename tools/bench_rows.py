"""Where benchmarks leave what they measured: ``_build/bench.json``, one list of rows a benchmark."""

import json
import os
from pathlib import Path

FILE = Path(__file__).resolve().parents[1] / "_build" / "bench.json"


def store(name: str, rows: list[dict]) -> None:
    """Put ``rows`` in place of the last ones of this name, in one go."""
    known = json.loads(FILE.read_text(encoding="utf-8")) if FILE.is_file() else {}
    FILE.parent.mkdir(parents=True, exist_ok=True)
    part = FILE.with_suffix(".part")
    part.write_text(json.dumps(known | {name: rows}, indent=1) + "\n", encoding="utf-8")
    os.replace(part, FILE)
