"""Small repairs of the HTML that the theme writes. Each is a function from text to text."""

import re

import icons

# Scripts of the search page that the theme loads on every page, though it searches only after Enter.
SEARCH_SCRIPTS = re.compile(
    r'\s*<script src="[^"]*(?:searchtools|language_data|searchindex)\.js[^>]*></script>'
)
ICON_SCRIPT = re.compile(r'\s*<script [^>]*src="[^"]*/fontawesome\.js[^"]*"></script>')
THEBE = re.compile(
    r'\s*<script type="text/x-thebe-config">.*?</script>\s*<script>kernelName[^<]*</script>', re.S
)
LATER_VIEWPORTS = re.compile(
    r'(?<=/>)\s*<meta name="viewport" content="width=device-width, initial-scale=1" ?/>'
)
# A label that differs from the words on the button: speech input cannot find it. The words do as a name.
LABEL_OVER_TEXT = [
    (re.compile(r'(<button class="[^"]*search-button-field[^"]*") title="Search" aria-label="[^"]*"'), r"\1"),
    (re.compile(r'<summary aria-label="[^"]*">'), "<summary>"),
    (
        re.compile(r'<summary>(?=<span class="toctree-toggle")'),
        '<summary aria-label="Exercises of this chapter">',
    ),
]
# The corner of a table with a head on both sides: a header of nothing.
EMPTY_HEADER = re.compile(r"<th\b[^>]*>(?:<p></p>)?</th>")
# The sidebar's logo and search button stand in no landmark.
SIDEBAR = '<div id="pst-primary-sidebar" class="bd-sidebar-primary bd-sidebar">'
SIDEBAR_LANDMARK = SIDEBAR[:-1] + ' role="region" aria-label="Book">'


def mended(page, is_search=False):
    """The page with the repairs; the search page keeps its scripts."""
    for unused in (ICON_SCRIPT, LATER_VIEWPORTS, THEBE, *([] if is_search else [SEARCH_SCRIPTS])):
        page = unused.sub("", page)
    page = icons.drawn(page)
    for pattern, better in LABEL_OVER_TEXT:
        page = pattern.sub(better, page)
    return EMPTY_HEADER.sub("<td></td>", page).replace(SIDEBAR, SIDEBAR_LANDMARK)


def with_local_links(body, site, to_root):
    """Addresses of the book's own site made relative, so that the site also works from a folder.

    `to_root` is the way from the page to the top of the site: "" or "../" and so on.
    """
    return re.sub(rf'(href|src)="{re.escape(site)}([^"]*)"', rf'\1="{to_root}\2"', body)
