"""Source on the page: the text that runs, without private paths, safe as HTML."""

import builtins
import inspect
import re
from html import unescape
from textwrap import dedent

import pytest

from cnnlib import shapes, show
from cnnlib.figures import listing
from cnnlib.shapes import Span, out_size


def text_of(html):
    return unescape(re.sub(r"<[^>]+>", "", html))


def code_in(html):
    return [text_of(pre) for pre in re.findall(r"<pre[^>]*>(.*?)</pre>", html, re.DOTALL)]


def test_the_text_is_the_source_dedented():
    shown = show.source(Span.through, out_size)
    method, function = dedent(inspect.getsource(Span.through)).rstrip(), inspect.getsource(out_size).rstrip()
    assert method.startswith("def through(")
    assert repr(shown) == (
        f"# Span.through in cnnlib/shapes.py\n{method}\n\n# out_size in cnnlib/shapes.py\n{function}"
    )
    assert code_in(shown._repr_html_()) == [method, function]


def test_html_is_highlighted_by_classes_and_scrolls_in_its_box():
    html = show.source(out_size)._repr_html_()
    assert (
        '<span class="k">def</span>' in html
        and "overflow-x: auto" in html
        and 'class="cnn-source highlight"' in html
    )
    assert "out_size in cnnlib/shapes.py" in html
    assert html == show.source(out_size)._repr_html_()
    style = re.search(r"<style>(.*)</style>", html)[1]
    assert re.sub(r":where\([^)]*\) \{color: #\w{6}\}", "", style) == "", "the page's own rules come first"


def test_fallback_colours_read_on_light_and_dark():
    def light(colour):
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        r, g, b = (c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
        return 0.2126 * r + 0.7152 * g + 0.0722 * b

    for colour in listing._COLOURS:
        assert (
            1.05 / (light(colour) + 0.05) > 3.9 and (light(colour) + 0.05) / (light("#1E1E1E") + 0.05) > 3.4
        ), colour


def test_no_private_folder_is_shown():
    assert (
        str(shapes.__file__).rpartition("/")[0]
        not in repr(show.source(shapes)) + show.source(shapes)._repr_html_()
    )
    assert repr(show.source(shapes)).startswith("# cnnlib/shapes.py\n")


def test_without_pygments_it_is_plain_and_escaped(monkeypatch):
    real = builtins.__import__

    def missing(name, *args, **options):
        if name.startswith("pygments"):
            raise ImportError(name)
        return real(name, *args, **options)

    monkeypatch.setattr(builtins, "__import__", missing)
    html = show.source(out_size)._repr_html_()
    assert "-&gt; int" in html and "<span" not in html
    assert code_in(html) == [inspect.getsource(out_size).rstrip()]


@pytest.mark.parametrize("thing", [3, len, Span(1, 1, 0)])
def test_what_has_no_source_is_refused(thing):
    with pytest.raises(ValueError, match="no source text"):
        show.source(thing)
    with pytest.raises(ValueError, match="nothing to show"):
        show.source()
