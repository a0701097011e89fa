"""No two modules of a room import each other, however far the way around; nested imports count as well."""

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import cnnlib

PACKAGE = Path(cnnlib.__file__).parent
ROOMS = sorted(path.parent for path in PACKAGE.glob("*/__init__.py"))


def neighbours(text, room, modules):
    """The modules of ``room`` that Python text imports, at its top or inside a function."""
    found = set()
    for node in ast.walk(ast.parse(text)):
        names = []
        if isinstance(node, ast.ImportFrom):
            names = [node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        found |= {
            name.removeprefix(f"{room}.").split(".")[0] for name in names if name.startswith(f"{room}.")
        }
    return found & modules


def circle(texts, room):
    """The modules of a circle of imports among ``texts`` ({module: Python text}); [] if there is none."""
    graph = {module: neighbours(text, room, set(texts) - {module}) for module, text in texts.items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return error.args[1]
    return []


@pytest.mark.parametrize("folder", ROOMS, ids=lambda folder: folder.name)
def test_no_modules_of_a_room_import_each_other_in_a_circle(folder):
    texts = {path.stem: path.read_text(encoding="utf8") for path in folder.glob("*.py")}
    texts.pop("__init__")  # the door knows them all
    assert circle(texts, f"cnnlib.{folder.name}") == []


@pytest.mark.parametrize(
    "nested",
    [
        "from cnnlib.grading import jail",
        "from cnnlib.grading.jail import choose",
        "import cnnlib.grading.jail",
    ],
)
def test_a_circle_is_found(nested):
    texts = {
        "jail": "from cnnlib.grading import bwrap",
        "bwrap": "from cnnlib.grading.walls import Limits",
        "walls": f"def f():\n    {nested}",
    }
    assert set(circle(texts, "cnnlib.grading")) == set(texts)
    assert circle(texts | {"walls": ""}, "cnnlib.grading") == []
