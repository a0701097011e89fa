"""Rules of the house, so that they hold without being remembered."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import cnnlib

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "cnnlib"
MODULES = sorted(PACKAGE.rglob("*.py"))

# A module imports only from those above it.
ORDER = [
    "shapes", "pareto", "table", "shipped", "layers", "init", "ablate", "heads", "weights", "arch", "axes", "ops",
    "moves", "alive", "clone", "meta", "answers", "shortcuts", "rows", "counter", "fold", "cost", "conventions",
    "meters", "roofline", "measure", "originals", "datasets", "classify", "augment", "schedule", "recipe", "average",
    "memory", "checkpoint", "parallel", "stream", "views", "folder", "live", "fit", "step", "evaluation", "train",
    "ensemble", "calibration", "kept", "recipes", "transfer", "tiny", "judge", "reach", "deconv", "occlude", "cam",
    "alias", "gradients", "probe", "style", "pictures", "heat", "guesses", "versus", "bubbles", "plot", "graph",
    "svg", "layout", "diagram", "show", "experiment", "experiments", "book", "running", "runs", "league", "grading",
    "costs", "training", "cli", "__main__",
]  # fmt: skip


def part(module: str) -> str:
    return module.split(".")[1]


def imports_of(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module]
            if node.module == "cnnlib":
                names = [f"cnnlib.{alias.name}" for alias in node.names]
            found.update(names)
        elif isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
    return {name for name in found if name.startswith("cnnlib.")}


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_point_one_way(path):
    if path == PACKAGE / "__init__.py":
        return
    name = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    late = [n for n in imports_of(path) if ORDER.index(part(n)) > ORDER.index(name)]
    assert late == []


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_a_module_has_one_idea_and_says_it(path):
    text = path.read_text(encoding="utf8")
    if "sheets" not in path.parts:  # a sheet is data
        assert len(text.splitlines()) <= 250
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
