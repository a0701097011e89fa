"""Networks drawn from what they are: ``network`` from rows of a cost, ``block`` from the paths of a module.

Both return a :class:`cnnlib.svg.Drawing`: an SVG picture on its own white ground in a notebook, rows as text
elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log2

from torch import nn

from cnnlib.figures import svg
from cnnlib.figures.layout import Place, placed, towers
from cnnlib.figures.svg import Drawing

_MOST = 18  # blocks in one drawing; beyond, equal neighbours are drawn once, then whole modules
_JOINS = ("cat", "add", "mul", "stack")


@dataclass(frozen=True)
class Stage:
    """Rows of a cost that are drawn as one block, ``times`` times in a row."""

    name: str
    rows: tuple
    times: int = 1
    last: str = ""  # name of the last of several

    @property
    def look(self) -> tuple:
        """What makes two stages equal to a reader."""
        return tuple((r.kind, r.out, r.params) for r in self.rows)

    @property
    def params(self) -> int:
        """Parameters of all that is drawn as this block."""
        return self.times * sum(row.params for row in self.rows)


def _joined(rows) -> list[str]:
    """Modules in which paths join, outermost first: a chain of blocks cannot show what is inside them."""
    homes = (row.name.rpartition(":") for row in rows)
    return sorted({home for home, _, op in homes if home and op in _JOINS}, key=len)


def _leaves(rows) -> list[Stage]:
    """A block a layer, or a module with branches; what changes no shape goes with the layer before it."""
    joins, stages, out = _joined(rows), [], None
    for row in rows:
        home = next((j for j in joins if row.name.startswith((j + ".", j + ":"))), "")
        same = stages and home and stages[-1].name == home
        drawn = row.layer or (any(row.work) and row.out != out)
        if same or (stages and not home and not drawn):
            stages[-1] = Stage(stages[-1].name, (*stages[-1].rows, row))
        else:
            stages.append(Stage(home or row.name, (row,)))
        out = row.out
    return stages


def _folded(stages: list[Stage]) -> list[Stage]:
    """Equal neighbours as one stage."""
    out: list[Stage] = []
    for stage in stages:
        if out and out[-1].look == stage.look:
            out[-1] = Stage(out[-1].name, out[-1].rows, out[-1].times + 1, stage.name)
        else:
            out.append(stage)
    return out


def _grouped(stages: list[Stage], depth: int) -> list[Stage]:
    """Neighbours whose dotted names begin alike as one stage."""
    out: list[Stage] = []
    for stage in stages:
        name = ".".join(stage.name.split(".")[:depth])
        if out and out[-1].name == name:
            out[-1] = Stage(name, out[-1].rows + stage.rows)
        else:
            out.append(Stage(name, stage.rows))
    return out


def _stages(rows) -> list[Stage]:
    """The finest stages that fit into one drawing."""
    stages = _leaves(rows)
    deepest = max(stage.name.count(".") for stage in stages) + 1
    tries = [stages, *(_folded(_grouped(stages, depth)) for depth in range(deepest, 0, -1))]
    return next((t for t in tries if len(t) <= _MOST), tries[-1])


def _out(stage: Stage) -> tuple[int, ...]:
    """What a stage hands on: the output of its last row that makes something, which a view does not."""
    made = [row.out for row in stage.rows if row.out and (any(row.work) or row.memory)]
    return made[-1] if made else stage.rows[-1].out


def _words(stage: Stage, modules: dict[str, nn.Module]) -> tuple[str, str]:
    """Headline of a block (a layer with its window, or a module) and what follows in light letters."""
    first, times = stage.rows[0], f" (×{stage.times})" if stage.times > 1 else ""
    if first.name != stage.name:
        return stage.name, f": {sum(row.layer for row in stage.rows)} layers{times}"
    extras = dict.fromkeys(svg.word(row.kind) for row in stage.rows[1:] if row.out == first.out)
    head = f"{svg.word(first.kind)} {svg.window(modules.get(first.name))}".rstrip()
    return head, (f" + {', '.join(extras)}" if extras else "") + times


def network(cost) -> Drawing:
    """A network from top to bottom: the wider a block, the larger its map; the higher, the more channels.

    ``cost``: of :func:`cnnlib.trace`. Sizes are logarithmic. Each block says its layer, its output and its
    parameters. A deep network is drawn by its blocks or stages instead of its layers.
    """
    if not cost.rows:
        raise ValueError(f"{cost.name} has no rows: there is nothing to draw")
    modules = dict(cost.module.named_modules())
    image = cost.image if isinstance(cost.image[0], int) else cost.image[0]
    parts, cells = [], [("image", "", svg.shape(image), "")]
    y, floor = _slab(parts, 12.0, None, "other", image, ("image", ""), "image")
    for stage in _stages(cost.rows):
        kinds = [row.kind for row in stage.rows if row.layer] or [stage.rows[0].kind]
        words, out = _words(stage, modules), _out(stage)
        name = stage.name + (f" … {stage.last}" if stage.last else "")
        note = f" · {stage.params:,} parameters" if stage.params else ""
        y, floor = _slab(parts, y, floor, kinds[0], out, words, name, note)
        cells.append((name, "".join(words), svg.shape(out), f"{stage.params:,}"))
    return Drawing(480, y + 12, parts, f"{cost.name} on {svg.shape(image)}", svg.columns(cells))


def _slab(
    parts: list[str],
    y: float,
    floor: float | None,
    kind: str,
    out: tuple,
    words: tuple,
    name: str,
    note: str = "",
) -> tuple[float, float]:
    """Adds a block at ``y`` with a line from ``floor``; returns where the next begins and this ends."""
    high = 6 + 3.2 * log2(out[0] + 1)
    wide = 14 + (17 * log2(out[1]) if len(out) == 3 else 0)
    row = max(46.0, high + 10)
    top, middle = y + (row - high) / 2, y + row / 2
    if floor is not None:
        parts.append(svg.path([(92, floor), (92, top)]))
    parts.append(svg.rect(92 - wide / 2, top, wide, high, svg.paint(kind), hint=name))
    parts.append(svg.text(186, middle - 9, words[0], "start", bold=True, more=words[1]))
    parts.append(svg.text(186, middle + 10, svg.shape(out) + note, "start", colour=svg.MUTED))
    return y + row, top + high


def block(module: nn.Module, image: tuple[int, int, int]) -> Drawing:
    """The paths of a module from top to bottom: branches, shortcuts, sums and concatenations as they run.

    ``image``: what the module gets, (C, H, W). Groups of channels that do not see each other (two to four)
    stand side by side, so that the two towers of AlexNet show, and where they cross.
    """
    places, edges, width, height = placed(towers(module, image))
    parts = [svg.path(points) for points in edges]
    cells = []
    for place in places:
        parts += _box(place)
        reads = ", ".join(places[r].node.name for r in place.node.reads)
        words = " ".join(place.words[:-1] or place.words)
        cells.append((place.node.name, words, svg.shape(place.node.out), reads and f"reads {reads}"))
    return Drawing(width, height, parts, f"{type(module).__name__} on {svg.shape(image)}", svg.columns(cells))


def _box(place: Place) -> list[str]:
    """A box for each part of a node, or the sign of a sum."""
    out = []
    paint = svg.PAINT["join"] if place.node.joins else svg.paint(place.node.kind)
    round = place.h / 2 if place.node.joins else 4
    for x in place.xs:
        out.append(svg.rect(x - place.w / 2, place.y, place.w, place.h, paint, round, place.node.name))
        for i, words in enumerate(place.words):
            middle = place.y + place.h / 2 + 19 * (i - (len(place.words) - 1) / 2)
            colour = svg.MUTED if i and i == len(place.words) - 1 else svg.INK
            out.append(svg.text(x, middle, words, bold=not i, colour=colour))
    return out
