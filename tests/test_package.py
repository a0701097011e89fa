"""What is installed: built without a warning, its licence and addresses named, its lazy names known to checkers."""

import ast
import shutil
import subprocess
import sys
from pathlib import Path

from book import REPOSITORY

import cnnlib

ROOT = Path(__file__).resolve().parents[1]
BUILD = "from setuptools.build_meta import prepare_metadata_for_build_wheel as make; print(make('.'))"


def test_the_newest_setuptools_builds_it_without_a_warning(tmp_path):
    for name in ("pyproject.toml", "setup.py", "_config.yml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tmp_path)
    shutil.copytree(ROOT / "cnnlib", tmp_path / "cnnlib", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "data").mkdir()
    shutil.copy(ROOT / "data" / "__init__.py", tmp_path / "data")
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", BUILD], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0 and "Deprecat" not in done.stderr, done.stderr
    (metadata,) = tmp_path.glob("*.dist-info/METADATA")
    lines = metadata.read_text(encoding="utf-8").splitlines()
    assert "License-Expression: BSD-3-Clause" in lines and "License-File: LICENSE" in lines
    assert f"Project-URL: Source, {REPOSITORY}" in lines and "Classifier: Typing :: Typed" in lines


def test_checkers_see_every_lazy_name():
    """The names that an editor reads are those that resolve, and mean the same things."""
    tree = ast.parse(Path(cnnlib.__file__).read_text(encoding="utf-8"))
    (block,) = [
        n for n in tree.body if isinstance(n, ast.If) and getattr(n.test, "id", "") == "TYPE_CHECKING"
    ]
    seen = {}
    for line in block.body:
        for alias in line.names:
            there = __import__(f"{line.module}.{alias.name}" if line.module == "cnnlib" else line.module)
            for part in line.module.split(".")[1:]:
                there = getattr(there, part)
            seen[alias.asname] = getattr(there, alias.name)
    assert sorted(seen) == cnnlib.__all__
    assert all(getattr(cnnlib, name) is value for name, value in seen.items())
    assert Path(cnnlib.__file__).with_name("py.typed").exists()
