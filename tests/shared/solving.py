"""A sheet with its text, its known mistakes and its solutions as a namespace, for tests in this process."""

import runpy
from importlib import import_module
from types import SimpleNamespace

from handins import ROOT

from cnnlib.grading import source


def namespace(sheet, cells, constants):
    """What code cells define, without their checks, beside the modules that every answer may use."""
    ns = {name: import_module(module) for name, module in sheet.imports.items()} | constants
    for _, code in cells:
        if not code.startswith("check("):
            exec(code, ns)
    return ns


def opened(name):
    """Everything about the sheet of this name."""
    path = ROOT / "chapters" / "exercises" / f"{name}.md"
    text = path.read_text(encoding="utf-8")
    sheet, constants = source.sheet_of(text), source.constants(text)
    cells = source.code_cells(source.solved_notebook(text))
    wrong = runpy.run_path(str(path.parent / "answers" / f"{name}.py"))["WRONG"]
    return SimpleNamespace(
        text=text,
        path=path,
        sheet=sheet,
        constants=constants,
        wrong=wrong,
        reference=namespace(sheet, cells, constants),
    )
