"""A paper that a chapter links to stands on the references page."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAPER = re.compile(
    r"(?:arxiv\.org/abs/|doi\.org/|papers\.nips\.cc/paper/|jmlr\.org/papers/|proceedings\.mlr\.press/)[^\s)>\"\]]+"
)


def papers(text):
    return {match.rstrip(".,;").removesuffix(".html") for match in PAPER.findall(text)}


def test_every_linked_paper_is_listed():
    listed = papers((ROOT / "pages/references.md").read_text(encoding="utf8"))
    missing = {
        f"{path.stem}: {paper}"
        for path in [*sorted((ROOT / "chapters").glob("*.md")), ROOT / "pages/experiments.md"]
        for paper in papers(path.read_text(encoding="utf8")) - listed
    }
    assert missing == set()


def test_an_unlisted_paper_would_be_found():
    text = "see [this](https://arxiv.org/abs/1512.03385), and https://doi.org/10.1109/5.726791."
    assert papers(text) == {"arxiv.org/abs/1512.03385", "doi.org/10.1109/5.726791"}
