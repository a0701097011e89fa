"""Sheets, solved notebooks and folders for the tests of grading."""

import copy
import json
import runpy
from types import SimpleNamespace

import pytest
from handins import STEM, TEXT, Folder

from cnnlib.grading import source


@pytest.fixture(scope="session")
def sheet():
    """The text of the sheet, its module, and the known wrong answers."""
    text = TEXT.read_text(encoding="utf-8")
    wrong = runpy.run_path(str(TEXT.parent / "answers" / "cost.py"))["WRONG"]
    return SimpleNamespace(text=text, sheet=source.sheet_of(text), wrong=wrong, path=TEXT)


@pytest.fixture(scope="session")
def solved(sheet):
    """Makes a notebook (a dict) with all solutions; `answers` puts other code in place of some of them."""
    nb = json.loads(json.dumps(source.solved_notebook(sheet.text)))
    for cell in nb["cells"]:
        if "cost/2: stem," in cell["source"]:
            cell["source"] = STEM

    def make(**answers):
        changed = copy.deepcopy(nb)
        for name, code in answers.items():
            found = [
                c for c in changed["cells"] if c["cell_type"] == "code" and f"def {name}(" in c["source"]
            ]
            found[-1]["source"] = code
        return changed

    return make


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return Folder(tmp_path_factory.mktemp("class"))


@pytest.fixture
def new_folder(tmp_path):
    return Folder(tmp_path)
