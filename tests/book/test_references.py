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


ENTRY = re.compile(r"^[A-Z].*, (?:19|20)\d\d\. .*$", re.MULTILINE)
WHERE = re.compile(r"\*[A-Z][^*]*\*[^\[]*\[[^\]]+\]\(https://\S+\)$")  # *Venue* volume. [name](address)


def incomplete(text):
    """Entries without a venue (or the word preprint) before a link."""
    return [entry for entry in ENTRY.findall(text) if not WHERE.search(entry)]


def test_every_entry_has_a_venue_and_a_link():
    text = (ROOT / "pages/references.md").read_text(encoding="utf8")
    assert len(ENTRY.findall(text)) > 70
    assert incomplete(text) == []


def test_an_entry_without_a_venue_or_link_would_be_found():
    whole = "He, Zhang, 2015. Deep residual learning. *CVPR* 2016. [arXiv:1512.03385](https://arxiv.org/abs/1512.03385)"
    assert incomplete(whole) == []
    for broken in (whole.replace(" *CVPR* 2016.", ""), whole.partition(" [")[0]):
        assert incomplete(broken) == [broken]
