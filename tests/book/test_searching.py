"""The search: it finds the page that teaches, in both spellings, and opens it."""

import finding
import pytest
from browsing import opened
from docutils import nodes
from sphinx import addnodes

BESIDE = """() => {
  const field = document.querySelector('main .bd-search input'), box = field.getBoundingClientRect();
  const start = box.left + parseFloat(getComputedStyle(field).paddingLeft);
  return document.querySelector('main .bd-search svg').getBoundingClientRect().right <= start;
}"""


def test_searching_finds_a_page(browser, address_of_site):
    with opened(browser, address_of_site + "search.html?q=network") as page:
        page.wait_for_selector("#search-results li")
        assert page.troubles == []


@pytest.mark.parametrize(
    ("asked", "first"),
    [
        ("bottleneck", "chapters/resnet.html#term-bottleneck"),
        ("receptive field", "chapters/cost.html#term-receptive-field"),
        ("1x1", "chapters/googlenet.html#term-1x1"),
        ("batch normalization", "chapters/batchnorm.html#term-batch-normalization"),
        ("normalization", "chapters/batchnorm.html#term-batch-normalization"),
        ("deconvnet", "chapters/zfnet.html"),
    ],
)
def test_the_page_that_teaches_comes_first(browser, address_of_site, asked, first):
    with opened(browser, f"{address_of_site}search.html?q={asked.replace(' ', '+')}") as page:
        page.wait_for_selector("#search-results li")
        page.wait_for_function(
            "document.querySelector('#search-summary, .search-summary')?.textContent.includes('found')"
        )
        assert page.locator("#search-results li > a").first.get_attribute("href").startswith(first)


@pytest.mark.parametrize(
    ("one", "other"), [("normalisation", "normalization"), ("1×1", "1x1"), ("centre", "center")]
)
def test_both_spellings_ask_the_same(browser, address_of_site, one, other):
    with opened(browser, address_of_site + "search.html") as page:
        asked = [page.evaluate("asked => [...Search._parseQuery(asked)[1]]", word) for word in (one, other)]
        assert asked[0] == asked[1] != []
        for text in (one, other, "Grey 3 × 3 windows, colours of neighbouring units"):
            assert page.evaluate("text => splitQuery(text)", text) == finding.English({}).split(text)


def test_a_found_page_opens_without_a_fault_and_the_magnifier_stands_beside_the_text(
    browser, address_of_site
):
    with opened(browser, address_of_site + "search.html?q=bottleneck") as page:
        assert page.evaluate(BESIDE)
        page.locator("#search-results li > a").first.click()
        page.wait_for_selector(".highlight-link")
        page.wait_for_load_state("networkidle")
        assert page.troubles == []


def test_terms_are_bold_words_inside_of_a_sentence():
    def paragraph(*children):
        return nodes.paragraph("", "", *children)

    def bold(text):
        return nodes.strong(text, text)

    label = paragraph(bold("Predict."), nodes.Text(" Which?"))
    term = paragraph(nodes.Text("One number of a map is a "), bold("unit"), nodes.Text("."))
    long = paragraph(nodes.Text("It was "), bold("four points better than any other network"))
    assert [words for words, _ in finding.terms(nodes.section("", label, term, long))] == ["unit"]


def test_entries_of_a_glossary_get_both_spellings():
    class App:
        env = type("env", (), {"docname": "pages/glossary"})

    index = addnodes.index(entries=[("single", "normalisation", "term-normalisation", "main", None)])
    finding.note_terms(App, nodes.section("", index))
    assert [entry[1] for entry in index["entries"]] == ["normalisation", "normalization"]
