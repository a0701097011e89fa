"""Draw the rooms of the package and who imports whom, from the imports themselves.

    python tools/draw_rooms.py            writes _assets/rooms.svg, the picture in ARCHITECTURE.md
    python tools/draw_rooms.py --count    prints modules, lines and imports of each room; a folder may follow

A room is a package or a plain module right below ``cnnlib``. The picture leaves out an arrow where a longer way leads
to the same room; the count has them all.
"""

import ast
import sys
from collections import Counter
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PICTURE = ROOT / "_assets" / "rooms.svg"


@dataclass(frozen=True)
class Room:
    """A box of the picture, and the places of the boxes that an arrow leads to it from."""

    name: str
    reads: list[int]
    kind = "room"
    joins = False  # it is drawn as a box, however many others it imports


def rooms(package):
    """Each room and its modules; the package's own door and ``__main__`` are no rooms."""
    found = {}
    for path in sorted(package.rglob("*.py")):
        room = path.relative_to(package).parts[0].removesuffix(".py")
        if not room.startswith("__"):
            found.setdefault(room, []).append(path)
    return found


def imported(text, package, names):
    """The rooms among ``names`` that Python text imports, one entry a statement, wherever the statement stands."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom):
            modules = [f"{node.module}.{alias.name}" for alias in node.names] if node.module else []
        elif isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        else:
            continue
        parts = (module.split(".") for module in modules)
        yield from {inner[0] for top, *inner in parts if top == package and inner and inner[0] in names}


def arrows(package):
    """Room -> how many statements in it import each other room."""
    found = rooms(package)
    return {
        room: Counter(
            other
            for path in paths
            for other in imported(path.read_text(encoding="utf8"), package.name, found)
            if other != room
        )
        for room, paths in found.items()
    }


def levels(graph):
    """Room -> 0 where nothing is imported, else one more than the highest room that it imports; none in a circle."""
    height = {}
    for room in TopologicalSorter(graph).static_order():
        height[room] = 1 + max((height[other] for other in graph[room]), default=-1)
    return height


def direct(graph):
    """The arrows that no longer way replaces, room -> rooms."""
    reach = {}
    for room in TopologicalSorter(graph).static_order():
        reach[room] = set(graph[room]).union(*(reach[other] for other in graph[room]))
    return {
        room: [other for other in others if not any(other in reach[third] for third in others)]
        for room, others in graph.items()
    }


def drawing(package):
    """The rooms from those that import nothing down to the command line."""
    from cnnlib.figures import layout, svg

    graph = arrows(package)
    height, reads = levels(graph), direct(graph)
    readers = Counter(other for others in graph.values() for other in others)
    order = sorted(graph, key=lambda room: (height[room], -readers[room], room))
    nodes = [Room(room, sorted(map(order.index, reads[room]))) for room in order]
    places, lines, width, height = layout.placed([layout.Place(node, (node.name,)) for node in nodes])
    parts = [svg.path(points) for points in lines]
    for place in places:
        name = place.node.name
        paint = svg.PAINT["conv" if (package / name).is_dir() else "other"]
        parts.append(svg.rect(place.x - place.w / 2, place.y, place.w, place.h, paint))
        parts.append(svg.text(place.x, place.y + place.h / 2, name, bold=True))
    rows = [f"{room} imports {', '.join(sorted(graph[room])) or 'no other room'}" for room in order]
    return svg.Drawing(width, height, parts, f"Rooms of {package.name}", rows)


def count(package):
    """Lines of text: a row a room, and the whole."""
    graph, found = arrows(package), rooms(package)
    try:
        height = levels(graph)
    except CycleError as error:
        height = {}
        yield f"a circle: {' imports '.join(reversed(error.args[1]))}"
    lines = {room: sum(len(p.read_text("utf8").splitlines()) for p in found[room]) for room in found}
    yield f"{'room':<14}{'modules':>8}{'lines':>8}{'level':>7}  imports (statements)"
    for room in sorted(found, key=lambda r: (height.get(r, 0), r)):
        told = ", ".join(f"{other} {n}" for other, n in sorted(graph[room].items()))
        yield f"{room:<14}{len(found[room]):>8}{lines[room]:>8}{height.get(room, '-'):>7}  {told}".rstrip()
    deep = f"{1 + max(height.values())} levels" if height else "no levels"
    yield (
        f"{len(found)} rooms, {sum(map(len, found.values()))} modules, {sum(lines.values())} lines, {deep}, "
        f"{sum(map(len, graph.values()))} arrows"
    )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--count"]:
        print("\n".join(count(Path(*sys.argv[2:3] or [ROOT / "cnnlib"]).resolve())))
    else:
        PICTURE.write_text(drawing(ROOT / "cnnlib").svg + "\n", encoding="utf8")
        print(f"{PICTURE.name}: {PICTURE.stat().st_size / 1024:.0f} KiB")
