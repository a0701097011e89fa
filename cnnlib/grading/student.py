"""A student's code in the process made for it: what is read of the cells, what is run, what comes back.

Everything here runs in a throw-away process. Its words are never trusted: values are judged elsewhere.
"""

from __future__ import annotations
import __future__

import ast
import contextlib
import functools
import importlib
import operator
import re
import sys
import types
from collections.abc import Callable
from difflib import get_close_matches

from cnnlib.grading.sheet import Exercise, Inputs, Sheet
from cnnlib.grading.values import NotPlain, encode, plain

Cells = list[tuple[int, str]]
Send = Callable[[dict], None]

COLAB = [f"google.colab{part}" for part in ("", ".drive", ".files", ".output", ".patches", ".userdata")]
IMPORTS = (ast.Import, ast.ImportFrom)
DEFINITIONS = (*IMPORTS, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
ASSIGNMENTS = (ast.Assign, ast.AnnAssign, ast.AugAssign)
MAX_MESSAGE = 500  # characters of a message
# Cell magics that run their cell as Python; what others hold is no Python, or is not kept.
PYTHON_MAGICS = re.compile(r"(?:[ \t]*(?:%%(?:time|timeit|capture|prun)\b[^\n]*)?\n)*")
# A line for IPython or the shell, with those that a backslash joins to it.
SHELL_LINE = re.compile(r"^([ \t]*)(?!%%)[%!](?:[^\n\\]|\\.|\\\n)*", re.M)


# Reading: nothing is run


def survey(cells: Cells, sheet: Sheet) -> dict:
    """Cells that Python can read, in their order, and what is to be said about all of them."""
    readable, notes, shortcuts, imports, sheet_id = [], [], set(), set(), None
    places: dict[str, list[int]] = {}
    for number, source in cells:
        try:
            source, tree = parsed(source)
        except Exception as error:  # whatever the parsers say to what is no Python
            line = f", line {error.lineno}" if isinstance(error, SyntaxError) else ""
            notes.append(
                f"cell {number}{line}: {type(error).__name__}: {getattr(error, 'msg', error)}; it is left out"
            )
            continue
        readable.append([number, source])
        for node in tree.body:
            if isinstance(node, DEFINITIONS[2:]):
                places.setdefault(node.name, []).append(number)
            if is_literal(node) and isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "SHEET":
                sheet_id = ast.literal_eval(node.value)
        used = names_used(tree)
        imports |= used & {"numpy", "torch"}
        shortcuts |= {f"uses {name} (cell {number})" for name in used & set(sheet.shortcuts)}
    for exercise in sheet.exercises:
        if len(found := places.get(exercise.name, [])) > 1:
            notes.append(
                f"{exercise.name} is written in cells {', '.join(map(str, found))}: the last one counts"
            )
    return {
        "cells": readable,
        "imports": sorted(imports),
        "notes": notes[:50],
        "shortcuts": sorted(shortcuts)[:50],
        "sheet": str(sheet_id or "")[:MAX_MESSAGE],
    }


def parsed(source: str) -> tuple[str, ast.Module]:
    """Python source of a cell, with magics and shell lines made harmless calls, and its tree."""
    with contextlib.suppress(SyntaxError):
        return source, ast.parse(source)
    from IPython.core.inputtransformer2 import TransformerManager

    start = PYTHON_MAGICS.match(source).end()
    head = "\n" * source.count("\n", 0, start)  # so that errors name the right line
    for lines in (
        SHELL_LINE.sub(blank_line, source[start:]),
        source[start:],
    ):  # IPython takes 500 of them at most
        with contextlib.suppress(SyntaxError, RuntimeError):
            code = head + TransformerManager().transform_cell(lines)
            return code, ast.parse(code)
    return source, ast.parse(source)


def blank_line(found: re.Match) -> str:
    """Nothing to do in place of a shell line, as many lines long."""
    return f"{found[1]}pass" + "\n" * found[0].count("\n")


def names_used(tree: ast.Module) -> set[str]:
    """Every name, attribute and part of an imported module's name."""
    used: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            used.add(node.id)
        elif isinstance(node, ast.Attribute):
            used.add(node.attr)
        elif isinstance(node, ast.ImportFrom):
            used.update((node.module or "").split("."), (alias.name for alias in node.names))
        elif isinstance(node, ast.Import):
            used.update(part for alias in node.names for part in alias.name.split("."))
    return used


def is_literal(node: ast.stmt) -> bool:
    """An assignment of numbers, texts and lists of them, which runs no code."""
    try:
        ast.literal_eval(node.value)
    except (AttributeError, ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return False
    return isinstance(node, ASSIGNMENTS)


# Running


class ShellStub:
    """Stands for IPython's shell and for Colab's modules: takes every call and does nothing."""

    def __getattr__(self, name: str) -> ShellStub:
        """Any method is this object."""
        return self

    def __call__(self, *args: object, **kwargs: object) -> ShellStub:
        """Any call gives this object."""
        return self


def is_wanted(node: ast.stmt, only_literals: bool) -> bool:
    """Imports, definitions and assignments are run, calls and loops between them are not.

    ``only_literals``: of the assignments, only literals.
    """
    if isinstance(node, ast.If | ast.Try | ast.With):
        return not only_literals and any(
            isinstance(inner, DEFINITIONS + ASSIGNMENTS) for inner in ast.walk(node)
        )
    if isinstance(node, ASSIGNMENTS):
        return not only_literals or is_literal(node)
    return isinstance(node, DEFINITIONS)


def load_cells(cells: Cells, sheet: Sheet, only_literals: bool) -> tuple[dict, list[str]]:
    """The namespace that the cells define, statement by statement, and the errors on the way."""
    module = types.ModuleType("__main__")
    sys.modules["__main__"] = module
    ns, notes = vars(module), []
    ns["get_ipython"] = ns["display"] = stub = ShellStub()
    with contextlib.suppress(ImportError):
        importlib.import_module("google")  # other packages may live there
    google = sys.modules.setdefault("google", types.ModuleType("google"))
    google.colab = stub  # what only Colab has is no fault of a notebook
    sys.modules |= {name: stub for name in COLAB}
    ns |= {name: sys.modules[module] for name, module in sheet.imports.items()}
    flags = 0  # a `from __future__` holds for the cells below it
    for number, source in cells:
        for node in ast.parse(source).body:
            if not is_wanted(node, only_literals):
                continue
            if isinstance(node, ast.ImportFrom) and node.module == "__future__":
                features = [getattr(__future__, alias.name, None) for alias in node.names]
                flags = functools.reduce(operator.or_, [f.compiler_flag for f in features if f], flags)
            try:
                code = compile(ast.Module([node], []), f"cell {number}", "exec", flags, dont_inherit=True)
                exec(code, ns)
            except BaseException as error:  # SystemExit and whatever else a student's code may raise
                notes.append(f"cell {number}, line {node.lineno}: {describe(error)}")
    return ns, notes


def describe(error: BaseException) -> str:
    """Type and message of an error, kept short."""
    try:
        message = f"{type(error).__name__}: {error}"
    except BaseException:  # a message that raises
        message = type(error).__name__
    return message[:MAX_MESSAGE]


def location(error: BaseException) -> str:
    """The innermost place in the student's cells that an error passed, as ", cell 7, line 3"."""
    place, at = "", error.__traceback__
    while at:
        if at.tb_frame.f_code.co_filename.startswith("cell "):
            place = f", {at.tb_frame.f_code.co_filename}, line {at.tb_lineno}"
        at = at.tb_next
    return place


def answer_question(
    cells: Cells, sheet: Sheet, exercise: Exercise, draws: list[Inputs], only_literals: bool, send: Send
) -> None:
    """Load the cells and say so, then try one answer on all inputs and say what came out."""
    ns, _ = load_cells(cells, sheet, only_literals)
    send({"loaded": True})
    send(evaluate(ns, exercise, draws))


def try_loading(cells: Cells, sheet: Sheet, only_literals: bool, send: Send) -> None:
    """Load the cells, and say which errors that brought and why which answers are missing."""
    ns, notes = load_cells(cells, sheet, only_literals)
    why = {exercise.name: missing(ns, exercise.name) for exercise in sheet.graded}
    why = {name: said for name, said in why.items() if said}
    send({"notes": notes[:20], "missing": list(why), "why": list(why.values())})


def missing(ns: dict, name: str) -> str:
    """Why there is no answer of this name; "" if there is one."""
    if callable(ns.get(name)):
        return ""
    own = [key for key, value in ns.items() if isinstance(value, types.FunctionType)]
    near = get_close_matches(name, own, n=1, cutoff=0.5)
    return f"there is no function {name}" + (f"; did you mean your {near[0]}?" if near else "")


def evaluate(ns: dict, exercise: Exercise, draws: list[Inputs]) -> dict:
    """Status and message, and with the status ``value`` the plain values, one for each input."""
    if why := missing(ns, exercise.name):
        return {"status": "missing", "message": why}
    try:
        return {"status": "value", "value": encode([plain(exercise.answer(ns, draw)) for draw in draws])}
    except NotImplementedError:
        return {"status": "missing", "message": "not attempted"}
    except NotPlain as error:
        return {"status": "error", "message": str(error)}
    except BaseException as error:  # SystemExit, KeyboardInterrupt, RecursionError and all others
        if isinstance(error, MemoryError) or "DefaultCPUAllocator" in describe(error):  # as torch says it
            return {"status": "memory", "message": "more memory than allowed" + location(error)}
        return {"status": "error", "message": describe(error) + location(error)}
