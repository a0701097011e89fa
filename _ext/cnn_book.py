"""Sphinx extension of this book: one address, formulas without a network, callouts, and a lighter theme."""

import importlib.util
import json
import re
import shutil
from collections import Counter
from pathlib import Path

import address
import finding
import mend
from docutils import nodes
from sphinx.util.images import get_image_size

UNUSED_FILES = ["scripts/fontawesome.js*", "vendor/fontawesome", "**/*.map", "webpack-macros.html", "locales"]


# Addresses


def repository(app):
    return app.config.html_theme_options["repository_url"]


def derive_addresses(app, config):
    """The site's address is told by the repository's; `_config.yml` holds only that."""
    site = address.site(repository(app))
    config.html_baseurl = config.ogp_site_url = site
    config.html_search_scorer = str(finding.SCORER)


def link_pages_by_file(app, docname, content):
    """In a notebook, links to this site become links to source files, which Sphinx then checks and resolves.

    The notebooks carry full addresses since each must also work alone (tools/sync_notebooks.py writes them).
    """
    if not str(app.env.doc2path(docname)).endswith(".ipynb"):
        return
    site, up = address.site(repository(app)), "../" * docname.count("/")

    def to_file(found):
        suffix = ".ipynb" if found[1].startswith("chapters/") else ".md"
        return f"]({up}{found[1]}{suffix}{found[2] or ''})"

    notebook = json.loads(content[0])
    for cell in notebook["cells"]:
        if cell["cell_type"] == "markdown":
            text = "".join(cell["source"])
            cell["source"] = re.sub(rf"\]\({re.escape(site)}([\w/.-]+)\.html(#[^)\s]*)?\)", to_file, text)
    content[0] = json.dumps(notebook)


# Formulas


def serve_mathjax(app):
    """Copy MathJax and its fonts out of the installed package: formulas show with no network at all."""
    package = importlib.util.find_spec("sphinx-mathjax-offline")
    source = Path(package.origin).parent / "static" / "mathjax"
    target = Path(app.outdir) / "_static" / "mathjax"
    fonts = Path("output/chtml/fonts/woff-v2")
    (target / fonts).mkdir(parents=True, exist_ok=True)
    for file in [Path("tex-chtml.js"), *[f.relative_to(source) for f in sorted((source / fonts).iterdir())]]:
        shutil.copyfile(source / file, target / file)


# Figures


class Numbered(nodes.General, nodes.Element):
    """An output with its caption, as one figure that has a number and an address."""


class Caption(nodes.General, nodes.Element):
    """The lines below it."""


def opening(tag):
    return lambda self, node: self.body.append(self.starttag(node, tag))


def closing(tag):
    return lambda self, node: self.body.append(f"</{tag}>\n")


KIND = re.compile("(Figure|Table): ")


def number_figure(cell, paragraph, italic, kind, number):
    """What the cell puts out and the paragraph below it become one figure: "Figure 3: …"."""
    name = f"{kind.lower()}-{number}"
    text = next(iter(italic.findall(nodes.Text)))
    label = nodes.reference("", f"{kind} {number}", refuri=f"#{name}", classes=["figure-number"])
    text.parent.replace(text, [label, nodes.Text(text.removeprefix(kind))])
    paragraph.parent.remove(paragraph)
    output = cell.children[-1]
    cell.remove(output)
    cell += Numbered("", output, Caption("", paragraph), ids=[name])


# Text


def first_words(paragraph):
    """The first child of a paragraph that says something (the parser puts empty text before bold words)."""
    return next((child for child in paragraph.children if child.astext()), None)


def mark_callouts(app, doctree, docname):
    """A block quote that begins with a bold word is a callout; the word, as a class, gives its colour."""
    for quote in doctree.findall(nodes.block_quote):
        paragraph = quote.next_node(nodes.paragraph)
        bold = first_words(paragraph) if paragraph else None
        if isinstance(bold, nodes.strong):
            kind = re.sub(r"\W+", "-", bold.astext().lower()).strip("-")
            quote["classes"] += ["callout", f"callout-{kind}"]


def mark_lines_around_figures(app, doctree, docname):
    """The italic line below a title tells facts; italics below an output begin its caption."""
    numbers = Counter()
    for paragraph in list(doctree.findall(nodes.paragraph)):
        italic, before = first_words(paragraph), paragraph.previous_sibling()
        if not isinstance(italic, nodes.emphasis):
            continue
        if isinstance(before, nodes.title) and italic.astext() == paragraph.astext():
            paragraph["classes"].append("facts")
        elif isinstance(before, nodes.table) or (
            isinstance(before, nodes.container) and "cell" in before["classes"]
        ):
            paragraph["classes"].append("under-output")
            if kind := KIND.match(italic.astext()):
                numbers[kind[1]] += 1
                number_figure(before, paragraph, italic, kind[1], numbers[kind[1]])


NUMBER = re.compile(r"(?=.*\d)[\d.,:×x*+±%~≈^/() \u2009\u202f\u00a0−–-]*[\w%²³]{0,5}")


def mark_table_cells(app, doctree, docname):
    """A number or a shape in a table is never broken over two lines; a cell of many words gets some room."""
    for cell in doctree.findall(nodes.entry):
        text = cell.astext()
        if NUMBER.fullmatch(text):
            cell["classes"].append("whole")
        elif len(text) > 14:
            cell["classes"].append("words")


# Pictures


def sized_image(self, node):
    """A picture says how large it is, so that the text below it stays where it is; all but the first load in time."""
    source = Path(self.builder.srcdir) / node["uri"]
    type(self).visit_image(self, node)
    size = get_image_size(str(source))
    more = 'width="{}" height="{}" '.format(*size) if size else ""
    if node is not next(self.document.findall(nodes.image)):
        more += 'loading="lazy" '
    self.body.append(self.body.pop().replace("<img ", f"<img {more}", 1))


# Pages


def script_key(script):
    attributes = getattr(script, "attributes", None) or {}
    return str(getattr(script, "filename", script) or ""), attributes.get("body", "")


def trim_page(app, pagename, templatename, context, doctree):
    """Drop what the site does not use and scripts that stand twice; point the edit button at the text."""
    if 'class="cnn-table sortable"' in context.get("body", ""):
        app.add_js_file("sortable.js", loading_method="defer")
    if 'id="explorer"' in context.get("body", ""):  # in the head, so that nothing moves when it comes
        app.add_css_file("explorer/explorer.css")
    # Sphinx gives MathJax also to pages that only list others with formulas.
    formulas = doctree is not None and doctree.next_node(
        lambda n: isinstance(n, (nodes.math, nodes.math_block))
    )
    unused = ("thebe", "THEBE") if formulas else ("thebe", "THEBE", "mathjax", "MathJax")
    kept = {}
    for script in context.get("script_files", []):
        key = script_key(script)
        if not any(word in part for word in unused for part in key):
            kept.setdefault(key, script)
    context["script_files"] = list(kept.values())
    context["css_files"] = [css for css in context.get("css_files", []) if "thebe" not in script_key(css)[0]]
    for group in context.get("header_buttons", []):
        for button in group.get("buttons", []):
            if button.get("label") == "source-edit-button":
                button["url"] = button["url"].removesuffix(".ipynb").removesuffix(".md") + ".md"
    if "body" in context:
        context["body"] = mend.with_local_links(
            context["body"], address.site(repository(app)), "../" * pagename.count("/")
        )


def mend_pages(app):
    """Every page passes through `mend` once, as it is written."""
    serve_mathjax(app)
    templates = app.builder.templates
    render = templates.render

    def render_mended(template, context):
        page = render(template, context)
        return mend.mended(page, is_search=template == "search.html") if template.endswith(".html") else page

    templates.render = render_mended


def page_for_lost_readers(app):
    """404.html, which a server shows where there is no page."""
    yield "404", {"site": address.site(repository(app))}, "404.html"


def drop_unused_files(app, error):
    """The site carries no file that no page asks for."""
    static = Path(app.outdir) / "_static"
    for pattern in UNUSED_FILES:
        for path in list(static.glob(pattern)):
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def setup(app):
    app.connect("config-inited", derive_addresses, priority=100)
    app.connect("builder-inited", mend_pages)
    app.add_node(nodes.image, override=True, html=(sized_image, lambda self, node: None))
    app.add_node(Numbered, html=(opening("figure"), closing("figure")))
    app.add_node(Caption, html=(opening("figcaption"), closing("figcaption")))
    app.add_search_language(finding.English)
    app.connect("source-read", link_pages_by_file)
    app.connect("doctree-read", finding.note_terms)
    app.connect("doctree-read", finding.offer_terms)
    app.connect("doctree-resolved", mark_callouts)
    app.connect("doctree-resolved", mark_lines_around_figures)
    app.connect("doctree-resolved", mark_table_cells)
    app.connect("html-collect-pages", page_for_lost_readers)
    app.connect("html-page-context", trim_page, priority=900)
    app.connect("build-finished", drop_unused_files)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
