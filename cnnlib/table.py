"""Rows to text, HTML, Markdown, CSV or pandas. A table computes nothing and knows no network."""

from __future__ import annotations

import csv
import dataclasses
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from html import escape


class Share(float):
    """A part of a whole: 0.25 is shown as '25.0 %', and stays a number in CSV, JSON and pandas."""


def number(value: object) -> str:
    """A cell's text: whole numbers with thousands commas, shapes as 64×56×56, nothing for ``None``."""
    if value is None:
        return ""
    if isinstance(value, bool | str):
        return str(value)
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, Share):
        return f"{100 * value:.1f} %"
    if isinstance(value, float):
        return f"{value:,.6g}"
    if isinstance(value, tuple | list):
        return "×".join(str(v) for v in value)
    return str(value)


_QUANTITY = re.compile(r"[-+−]?[\d.,×]+( |%|$)")
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


def size(n_bytes: int) -> str:
    """Bytes in the largest unit that leaves at least one: ``size(802816)`` is '784 KiB'."""
    value, unit = float(n_bytes), 0
    while value >= 1024 and unit < len(_UNITS) - 1:
        value, unit = value / 1024, unit + 1
    return f"{value:,.2f}".rstrip("0").rstrip(".") + f" {_UNITS[unit]}"


class Table:
    """Columns and rows that print as text and show as HTML in a notebook.

    ``caption`` stands above the rows and says the convention; the last row is set apart when ``total`` is true.
    ``sortable``: on the site, the reader sorts the rows by a column; elsewhere they stand as they are.
    """

    def __init__(
        self,
        columns: Sequence[str],
        rows: Iterable[Sequence[object]],
        caption: str = "",
        total: bool = False,
        sortable: bool = False,
    ) -> None:
        self.columns = tuple(columns)
        self.rows = tuple(tuple(row) for row in rows)
        self.caption, self.total, self.sortable = caption, total, sortable
        self.warning = ""
        for i, row in enumerate(self.rows):
            if len(row) != len(self.columns):
                raise ValueError(
                    f"row {i} has {len(row)} cells, the table {len(self.columns)} columns: "
                    "give each row one cell a column"
                )

    def warn(self, warning: str) -> Table:
        """This table, with what is missing from its numbers: a part of the caption that no form leaves out."""
        self.warning = warning
        if warning and warning not in self.caption:
            self.caption = f"{self.caption} {warning}".strip()
        return self

    def _cells(self) -> list[list[str]]:
        return [[number(value) for value in row] for row in self.rows]

    def _left(self) -> list[bool]:
        """Text columns are set flush left; numbers, shapes and quantities such as '784 KiB' flush right."""
        return [
            any(isinstance(row[i], str) and row[i] and not _QUANTITY.match(row[i]) for row in self.rows)
            for i in range(len(self.columns))
        ]

    def __repr__(self) -> str:
        cells, left = self._cells(), self._left()
        width = [max(map(len, column)) for column in zip(self.columns, *cells, strict=True)]

        def line(row: Sequence[str]) -> str:
            fields = zip(row, width, left, strict=True)
            return "  ".join(c.ljust(w) if flush else c.rjust(w) for c, w, flush in fields).rstrip()

        rule = "  ".join("-" * w for w in width)
        body = [line(row) for row in cells]
        if self.total and body:
            body.insert(-1, rule)
        return "\n".join([*([self.caption] if self.caption else []), line(self.columns), rule, *body])

    def _repr_html_(self) -> str:
        left = self._left()

        def row(cells: Sequence[str], tag: str, attributes: str = "") -> str:
            scope = ' scope="col"' if tag == "th" else ""
            style = [f"text-align:{'left' if flush else 'right'};white-space:nowrap" for flush in left]
            fields = (
                f'<{tag}{scope} style="{how}">{escape(text)}</{tag}>'
                for text, how in zip(cells, style, strict=True)
            )
            return f"<tr{attributes}>{''.join(fields)}</tr>"

        cells = self._cells()
        body = [
            row(c, "td", ' class="total"' if self.total and i == len(cells) - 1 else "")
            for i, c in enumerate(cells)
        ]
        kind = "cnn-table sortable" if self.sortable else "cnn-table"
        caption = f'<caption style="text-align:left">{escape(self.caption)}</caption>' if self.caption else ""
        return (
            '<div class="cnn-scroll" style="overflow-x:auto" tabindex="0" role="group" '
            f'aria-label="{escape(self.caption or "table", quote=True)}">'
            f'<table class="{kind}">{caption}<thead>{row(self.columns, "th")}</thead>'
            f"<tbody>{''.join(body)}</tbody></table></div>"
        )

    def to_markdown(self) -> str:
        """A Markdown table; a bar inside a cell is escaped. A warning stands below."""
        rule = [":--" if flush else "--:" for flush in self._left()]
        lines = [self.columns, rule, *self._cells()]
        text = "\n".join("| " + " | ".join(c.replace("|", "\\|") for c in line) + " |" for line in lines)
        return f"{text}\n\n{self.warning}" if self.warning else text

    def to_csv(self) -> str:
        """Comma-separated text with plain numbers, one line a row; a warning is the last line."""
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(self.columns)
        writer.writerows([number(v) if isinstance(v, tuple | list) else v for v in row] for row in self.rows)
        if self.warning:
            writer.writerow([self.warning, *[None] * (len(self.columns) - 1)])
        return out.getvalue()

    def to_pandas(self):
        """A ``pandas.DataFrame``; raises ``ImportError`` where pandas is not installed."""
        import pandas

        frame = pandas.DataFrame(list(self.rows), columns=list(self.columns))
        frame.attrs["warning"] = self.warning
        return frame


def _fields(row: object) -> dict[str, object]:
    if isinstance(row, Mapping):
        return dict(row)
    names = row._fields if isinstance(row, tuple) else [field.name for field in dataclasses.fields(row)]
    return {name: getattr(row, name) for name in names}


def of(rows: Iterable[object], caption: str = "", columns: Sequence[str] | None = None) -> Table:
    """A table of mappings, named tuples or dataclass rows with the same fields; ``columns`` picks and orders them."""
    dicts = [_fields(row) for row in rows]
    columns = tuple(columns or (dicts[0] if dicts else ()))
    return Table(columns, ([d[c] for c in columns] for d in dicts), caption)


def compare(*costs: object, names: Sequence[str] = ()) -> Table:
    """Two or more costs side by side, one a row; the ratio to the first in the last columns."""
    labels = names or [cost.name for cost in costs]
    first = costs[0]
    rows = []
    for label, cost in zip(labels, costs, strict=True):
        rows.append(
            [
                label,
                cost.params,
                cost.macs,
                cost.activations,
                size(cost.memory),
                cost.receptive_field,
                f"{cost.params / first.params:.2f}" if first.params else None,
                f"{cost.macs / first.macs:.2f}" if first.macs else None,
            ]
        )
    columns = ("network", "params", "MACs", "activations", "memory", "sees", "params ratio", "MACs ratio")
    images = [f"{number(cost.image)} ({label})" for label, cost in zip(labels, costs, strict=True)]
    alike = len({cost.image for cost in costs}) == 1
    image = number(first.image) if alike else ", ".join(images)
    warnings = [f"{label}: {cost.warning}" for label, cost in zip(labels, costs, strict=True) if cost.warning]
    table = Table(columns, rows, f"Image {image}, batch {first.batch}. {first.convention}")
    return table.warn(" ".join(warnings))
