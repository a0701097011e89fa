"""The few icons of the site, drawn as lines on a grid of 24, in place of a script that carries two thousand.

The names are those that the theme's templates ask for (`fa-NAME`).
"""

import re

LINES = {
    "angle-left": "M15 5l-7 7 7 7",
    "angle-right": "M9 5l7 7-7 7",
    "arrow-up": "M12 20V4M5 11l7-7 7 7",
    "bars": "M3 6h18M3 12h18M3 18h18",
    "chevron-down": "M5 9l7 7 7-7",
    "circle-half-stroke": "M12 3a9 9 0 1 0 0 18a9 9 0 1 0 0-18zM12 3v18M12 8l6-2M12 13l9-2M12 18l7-1.5",
    "download": "M12 4v11M7 10.5l5 5 5-5M4 20h16",
    "expand": "M4 9V4h5M20 9V4h-5M4 15v5h5M20 15v5h-5",
    "file": "M6 3h8l5 5v13H6zM14 3v5h5",
    "file-pdf": "M7 8V3h10v5M7 17H3V8h18v9h-4M7 14h10v7H7z",
    "github": "M7 5v14M7 5m-2 0a2 2 0 1 0 4 0a2 2 0 1 0-4 0M7 19m-2 0a2 2 0 1 0 4 0a2 2 0 1 0-4 0"
    "M17 8m-2 0a2 2 0 1 0 4 0a2 2 0 1 0-4 0M17 10c0 4-10 1-10 7",
    "lightbulb": "M9 18h6M10 21h4M12 3a6 6 0 0 0-3.5 10.9V15h7v-1.1A6 6 0 0 0 12 3z",
    "list": "M9 6h12M9 12h12M9 18h12M4 6h.01M4 12h.01M4 18h.01",
    "magnifying-glass": "M10.5 4a6.5 6.5 0 1 0 0 13a6.5 6.5 0 1 0 0-13zM15.5 15.5L21 21",
    "moon": "M20 14.5A8.5 8.5 0 1 1 9.5 4a7 7 0 0 0 10.5 10.5z",
    "pencil-alt": "M4 20l1-5L16 4l4 4L9 19zM13 7l4 4",
    "rocket": "M9 13l2.5 2.5c4.5-2.5 8-6.5 8.5-12c-5.5.5-9.5 4-11.5 8.5zM9 12H5l3-4h3.5M12 15v4l4-3v-3.5"
    "M6 15c-1.5 1-2 4.5-2 4.5s3.5-.5 4.5-2",
    "sun": "M12 7.5a4.5 4.5 0 1 0 0 9a4.5 4.5 0 1 0 0-9zM12 1.5v2.5M12 20v2.5M1.5 12H4M20 12h2.5"
    "M4.6 4.6l1.8 1.8M17.6 17.6l1.8 1.8M4.6 19.4l1.8-1.8M17.6 6.4l1.8-1.8",
}
# <i class="theme-switch fa-solid fa-sun fa-lg" data-mode="light"></i>
PLACEHOLDER = re.compile(
    r'<(i|span) class="((?:[\w-]+ +)*?)fa(?:[srb]|-solid|-brands) +(fa-[\w -]+)"([^>]*)></\1>'
)
SIZES = {"lg", "fw", "xs", "sm", "xl"}


def drawn(page):
    """`page` with the theme's empty icon elements replaced by drawings; ValueError for an unknown icon."""

    def draw(found):
        names = [name.removeprefix("fa-") for name in found[3].split()]
        name = next(name for name in names if name not in SIZES)
        if name not in LINES:
            raise ValueError(f"The theme asks for the icon {name!r}: draw it in _ext/icons.py.")
        classes = " ".join(["drawn-icon", *found[2].split(), *found[3].split()])
        mode = re.search(r' data-mode="\w+"', found[4])
        return (
            f'<svg class="{classes}"{mode[0] if mode else ""} viewBox="0 0 24 24" aria-hidden="true">'
            f'<path d="{LINES[name]}"/></svg>'
        )

    return PLACEHOLDER.sub(draw, page)
