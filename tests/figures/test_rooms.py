"""The picture of the rooms is what the imports say, and the numbers beside it are counted right."""

from pathlib import Path

import draw_rooms
import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def house(tmp_path):
    """Rooms a, b, c, d, one above the other: c imports both, d only the one before it."""
    texts = {
        "a.py": "import math\n",
        "b.py": "from house import a\nfrom house.a import f\n",
        "c/__init__.py": "",
        "c/one.py": "def f():\n    import house.b\n",
        "c/two.py": "from house.c import one\nfrom house import a, b\n",
        "d.py": "from house.c.two import g\n",
        "__main__.py": "from house import d\n",
    }
    for name, text in texts.items():
        path = tmp_path / "house" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path / "house"


def test_the_picture_is_drawn_from_the_imports_as_they_are():
    """If this is red: python tools/draw_rooms.py"""
    assert draw_rooms.PICTURE.read_text(encoding="utf8") == draw_rooms.drawing(ROOT / "cnnlib").svg + "\n"


def test_the_page_beside_it_has_the_numbers_of_now_and_every_room():
    page = " ".join((ROOT / "ARCHITECTURE.md").read_text(encoding="utf8").split())
    *_, last = draw_rooms.count(ROOT / "cnnlib")
    rooms, _, _, levels, arrows = (part.split()[0] for part in last.split(", "))
    assert f"now there are {rooms} on {levels} levels, with {arrows} arrows" in page
    assert [room for room in draw_rooms.rooms(ROOT / "cnnlib") if f"`{room}`" not in page] == []


def test_each_statement_counts_once_a_room_wherever_it_stands(house):
    assert draw_rooms.arrows(house) == {"a": {}, "b": {"a": 2}, "c": {"a": 1, "b": 2}, "d": {"c": 1}}


def test_a_level_is_one_above_the_highest_that_is_imported(house):
    assert draw_rooms.levels(draw_rooms.arrows(house)) == {"a": 0, "b": 1, "c": 2, "d": 3}


def test_arrows_that_a_longer_way_replaces_are_not_drawn_but_told(house):
    graph = draw_rooms.arrows(house)
    assert draw_rooms.direct(graph) == {"a": [], "b": ["a"], "c": ["b"], "d": ["c"]}
    drawing = draw_rooms.drawing(house)
    assert drawing.svg.count("<path") == 3 and "c imports a, b" in drawing.rows


def test_one_import_more_is_another_picture(house):
    before = draw_rooms.drawing(house).svg
    (house / "a.py").write_text("import math\nimport os\n")
    assert draw_rooms.drawing(house).svg == before
    (house / "e.py").write_text("from house import a\n")
    assert draw_rooms.drawing(house).svg != before


def test_the_count(house):
    lines = list(draw_rooms.count(house))
    assert lines[1:] == [
        "a                    1       1      0",
        "b                    1       2      1  a 2",
        "c                    3       4      2  a 1, b 2",
        "d                    1       1      3  c 1",
        "4 rooms, 6 modules, 8 lines, 4 levels, 4 arrows",
    ]


def test_a_circle_is_told(house):
    (house / "a.py").write_text("from house import d\n")
    first, *_, last = draw_rooms.count(house)
    assert first.startswith("a circle: ") and "a imports d" in first and "no levels" in last
