"""What the search finds: both spellings of a word, and the place where a chapter says what a term means.

A term stands in bold where it is explained, so bold words become entries of the index, which the search ranks above
pages that only mention them.
"""

import re
from pathlib import Path

from docutils import nodes
from sphinx import addnodes
from sphinx.search.en import SearchEnglish

LONGEST = 4  # words of a term
SCORER = Path(__file__).with_name("search_scorer.js")
# British and American, and both ways to write a window. Other words may change, too: they do so on both sides.
SPELLINGS = ((r"(\d) ?× ?(?=\d)", r"\1x"), (r"is(e[drs]?|ers|ing|ations?)\b", r"iz\1"),
             (r"\b(col|neighb|behavi|lab|fav)our", r"\1or"), (r"\bcentre", "center"), (r"\bgrey", "gray"))  # fmt: skip
# The same in a browser. Sphinx calls both by these names, and writes them behind each other.
IN_A_BROWSER = """
const spelled = (text) => RULES.reduce((t, [from, to]) => t.replace(new RegExp(from, "g"), to), text.toLowerCase());
function splitQuery(query) {
  return spelled(query).split(/[^\\p{Letter}\\p{Number}_]+/gu).filter((word) => word);
}
"""


def spelled(text):
    """The text in the one spelling that the search keeps."""
    text = text.lower()
    for pattern, other in SPELLINGS:
        text = re.sub(pattern, other, text)
    return text


class English(SearchEnglish):
    """Sphinx's English, in one spelling."""

    js_splitter_code = IN_A_BROWSER.replace(
        "RULES", str([[pattern, other.replace("\\1", "$1")] for pattern, other in SPELLINGS])
    )

    def split(self, text):
        return super().split(spelled(text))


def terms(doctree):
    """The bold words that explain a term, each with its paragraph: no label of a callout, and nothing longer."""
    for bold in doctree.findall(nodes.strong):
        words, paragraph = bold.astext().strip(" .,:;"), bold.parent
        labels = bold is next((child for child in paragraph.children if child.astext()), None)
        if isinstance(paragraph, nodes.paragraph) and not labels and 1 <= len(words.split()) <= LONGEST:
            yield words, paragraph


def note_terms(app, doctree):
    """Each of them becomes an entry of the index, and every entry, also of the glossary, has both spellings."""
    if app.env.docname.startswith("chapters/"):
        seen = set()
        for words, paragraph in list(terms(doctree)):
            name = nodes.make_id(f"term-{spelled(words)}")
            if name not in seen:
                paragraph["ids"].append(name)
                entry = ("single", words.lower(), name, "main", None)
                paragraph.parent.insert(paragraph.parent.index(paragraph), addnodes.index(entries=[entry]))
            seen.add(name)
    for index in doctree.findall(addnodes.index):
        index["entries"] += [
            (kind, spelled(words), *rest)
            for kind, words, *rest in index["entries"]
            if spelled(words) != words.lower()
        ]


def offer_terms(app, doctree):
    """Links from other pages may lead to a term, as they do to a heading; a term that is not there is still told."""
    places = app.env.metadata[app.env.docname].setdefault("myst_slugs", {})
    for node in doctree.findall(lambda node: isinstance(node, nodes.term | nodes.paragraph)):
        for name in node["ids"]:
            places[name] = (node.line, name, node.astext())
