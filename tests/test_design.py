"""Rules of the house, so that they hold without being remembered."""

import ast
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import cnnlib

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "cnnlib"
MODULES = sorted(PACKAGE.rglob("*.py"))

# A room imports only from those before it.
PLAIN = ("shapes", "table", "resources")
ROOMS = (
    "models", "images", "costs", "training", "measuring", "insight", "figures", "experiments", "grading", "cli",
)  # fmt: skip
ORDER = (*PLAIN, *ROOMS, "__main__")


def imports_of(text: str) -> list[tuple[str, str | None]]:
    """What Python text takes from the package, (module, name), wherever the import stands; whole modules, None."""
    found: list[tuple[str, str | None]] = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "cnnlib":
            found += [(node.module, alias.name) for alias in node.names]
        elif isinstance(node, ast.Import):
            found += [(a.name, None) for a in node.names if a.name.partition(".")[0] == "cnnlib"]
    return found


def trespasses(room: str, text: str) -> list[str]:
    """The imports in a module of ``room`` that climb to a later room, or pass by the door of another."""
    wrong = []
    for module, name in imports_of(text):
        _, *inner = module.split(".")
        other = inner[0] if inner else name
        if other not in ORDER or other == room:  # a name of the package itself, or a neighbour in the room
            continue
        if ORDER.index(other) > ORDER.index(room):
            wrong.append(f"{room} comes before {other}")
        elif other in ROOMS and inner and (inner[1:] or name not in import_module(f"cnnlib.{other}").__all__):
            wrong.append(f"{module} {name} is not handed on by {other}")
    return wrong


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_point_one_way_and_go_through_doors(path):
    room = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    if room != "__init__":
        assert trespasses(room, path.read_text(encoding="utf8")) == []


@pytest.mark.parametrize(
    ("room", "text", "wrong"),
    [
        ("costs", "from cnnlib.training import train", "costs comes before training"),
        ("costs", "def f():\n    from cnnlib import experiments", "costs comes before experiments"),
        ("figures", "from cnnlib.costs.rows import Row", "cnnlib.costs.rows Row is not handed on by costs"),
        ("figures", "from cnnlib.costs import Operation", "cnnlib.costs Operation is not handed on by costs"),
        ("table", "from cnnlib import models", "table comes before models"),
    ],
)
def test_a_trespass_is_found(room, text, wrong):
    assert trespasses(room, text) == [wrong]


def test_neighbours_and_doors_may_be_used():
    assert trespasses("costs", "from cnnlib.costs.rows import Operation") == []
    assert trespasses("figures", "from cnnlib.costs import trace\nfrom cnnlib import models, table") == []


def test_there_are_no_other_rooms():
    top = {path.stem for path in PACKAGE.iterdir() if path.suffix == ".py"}
    rooms = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert top == {*PLAIN, "__init__", "__main__"} and rooms == set(ROOMS)


@pytest.mark.parametrize("room", ROOMS)
def test_a_door_hands_on_what_it_names(room):
    door = import_module(f"cnnlib.{room}")
    assert list(door.__all__) == sorted(set(door.__all__)) or room == "grading"
    for name in door.__all__:
        assert not name.startswith("_") and getattr(door, name) is not None


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_a_module_has_one_idea_and_says_it(path):
    text = path.read_text(encoding="utf8")
    if "sheets" not in path.parts:  # a sheet is data
        assert len(text.splitlines()) <= 300
    assert ast.get_docstring(ast.parse(text)), "a module opens with a sentence on what it is for"


def test_import_is_instant_and_light():
    code = (
        "import sys, cnnlib; heavy = {'torch', 'numpy', 'matplotlib', 'torchvision'} & set(sys.modules);"
        "assert not heavy, heavy; assert 'trace' in dir(cnnlib)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_public_name_resolves():
    for name in cnnlib.__all__:
        assert getattr(cnnlib, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'resnet'"):
        _ = cnnlib.resnet


def test_the_package_caps_no_dependency():
    metadata = (ROOT / "pyproject.toml").read_text(encoding="utf8")
    dependencies = metadata.split("dependencies = [")[1].split("]")[0]
    assert "torch>=" in dependencies
    assert not {"<", "==", "~="} & set(dependencies.replace(">=", " ").split())
    assert "<" not in dependencies and "==" not in dependencies


def test_asserts_stay_out_of_the_package():
    """`python -O` drops them, and a reader deserves a sentence."""
    for path in MODULES:
        tree = ast.parse(path.read_text(encoding="utf8"))
        assert not [n.lineno for n in ast.walk(tree) if isinstance(n, ast.Assert)], path


def test_chapters_define_nothing_that_the_package_has():
    public = {
        node.name
        for path in MODULES
        for node in ast.parse(path.read_text(encoding="utf8")).body
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and not node.name.startswith("_")
    }
    import jupytext

    for path in sorted((ROOT / "chapters").glob("*.md")):
        for cell in jupytext.read(path).cells:
            if cell.cell_type != "code":
                continue
            plain = "\n".join(
                line for line in cell.source.splitlines() if not line.lstrip().startswith(("%", "!"))
            )
            names = {
                n.name for n in ast.walk(ast.parse(plain)) if isinstance(n, ast.ClassDef | ast.FunctionDef)
            }
            assert not names & public, (path.name, names & public)
