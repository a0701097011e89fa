"""The built site: no warning, every link and picture resolves, the addresses are right."""

import re
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag

import address
import icons
import mend
import pytest
from book import BRANCH, REPOSITORY, ROOT, SITE, pages, sources

NOTEBOOK_PAGES = [source.relative_to(ROOT).with_suffix("").as_posix() for source in sources()]


class Page(HTMLParser):
    """Links, pictures and anchors of a page."""

    def __init__(self, path):
        super().__init__()
        self.path, self.links, self.pictures, self.ids, self.meta, self.body = path, [], [], set(), {}, False
        self.feed(path.read_text(encoding="utf8"))

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.ids |= {attributes[key] for key in ("id", "name") if attributes.get(key)}
        self.links += [attributes[key] for key in ("href", "src") if attributes.get(key)]
        if tag == "img":
            self.pictures.append(attributes)
        if tag == "meta" and "content" in attributes:
            self.meta[attributes.get("name") or attributes.get("property")] = attributes["content"]


@pytest.fixture(scope="module")
def built(site):
    return {
        path.relative_to(site).as_posix(): Page(path)
        for path in site.rglob("*.html")
        if "_static" not in path.parts
    }


def broken(pages_of_site):
    """Links inside the site that lead nowhere, as "page -> link". An anchor with = is a state."""
    anchors = {page.path.resolve(): page.ids for page in pages_of_site.values()}
    found = []
    for name, page in pages_of_site.items():
        for link in page.links:
            target, anchor = urldefrag(link)
            if "://" in target or target.startswith(("mailto:", "data:", "javascript:", "//")):
                continue
            file = (
                (page.path.parent / unquote(target.partition("?")[0])).resolve()
                if target
                else page.path.resolve()
            )
            if not file.is_file():
                found.append(f"{name} -> {link}")
            elif anchor and "=" not in anchor and file in anchors and unquote(anchor) not in anchors[file]:
                found.append(f"{name} -> {link} (no such anchor)")
    return found


def test_every_page_is_there(built):
    assert {f"{page}.html" for page in pages()} <= set(built)


def test_every_notebook_is_in_the_table_of_contents():
    assert set(NOTEBOOK_PAGES) <= set(pages())


def test_every_link_inside_the_site_resolves(built):
    assert broken(built) == []


def test_a_lost_reader_gets_a_page_whose_links_are_made_from_the_books_address(site):
    page = (site / "404.html").read_text(encoding="utf8")
    assert f'<base href="{SITE}">' in page and "This page is not here" in page


def test_a_sheet_stands_below_its_chapter_and_follows_it():
    order = pages()
    for sheet in (page for page in order if "/exercises/" in page):
        assert order[order.index(sheet) - 1] == sheet.replace("exercises/", "")


def test_figures_have_numbers_and_addresses(built):
    """Every caption that says what it is stands in a figure, and they count from 1."""
    for source in sources():
        text = source.read_text(encoding="utf8")
        page = built[source.relative_to(ROOT).with_suffix(".html").as_posix()]
        for kind in ("figure", "table"):
            told = len(re.findall(rf"^\*{kind.title()}: ", text, re.M))
            found = sorted(
                int(name.partition("-")[2]) for name in page.ids if re.fullmatch(rf"{kind}-\d+", name)
            )
            assert found == list(range(1, told + 1)), (source.name, kind)


def test_broken_links_are_found(tmp_path):
    (tmp_path / "a.html").write_text('<a href="b.html#x">b</a><a href="gone.html">g</a><img src="gone.png">')
    (tmp_path / "b.html").write_text('<p id="y">Words</p><a href="a.html">a</a>')
    pages_of_site = {name: Page(tmp_path / name) for name in ("a.html", "b.html")}
    assert len(broken(pages_of_site)) == 3


def test_every_picture_has_an_alt_text(built):
    for name, page in built.items():
        for picture in page.pictures:
            beside_its_name = "logo__image" in picture.get(
                "class", ""
            )  # decoration: the title stands next to it
            assert "alt" in picture, name
            assert beside_its_name or picture["alt"].strip(), (name, picture.get("src"))


def test_notebook_pages_open_in_colab_on_an_existing_notebook(built):
    for page in NOTEBOOK_PAGES:
        links = [
            link for link in built[f"{page}.html"].links if "colab" in link and link.startswith("https:")
        ]
        assert links == [address.colab(REPOSITORY, BRANCH, f"{page}.ipynb")]
        assert (ROOT / f"{page}.ipynb").is_file()
        ignored = ["git", "-C", str(ROOT), "check-ignore", "-q", f"{page}.ipynb"]
        assert subprocess.run(ignored, check=False).returncode == 1, "git ignores the notebook"


def test_the_edit_button_opens_the_text_that_people_edit(built):
    for page in pages():
        links = [link for link in built[f"{page}.html"].links if "/edit/" in link]
        assert links == [address.edit(REPOSITORY, BRANCH, f"{page}.md")]
        assert (ROOT / f"{page}.md").is_file()


def test_pages_describe_themselves(built):
    for page in pages():
        meta = built[f"{page}.html"].meta
        assert len(meta["description"]) >= 40, page
        assert meta["og:url"] == f"{SITE}{page}.html"


def test_the_site_links_to_itself_only_in_its_head(built):
    for name, page in built.items():
        own = {SITE + name, *[SITE] * (name == "404.html")}
        assert [link for link in page.links if link.startswith(SITE) and link not in own] == [], name


def test_no_page_asks_another_host(site, built):
    for name, page in built.items():
        text = page.path.read_text(encoding="utf8")
        body = text.partition("<body")[2]
        assert 'src="http' not in text, name
        assert ("mathjax/tex-chtml.js" in text) == ('class="math ' in body), name
        assert "fontawesome.js" not in text and "thebe" not in text, name
        assert "fa-solid" not in body and "fab fa-" not in body, name
    assert (site / "_static/mathjax/tex-chtml.js").stat().st_size > 1_000_000


# The build can fail


def test_a_small_book_builds_and_its_links_become_relative(small_book):
    small_book.sync()
    built = small_book.build()
    assert built.returncode == 0, built.stderr[-2000:]
    page = (small_book.root / "out/_build/html/chapters/tiny.html").read_text(encoding="utf8")
    assert 'href="../pages/other.html#a-part"' in page
    assert f'href="{REPOSITORY}/blob/{BRANCH}/cnnlib/shapes.py"' in page


def test_broken_links_fail_the_build(small_book):
    broken = "[page](../pages/gone.md), [anchor](../pages/other.md#gone), [chapter](gone.ipynb).\n"
    small_book.text.write_text(small_book.text.read_text() + broken)
    small_book.sync()
    built = small_book.build()
    assert built.returncode != 0
    assert (built.stdout + built.stderr).count("WARNING") == 3


# Repairs of the theme's HTML


def test_icons_are_drawn_and_an_unknown_one_is_told():
    drawn = icons.drawn('<i class="theme-switch fa-solid fa-sun  fa-lg" data-mode="light" title="Light"></i>')
    assert drawn.startswith('<svg class="drawn-icon theme-switch fa-sun fa-lg" data-mode="light"')
    with pytest.raises(ValueError, match="'unicorn'"):
        icons.drawn('<i class="fas fa-unicorn"></i>')


def test_an_empty_header_of_a_table_becomes_a_plain_cell():
    mended = mend.mended('<tr><th class="head"><p></p></th><th scope="col"></th><th>a</th></tr>')
    assert mended == "<tr><td></td><td></td><th>a</th></tr>"


def test_own_addresses_become_relative():
    body = f'<a href="{SITE}chapters/x.html#y">x</a> <a href="https://example.org/">e</a>'
    relative = mend.with_local_links(body, SITE, "../")
    assert relative == '<a href="../chapters/x.html#y">x</a> <a href="https://example.org/">e</a>'


def test_the_pages_were_mended(site):
    page = (site / f"{pages()[1]}.html").read_text(encoding="utf8")
    assert mend.SIDEBAR_LANDMARK in page
    assert "searchindex.js" not in page
    assert "searchindex.js" in Path(site / "search.html").read_text(encoding="utf8")
