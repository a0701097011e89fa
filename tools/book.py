"""Where the book is and what `_config.yml` says, for the tools and the tests."""

import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "_ext"))
import address  # noqa: E402  (lives beside the Sphinx extension, which uses it too)

CONFIG = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf8"))
REPOSITORY = CONFIG["repository"]["url"].rstrip("/")
BRANCH = CONFIG["repository"]["branch"]
SITE = address.site(REPOSITORY)


def below_chapters(ending):
    chapters = ROOT / "chapters"
    files = [file.relative_to(chapters) for file in chapters.rglob(f"*{ending}")]
    return sorted(chapters / file for file in files if not any(part.startswith(".") for part in file.parts))


def sources():
    """The chapters and exercise sheets: every notebook that somebody edits as text."""
    return below_chapters(".md")


def texts_of_notebooks():
    """The text that each notebook should have been made from, whether it exists or not."""
    return [notebook.with_suffix(".md") for notebook in below_chapters(".ipynb")]


def pages():
    """Names of the pages of the table of contents in order, without their ending."""
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf8"))
    return [toc["root"], *(file for part in toc["parts"] for file in below(part["chapters"]))]


def below(entries):
    """The files of entries of the table of contents, each followed by those of its sections."""
    for entry in entries:
        yield entry["file"]
        yield from below(entry.get("sections", []))
