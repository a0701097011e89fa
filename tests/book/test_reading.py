# ruff: noqa: F401, F811  (fixtures come from the neighbour)
"""What a reader meets on a screen: nothing cut without a sign, nothing that moves, a search that finds the place."""

import finding
import pytest
from docutils import nodes
from sphinx import addnodes
from test_browser import ALL_PAGES, address_of_site, browser, give_width, opened, planted

# A block that scrolls says so by a shade at its edges, which a style sheet draws with a background that moves along.
CUT = """() => [...document.querySelectorAll('main *')].filter((e) => {
  const style = getComputedStyle(e);
  if (style.overflowX === 'visible' || !e.clientWidth || e.closest('svg, .math') || !e.checkVisibility()) return false;
  const shaded = style.overflowX !== 'hidden' && style.backgroundAttachment.includes('local');
  return e.scrollWidth > e.clientWidth + 1 && !shaded;
}).map((e) => `${e.tagName} ${e.className}: ${e.textContent.trim().slice(0, 60)}`)"""
PRINTED = """() => [...document.querySelectorAll('.cell_output .output:not(.text_html) pre')]
  .filter((e) => e.scrollWidth > e.clientWidth + 1).map((e) => e.textContent.slice(0, 60))"""
SHIFT = """() => new Promise((done) => {
  let total = 0;
  new PerformanceObserver((list) => list.getEntries().forEach((e) => (total += e.value)))
    .observe({ type: 'layout-shift', buffered: true });
  setTimeout(() => done(total), 400);
})"""

BESIDE = """() => {
  const field = document.querySelector('main .bd-search input'), box = field.getBoundingClientRect();
  const start = box.left + parseFloat(getComputedStyle(field).paddingLeft);
  return document.querySelector('main .bd-search svg').getBoundingClientRect().right <= start;
}"""


@pytest.mark.parametrize("name", ALL_PAGES)
def test_nothing_moves_and_nothing_is_cut_without_a_sign(browser, address_of_site, name):
    with opened(browser, address_of_site + name, 390) as page:
        assert page.evaluate(SHIFT) < 0.05
        for width in (390, 1280):
            give_width(page, width)
            assert page.evaluate(CUT) == [], width
            assert page.evaluate(PRINTED) == [], "printed text wraps"


@pytest.mark.parametrize("name", ["index.html", "chapters/complexity.html", "chapters/resnet.html"])
def test_nothing_moves_on_a_wide_screen(browser, address_of_site, name):
    with opened(browser, address_of_site + name) as page:
        assert page.evaluate(SHIFT) < 0.05


def test_a_cut_and_a_shift_are_found(browser, tmp_path):
    wide = "<pre style='overflow-x: auto; width: 90px'>37,752,832 parameters</pre>"
    with planted(browser, tmp_path, wide) as page:
        assert page.evaluate(CUT) == ["PRE : 37,752,832 parameters"]
    late = (
        "<script>setTimeout(() => document.querySelector('h1').style.height = '400px', 60)</script>"
        + "<p>A</p>" * 9
    )
    with planted(browser, tmp_path, late) as page:
        assert page.evaluate(SHIFT) > 0.05


# On paper

OVER_THE_EDGE = """() => {
  const edge = document.querySelector('.bd-article').getBoundingClientRect().right;
  return [...document.querySelectorAll('.bd-article :is(pre, table, img, svg, td, th)')]
    .filter((e) => e.checkVisibility())
    .filter((e) => e.getBoundingClientRect().right > edge + 1 || e.scrollWidth > e.clientWidth + 1)
    .map((e) => `${e.tagName} ${e.className}: ${e.textContent.trim().slice(0, 60)}`);
}"""
FOLDED = """() => [...document.querySelectorAll('.bd-article details')]
  .filter((e) => e.lastElementChild.getBoundingClientRect().height === 0).length"""
GROUND = """() => [
  getComputedStyle(document.querySelector('.bd-article h2')).color, getComputedStyle(document.body).backgroundColor
]"""


@pytest.mark.parametrize(
    "name", ["chapters/cost.html", "chapters/complexity.html", "chapters/exercises/nin.html"]
)
def test_paper_shows_everything_dark_on_white(browser, address_of_site, name):
    with opened(browser, address_of_site + name, 680, "dark") as page:
        page.emulate_media(media="print", color_scheme="dark")
        assert page.evaluate(OVER_THE_EDGE) == []
        assert page.evaluate(FOLDED) == 0
        assert page.evaluate(GROUND) == ["rgb(0, 0, 0)", "rgb(255, 255, 255)"]


# The search


@pytest.mark.parametrize(
    ("asked", "first"),
    [
        ("bottleneck", "chapters/resnet.html#term-bottleneck"),
        ("receptive field", "chapters/cost.html#term-receptive-field"),
        ("1x1", "chapters/googlenet.html#term-1x1"),
        ("batch normalization", "chapters/resnet.html#term-batch-normalization"),
        ("normalization", "chapters/resnet.html#term-batch-normalization"),
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
