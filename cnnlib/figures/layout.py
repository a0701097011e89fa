"""Where the boxes and lines of a drawn graph stand: one rank below the other, paths side by side."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from textwrap import fill

from torch import nn

from cnnlib.costs import Node, fused, layer_graph
from cnnlib.figures import svg

GAP, RISE, MARGIN = 16.0, 32.0, 14.0  # between boxes, between ranks, around the drawing
_TOWERS = 4  # more groups than this are named instead of drawn


@dataclass
class Place:
    """A node and where it stands: centres of its parts, upper edge, size of each part."""

    node: Node
    words: tuple[str, ...]
    parts: int = 1
    alike: bool = False  # keeps channels apart: each part reads only its own part before
    y: float = 0.0
    w: float = 0.0
    h: float = 0.0
    rank: int = 0
    x: float = 0.0

    @property
    def span(self) -> float:
        """Width of all its parts."""
        return self.parts * self.w + (self.parts - 1) * GAP

    @property
    def xs(self) -> list[float]:
        """Centres of its parts."""
        return [self.x + (i - (self.parts - 1) / 2) * (self.w + GAP) for i in range(self.parts)]


@dataclass
class _Bend:
    """Where a long line passes a rank."""

    rank: int
    x: float = 0.0
    span: float = 0.0


def _follows(node: Node) -> bool:
    """A norm, an activation or a dropout: it works on single units and is named in the box before it."""
    weights = [] if node.module is None else [p for p in node.module.parameters() if p.ndim > 1]
    return not node.joins and not weights and "Pool" not in node.kind and node.kind not in _RESHAPING


_RESHAPING = ("mean", "max", "sum", "pad")


def towers(module: nn.Module, image: tuple[int, int, int]) -> list[Place]:
    """The nodes of a module, each with its letters and the number of channel groups that it is drawn in."""
    pairs = fused(layer_graph(module, image), _follows)
    nodes = [node for node, _ in pairs]
    parts = [node.groups if 1 < node.groups <= _TOWERS else 1 for node in nodes]
    apart = [len(n.reads) == 1 and (_follows(n) or "Pool" in n.kind) for n in nodes]
    for i in reversed(range(1, len(nodes))):  # a layer whose reader is grouped puts out groups
        for r in nodes[i].reads:
            if r and not nodes[r].joins and (apart[i] or 1 < nodes[i].groups <= _TOWERS):
                parts[r] = max(parts[r], parts[i])
    for i, node in enumerate(nodes):  # what works channel by channel keeps the groups it gets
        if apart[i]:
            parts[i] = max(parts[i], parts[node.reads[0]])
    return [
        Place(node, _words(node, rest, n), n, alone or 1 < node.groups <= _TOWERS)
        for (node, rest), n, alone in zip(pairs, parts, apart, strict=True)
    ]


def _words(node: Node, rest: tuple[Node, ...], parts: int) -> tuple[str, ...]:
    """The lines in a box: the layer, what follows it, the output of this part."""
    if node.joins:
        return (node.kind,)
    lines = [svg.word(node.kind), svg.window(node.module)]
    if node.kind == "Conv2d":
        lines = [" ".join(lines)]
    if node.groups > _TOWERS:
        lines.append(f"{node.groups} groups")
    lines += fill(", ".join(svg.word(r.kind) for r in rest), 12).split("\n")
    out = (node.out[0] // parts, *node.out[1:])
    return (*(line for line in lines if line), svg.shape(out))


def placed(places: list[Place]) -> tuple[list[Place], list[list[tuple[float, float]]], float, float]:
    """Sets the place of each node; returns the places, the lines between them, width and height."""
    boxes = [p.words for p in places if not p.node.joins]
    even = 14 + max(max(9.6 * len(words[0]), *(9.0 * len(w) for w in words)) for words in boxes)
    for p in places:
        p.rank = 1 + max((places[r].rank for r in p.node.reads), default=-1)
        p.w = 32.0 if len(p.words[0]) == 1 else 74.0 if p.node.joins else even
        p.h = 32.0 if p.node.joins else 12.0 + 19 * len(p.words)
    readers = Counter(r for p in places for r in p.node.reads)
    chains = []  # from a node over the bends of its line to the reader
    for p in places:
        for r in p.node.reads:
            # The line of a branch runs straight below its box; that of a shortcut needs little room.
            bends = [
                _Bend(k, span=8.0 if readers[r] > 1 else even) for k in range(places[r].rank + 1, p.rank)
            ]
            chains.append([places[r], *bends, p])
    ranks = _ranks(places, chains)
    _spread(ranks, chains)
    left = min(x.x - x.span / 2 for rank in ranks for x in rank) - MARGIN
    right = max(x.x + x.span / 2 for rank in ranks for x in rank) + MARGIN
    width = right - left
    shift = (width - (left + right)) / 2
    y, tops, floors = MARGIN, [], []
    for rank in ranks:
        high = max((p.h for p in rank if isinstance(p, Place)), default=0.0)
        tops.append(y)
        floors.append(y + high)
        for p in rank:
            p.x += shift
            if isinstance(p, Place):
                p.y = y + (high - p.h) / 2
        y += high + RISE
    lines = [line for chain in chains for line in _lines(chain, tops, floors)]
    return places, lines, width, y - RISE + MARGIN


def _ranks(places: list[Place], chains: list[list]) -> list[list]:
    """Boxes and bends of each rank from left to right, in the order in which the run came to them."""
    order = {id(p): i for i, p in enumerate(places)}
    ranks: list[list[tuple[float, object]]] = [[] for _ in range(places[-1].rank + 1)]
    for p in places:
        ranks[p.rank].append((order[id(p)], p))
    for chain in chains:
        for bend in chain[1:-1]:
            ranks[bend.rank].append((_beside(chain, order), bend))
    return [[item for _, item in sorted(rank, key=lambda pair: pair[0])] for rank in ranks]


def _beside(chain: list, order: dict) -> float:
    """A shortcut runs right of the branch that it skips, a short branch in the place of its last box."""
    start, end = chain[0], chain[-1]
    forks = start.node.kind == "input" or len(chain) > 3
    return order[id(end)] - 0.5 if forks else order[id(start)] + 0.5


def _spread(ranks: list[list], chains: list[list]) -> None:
    """Moves everything towards the middle of its neighbours, and apart where it would overlap."""
    near: dict[int, list] = {id(item): [] for rank in ranks for item in rank}
    for chain in chains:
        for a, b in zip(chain, chain[1:], strict=False):
            near[id(a)].append(b)
            near[id(b)].append(a)
    for rank in ranks:
        _apart(rank, [0.0] * len(rank))
    for _ in range(30):
        for rank in ranks:
            wishes = [
                sum(n.x for n in near[id(i)]) / max(1, len(near[id(i)])) if near[id(i)] else i.x for i in rank
            ]
            _apart(rank, wishes)


def _apart(rank: list, wishes: list[float]) -> None:
    """Puts the items of a rank where they wish to stand, as far as they fit side by side."""
    edge, drift = None, []
    for item, wish in zip(rank, wishes, strict=True):
        x = wish if edge is None else max(wish, edge + GAP + item.span / 2)
        drift.append(x - wish)
        item.x, edge = x, x + item.span / 2
    move = sum(drift) / len(drift)
    for item in rank:
        item.x -= move


def _lines(chain: list, tops: list[float], floors: list[float]) -> list[list[tuple[float, float]]]:
    """One line between two boxes; between groups of channels one for each pair that is connected."""
    start, *bends, end = chain
    middle = [point for b in bends for point in ((b.x, tops[b.rank]), (b.x, floors[b.rank]))]
    lines = []
    for i, x0 in enumerate(start.xs):
        for j, x1 in enumerate(end.xs):
            if not end.alike or start.parts != end.parts or i == j:
                lines.append([(x0, start.y + start.h), *middle, (x1, end.y)])
    return lines
