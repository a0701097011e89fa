"""The source of what a chapter talks about, on the page: ``show.source(Residual.forward)``."""

from __future__ import annotations

import inspect
from html import escape
from textwrap import dedent

# Colours for pages without a style sheet of their own (Colab). All are of middle lightness and read on light
# and on dark grounds; :where() gives way to any rule of the page, such as those of the course's site.
_COLOURS = {
    "#C15A10": ".k, .kn, .kc, .kd, .kt, .ow, .o",
    "#2D7DBD": ".nf, .nc, .fm, .nd",
    "#3D8A3D": ".s, .s1, .s2, .sd, .sa, .si, .se",
    "#8D67B7": ".mi, .mf, .nb, .bp, .vm",
    "#787878": ".c1, .c, .ch",
}
_STYLE = "".join(
    f":where({', '.join('.cnn-source ' + name for name in names.split(', '))}) {{color: {colour}}}"
    for colour, names in _COLOURS.items()
)
_CAPTION = "font-size: 0.85em; opacity: 0.85; padding: 0.3em 0.6em"
_BOX = "overflow-x: auto; white-space: pre; max-width: 100%"


class Source:
    """Pieces of Python text with captions. Prints as text, shows highlighted in a notebook."""

    def __init__(self, pieces: list[tuple[str, str]]) -> None:
        """``pieces``: caption and code of each."""
        self.pieces = tuple(pieces)

    def __repr__(self) -> str:
        """The code as text, each piece below its caption."""
        return "\n\n".join(f"# {caption}\n{code}" for caption, code in self.pieces)

    def _repr_html_(self) -> str:
        boxes = (
            '<div class="cnn-source highlight" style="margin: 0 0 1em">'
            f'<div class="cnn-source-caption" style="{_CAPTION}">{escape(caption)}</div>'
            f'<pre tabindex="0" style="{_BOX}">{_highlighted(code)}</pre></div>'
            for caption, code in self.pieces
        )
        return f"<style>{_STYLE}</style>{''.join(boxes)}"


def _highlighted(code: str) -> str:
    """The code in ``<span class="...">`` of Pygments, which every notebook has; plain where it is missing."""
    try:
        from pygments import highlight
        from pygments.formatters import HtmlFormatter
        from pygments.lexers import PythonLexer
    except ImportError:
        return escape(code)
    return highlight(code, PythonLexer(), HtmlFormatter(nowrap=True)).rstrip("\n")


def _piece(obj: object) -> tuple[str, str]:
    try:
        code = dedent(inspect.getsource(obj)).rstrip()
    except (TypeError, OSError):
        raise ValueError(
            f"{obj!r} has no source text: give a function, a method, a class or a module written in Python"
        ) from None
    if inspect.ismodule(obj):
        return f"{obj.__name__.replace('.', '/')}.py", code
    name = getattr(obj, "__qualname__", obj.__class__.__name__)
    home = getattr(obj, "__module__", None) or "__main__"
    # Neither a folder, which is private, nor a line, which moves with every edit of the file above it.
    return (
        f"{name}, written above" if home == "__main__" else f"{name} in {home.replace('.', '/')}.py"
    ), code


def source(*objs: object) -> Source:
    """The source of functions, methods, classes or modules, as the package runs it.

    Raises ``ValueError`` for what is not written in Python, such as an instance or ``len``.
    """
    if not objs:
        raise ValueError("nothing to show: give a function, a method, a class or a module written in Python")
    return Source([_piece(obj) for obj in objs])
