"""Shapes and letters of SVG drawings, as text. The same drawing gives the same bytes."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

INK, MUTED = "#222222", "#555555"
SIZE = 14  # of letters, in units of a drawing some 500 wide
FONT = "system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', Verdana, sans-serif"
# Fill and border by what a layer does; light fills under dark letters also read in grey.
PAINT = {
    "conv": ("#D3E5F3", "#0072B2"),
    "linear": ("#FBE0CE", "#B84A00"),
    "pool": ("#D2EEE2", "#00785A"),
    "join": ("#FFFFFF", INK),
    "other": ("#EEEEEE", "#6B6B6B"),
}
_WORDS = {
    "Conv2d": "conv", "Linear": "fully connected", "MaxPool2d": "max pool", "AvgPool2d": "average pool",
    "AdaptiveAvgPool2d": "average pool", "adaptive_avg_pool2d": "average pool", "mean": "average pool",
    "BatchNorm2d": "BN", "LocalResponseNorm": "LRN", "Subsample": "subsample", "ScaledTanh": "tanh",
    "Tanh": "tanh", "Sigmoid": "sigmoid", "Dropout": "dropout", "relu": "ReLU", "max_pool2d": "max pool",
}  # fmt: skip


def word(kind: str) -> str:
    """A layer's kind as a reader says it."""
    return _WORDS.get(kind, kind)


def paint(kind: str) -> tuple[str, str]:
    """Fill and border for a layer of this kind."""
    if "Conv" in kind:
        return PAINT["conv"]
    if kind == "Linear":
        return PAINT["linear"]
    return PAINT["pool" if "Pool" in kind or kind in ("Subsample", "mean") else "other"]


def window(module: object) -> str:
    """The window of a convolution or a pool and its step: "11×11 /4"; nothing for other layers."""
    kernel, stride = (_pair(getattr(module, name, None)) for name in ("kernel_size", "stride"))
    if not kernel:
        return ""
    return f"{kernel[0]}×{kernel[1]}" + (f" /{stride[0]}" if stride and max(stride) > 1 else "")


def _pair(value: object) -> tuple[int, int] | None:
    if isinstance(value, int):
        return value, value
    return tuple(value) if isinstance(value, tuple) and len(value) == 2 else None


def shape(out: Sequence[int]) -> str:
    """64×56×56."""
    return "×".join(map(str, out))


def num(value: float) -> str:
    """A coordinate with at most one decimal."""
    return f"{value:.1f}".rstrip("0").rstrip(".")


def rect(
    x: float, y: float, w: float, h: float, colours: tuple[str, str], round: float = 4, hint: str = ""
) -> str:
    """A box with its upper left corner at (x, y); ``hint`` shows under a resting mouse."""
    fill, edge = colours
    box = f'<rect x="{num(x)}" y="{num(y)}" width="{num(w)}" height="{num(h)}" rx="{num(round)}"'
    tail = f"><title>{escape(hint)}</title></rect>" if hint else "/>"
    return f'{box} fill="{fill}" stroke="{edge}" stroke-width="1.5"{tail}'


def text(
    x: float,
    y: float,
    words: str,
    anchor: str = "middle",
    bold: bool = False,
    colour: str = INK,
    more: str = "",
) -> str:
    """A line of letters, centred at height y; ``more`` follows in light letters. A single sign is larger."""
    weight = (' font-weight="600"' if bold else "") + (' font-size="22"' if len(words) == 1 else "")
    tail = (
        f'<tspan font-weight="400" font-size="{SIZE - 1}" fill="{MUTED}">{escape(more)}</tspan>'
        if more
        else ""
    )
    return (
        f'<text x="{num(x)}" y="{num(y)}" dy="0.35em" text-anchor="{anchor}" fill="{colour}"{weight}>'
        f"{escape(words)}{tail}</text>"
    )


def path(points: Sequence[tuple[float, float]]) -> str:
    """A line from top to bottom through the points, leaving and entering each of them upright."""
    d = f"M{num(points[0][0])} {num(points[0][1])}"
    for (x0, y0), (x1, y1) in zip(points, points[1:], strict=False):
        middle = num((y0 + y1) / 2)
        d += f"C{num(x0)} {middle} {num(x1)} {middle} {num(x1)} {num(y1)}" if x0 != x1 else f"V{num(y1)}"
    return f'<path d="{d}" fill="none" stroke="{MUTED}" stroke-width="1.5"/>'


class Drawing:
    """A drawing that a notebook shows, and the rows that it draws as text."""

    def __init__(
        self, width: float, height: float, parts: Sequence[str], name: str, rows: Sequence[str]
    ) -> None:
        """``parts``: SVG elements; ``name``: what is drawn; ``rows``: a line a block."""
        self.rows = tuple(rows)
        label = escape(f"{name}: " + "; ".join(" ".join(row.split()) for row in rows), quote=True)
        w, h = num(width), num(height)
        self.svg = (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {w} {h}" width="{w}" height="{h}" '
            f'role="img" aria-label="{label}" font-family="{FONT}" font-size="{SIZE}" '
            f'style="max-width:100%;height:auto"><title>{escape(name)}</title>'
            f'<rect width="100%" height="100%" rx="10" fill="#FFFFFF"/>{"".join(parts)}</svg>'
        )

    def __repr__(self) -> str:
        """The rows, for where no picture shows."""
        return "\n".join(self.rows)

    def _repr_svg_(self) -> str:
        return self.svg


def columns(cells: Sequence[Sequence[str]]) -> list[str]:
    """Lines of text whose cells stand one below the other."""
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return ["  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)).rstrip() for line in cells]
