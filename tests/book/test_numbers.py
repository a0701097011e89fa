"""A number in a chapter's prose is computed on that page, stands in the facts, or carries its source."""

import csv
import re
from pathlib import Path

import nbformat
import pytest

from cnnlib.experiments.registry import EXPERIMENTS

ROOT = Path(__file__).resolve().parents[2]
CHAPTERS = sorted((ROOT / "chapters").glob("*.ipynb"))
FACTS = "\n".join(
    field.replace(",", "")
    for path in sorted((ROOT / "data/facts").glob("*.csv"))
    for line in csv.reader(path.read_text(encoding="utf8").splitlines())
    for field in line
)

# Exact claims: four digits or more, or a decimal. Years and small counts are prose.
NUMBER = re.compile(
    r"(?<![\w./])\d{1,3}(?:,\d{3})+(?:\.\d+)?|(?<![\w./])\d+\.\d+(?!\w|\.\d)|(?<![\w./])\d{4,}(?![\w/])"
)
YEAR = re.compile(r"(?:1[89]|20)\d\d")
NO_PROSE = re.compile(r"```.*?```|`[^`]*`|<[^>]+>|\]\([^)]*\)|\$\$.*?\$\$|\$[^$]*\$", re.S)
# A paper, or the address of a page of another site.
SOURCE = re.compile(r"https?://|doi\.org|arxiv\.org")


def numbers(text):
    found = {n.replace(",", "") for n in NUMBER.findall(text)}
    return {n for n in found if not YEAR.fullmatch(n)}


def shown(notebook):
    """Everything that the cells computed or were given."""
    parts = []
    for cell in notebook.cells:
        if cell.cell_type == "code":
            parts.append(cell.source)
            for out in cell.outputs:
                parts += [out.get("text", "")]
                parts += [
                    v
                    for k, v in out.get("data", {}).items()
                    if k.startswith("text/") or k.endswith("svg+xml")
                ]
    return "\n".join(parts).replace(",", "").replace("_", "")


def rounds_to(number, texts):
    """The number stands in the text, or a longer one that rounds to it."""
    if re.search(rf"(?<![\d.]){re.escape(number)}(?![\d])", texts):
        return True
    if "." not in number:
        return False
    digits = len(number.split(".")[1])
    longer = re.findall(rf"(?<![\d.]){re.escape(number.split('.')[0])}\.\d{{{digits + 1},}}", texts)
    return any(f"{float(n):.{digits}f}" == number for n in longer)


def unbacked(notebook):
    evidence = shown(notebook) + "\n" + FACTS
    missing = []
    for cell in notebook.cells:
        if cell.cell_type != "markdown":
            continue
        for paragraph in re.split(r"\n\s*\n", cell.source):
            if SOURCE.search(paragraph):
                continue
            for number in sorted(numbers(NO_PROSE.sub(" ", paragraph))):
                if not rounds_to(number, evidence):
                    missing.append(f"{number} in: {paragraph.strip()[:90]}")
    return missing


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda p: p.stem)
def test_every_exact_number_is_backed(path):
    assert unbacked(nbformat.read(path, as_version=4)) == []


def page(prose, output="72855552 and 0.91797"):
    cell = nbformat.v4.new_code_cell("1", outputs=[nbformat.v4.new_output("stream", text=output)])
    return nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell(prose), cell])


@pytest.mark.parametrize(
    "prose", ["It costs 72,855,552 MACs.", "A share of 0.918.", "In 2012, three of 100.", "`9876543` is code.",
              "They report 98,765 ([a paper](https://arxiv.org/abs/1.2))."]
)  # fmt: skip
def test_a_backed_number_passes(prose):
    assert unbacked(page(prose)) == []


@pytest.mark.parametrize("prose", ["It costs 72,855,553 MACs.", "A share of 0.91731.", "All 98765 of them."])
def test_a_number_from_nowhere_is_found(prose):
    assert len(unbacked(page(prose))) == 1


# ---- verdicts of experiments ----

LONG = 90  # letters: a shorter sentence may agree with an output by chance


def repeated(notebook):
    """Lines of prose that an output of the page says word for word: a reader would read them twice."""
    outputs = [out.get("text", "") for cell in notebook.cells for out in cell.get("outputs", ())]
    said = " ".join(" ".join(outputs).split())
    lines = [
        line for cell in notebook.cells if cell.cell_type == "markdown" for line in cell.source.splitlines()
    ]
    plain = [re.sub(r"^[>\s*-]*", "", " ".join(line.split())).rstrip(".") for line in lines]
    return [line for line in plain if len(line) > LONG and line in said]


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda p: p.stem)
def test_a_verdict_is_said_once(path):
    assert repeated(nbformat.read(path, as_version=4)) == []


def test_a_sentence_that_repeats_an_output_is_found():
    verdict = (
        "no difference shown between wide and deep; test accuracy +0.12 points, 95 % interval -0.94 to +1.16"
    )
    output = verdict.replace("; ", ";\n")
    assert repeated(page(f"> - {verdict}.", output)) == [verdict]
    assert repeated(page("Between wide and deep no difference was shown, within a point.", output)) == []


def test_every_stored_experiment_stands_in_a_chapter():
    """What was run and is shown nowhere would be a result that was left out."""
    told = "\n".join(path.read_text(encoding="utf8") for path in (ROOT / "chapters").glob("*.md"))
    assert [name for name in EXPERIMENTS if f'"{name}"' not in told and f"run {name}`" not in told] == []
