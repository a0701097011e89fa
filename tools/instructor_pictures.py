"""Pictures of the instructors' page: a feedback page and the table of grades, of the class that --demo makes.

    python tools/instructor_pictures.py

Grades the demo class in the jail that works here, takes pictures with the Chromium that the machine has, and stores
them as PNG of at most 256 colours. Outcomes and points are the same every time, since the seed is; run it again
when the page or the table looks otherwise.
"""

import csv
import html
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parents[1]
TARGET = ROOT / "_assets" / "instructors"
SHOWN = (
    "id",
    "status",
    "total",
    "max",
    "conv_macs",
    "conv_macs status",
    "peak_memory",
    "stem",
    "stem status",
)
STYLE = """body { margin: 0; font: 14px system-ui, sans-serif; background: #fff; color: #1b1f24; }
table { border-collapse: collapse; } td, th { border: 1px solid #d0d7de; padding: 4px 9px;
  text-align: left; white-space: nowrap; }
th { background: #eaeef2; }"""


def table(rows):
    """The grades as a spreadsheet shows them, some columns."""
    lines = [SHOWN, *([row[name] for name in SHOWN] for row in rows)]
    cells = ["".join(f"<{tag}>{html.escape(cell)}</{tag}>" for cell in line) for tag, line in
             zip(["th", *["td"] * len(rows)], lines, strict=True)]  # fmt: skip
    return f"<style>{STYLE}</style><table><tr>{'</tr><tr>'.join(cells)}</tr></table>"


def stored(path):
    """Fewer colours: a third of the bytes, and no difference to be seen."""
    with Image.open(path) as picture:
        picture.convert("RGB").quantize(64, dither=Image.Dither.NONE).save(path, optimize=True)
    return f"{path.relative_to(ROOT)}: {path.stat().st_size / 1024:.0f} KB"


def main():
    TARGET.mkdir(parents=True, exist_ok=True)
    chrome = shutil.which("chromium") or shutil.which("google-chrome")
    with tempfile.TemporaryDirectory() as home, sync_playwright() as started:
        out = Path(home, "grades.csv")
        demo = [
            sys.executable,
            "-m",
            "cnnlib",
            "grade",
            "--demo",
            "--seed",
            "1",
            "--jobs",
            "2",
            "--out",
            str(out),
        ]
        subprocess.run(demo, cwd=ROOT, check=True)
        with out.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
        browser = started.chromium.launch(executable_path=chrome, args=["--no-sandbox"])
        for scheme, width in (("light", 720), ("dark", 375)):
            page = browser.new_page(viewport={"width": width, "height": 860}, color_scheme=scheme)
            page.goto((out.with_name("grades-run") / "feedback" / "counted-flops.html").as_uri())
            page.screenshot(path=TARGET / f"feedback-{scheme}.png")
        page = browser.new_page(viewport={"width": 1000, "height": 400})
        page.set_content(table(rows))
        page.locator("table").screenshot(path=TARGET / "grades.png")
        browser.close()
    for name in ("feedback-light", "feedback-dark", "grades"):
        print(stored(TARGET / f"{name}.png"))


if __name__ == "__main__":
    main()
