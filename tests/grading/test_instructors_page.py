"""The instructors' page says what is so: its tables, its commands, its names, its lines of Python."""

import contextlib
import importlib.util
import io
import json
import re
import shlex

import pytest
from handins import ROOT

from cnnlib.cli.commands import _parser as parser
from cnnlib.grading import grader, roster
from cnnlib.grading.sheet import load, names

PAGE = ROOT / "pages" / "instructors.md"
TEXT = PAGE.read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```([^\n]*)\n(.*?)^```$", TEXT, re.M | re.S)


@pytest.fixture(scope="module")
def tool():
    spec = importlib.util.spec_from_file_location(
        "instructor_tables", ROOT / "tools" / "instructor_tables.py"
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_tables_are_those_of_the_sheets_and_chapters(tool):
    assert tool.made(TEXT) == TEXT, "run python tools/instructor_tables.py"


def test_a_changed_table_is_mended(tool):
    spoilt = TEXT.replace("| `conv_macs` | Work | graded | 3 |", "| `conv_macs` | Work | graded | 30 |")
    assert spoilt != TEXT and tool.made(spoilt) == TEXT
    with pytest.raises(ValueError, match="no place <!-- sheets -->"):
        tool.made(TEXT.replace("<!-- sheets -->", ""))


def test_every_sheet_and_exercise_has_its_row(tool):
    assert sorted(tool.sheets()) == sorted(names())
    for name in names():
        sheet = load(name)
        rows = {function: (kind, points) for function, _, kind, points in tool.exercises(name)}
        assert set(rows) == {e.name for e in sheet.exercises} | set(sheet.manual)
        assert sum(p for kind, p in rows.values() if kind.startswith("graded")) == sheet.points
        assert 0.8 * tool.minutes(name) <= sum(tool.shared(name)) <= 1.2 * tool.minutes(name)


@pytest.mark.parametrize("weeks", ["SIX_WEEKS", "TWELVE_WEEKS"])
def test_a_sheet_is_due_after_its_chapter_was_read_and_every_chapter_is_read_once(tool, weeks):
    read = []
    for chapters, due in getattr(tool, weeks):
        assert set(due) <= set(read), "a sheet is due in a later week than its chapter"
        read += chapters
    in_book = re.findall(r"file: chapters/(\w+)$", (ROOT / "_toc.yml").read_text(encoding="utf-8"), re.M)
    assert read == in_book, "a chapter came in: give it a week in tools/instructor_tables.py"
    assert len(getattr(tool, weeks)) == {"SIX_WEEKS": 6, "TWELVE_WEEKS": 12}[weeks]


def commands():
    """Every `cnnlib ...` line in a block, as words."""
    for _, code in BLOCKS:
        for line in code.replace("\\\n", " ").splitlines():
            if line.startswith("cnnlib "):
                yield shlex.split(re.sub(r"\$\(\(.*?\)\)|\$\w+", "1", line))[1:]


def test_every_command_of_the_page_is_one_that_the_program_knows():
    found = list(commands())
    assert len(found) >= 8
    for words in found:
        with contextlib.redirect_stderr(io.StringIO()) as said:
            try:
                parser().parse_args(words)
            except SystemExit:
                pytest.fail(f"cnnlib {' '.join(words)}: {said.getvalue()}")
    options = set(re.findall(r"`(--[a-z-]+)", TEXT))
    known = set(re.findall(r'"(--[a-z-]+)"', (ROOT / "cnnlib/cli/grade.py").read_text(encoding="utf-8")))
    assert options <= known and known <= options | {w for words in found for w in words}


def test_statuses_and_ways_to_name_students_are_all_told():
    for status in (*grader.WORST_FIRST, "graded", "unreadable", "absent", "infra"):
        assert re.search(rf"^\| [a-z, ]*\b{status}\b|`{status}`", TEXT, re.M), status
    told = set(re.findall(r"^\| `(\w+)`(?: \(default\))? \| `\w?.*\.ipynb` \|", TEXT, re.M))
    assert told == set(roster.NAME_PATTERNS)


def test_the_lines_that_show_hidden_inputs_run(tmp_path, monkeypatch, capsys):
    (code,) = [code for language, code in BLOCKS if language == "python"]
    (tmp_path / "grades-run").mkdir()
    (tmp_path / "grades-run" / "run.json").write_text(json.dumps({"seed": 5}), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    exec(code, {})
    assert "conv_macs a square map, stride 1 {'c_in'" in capsys.readouterr().out
