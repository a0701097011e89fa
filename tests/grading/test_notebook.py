"""What students hand in, as platforms and mishaps change it: read, or said to be unreadable and why."""

import json
import os
import time

import pytest

from cnnlib.grading import notebook, roster
from cnnlib.grading.jail import Infra

CODE = {"cell_type": "code", "source": "x = 1"}


def code_of(data, suffix=".ipynb"):
    return notebook.parse(data if isinstance(data, bytes) else json.dumps(data).encode(), suffix).code


@pytest.mark.parametrize(
    "data",
    [
        {"cells": [CODE], "nbformat": 4},
        {"cells": [{"cell_type": "code", "source": ["x = ", "1"]}], "metadata": {"widgets": {}}},
        {"nbformat": 3, "worksheets": [{"cells": [{"cell_type": "code", "input": ["x = 1"]}]}]},
        {"cells": [CODE, "not a cell", None, {"cell_type": 5}]},
        b"\xef\xbb\xbf" + json.dumps({"cells": [CODE]}).encode(),
        json.dumps({"cells": [CODE]}).encode("utf-16"),
        json.dumps({"cells": [CODE, {"cell_type": "markdown", "source": "é"}]}, ensure_ascii=False).encode(
            "latin-1"
        ),
    ],
    ids=["plain", "lines", "format 3", "strange cells", "byte order mark", "UTF-16", "Latin-1"],
)
def test_every_shape_of_a_notebook_is_read(data):
    assert code_of(data) == [(1, "x = 1")]


def test_a_script_is_one_cell():
    assert code_of(b"x = 1\n", ".py") == [(1, "x = 1\n")]


@pytest.mark.parametrize(
    ("data", "suffix", "reason"),
    [
        (b"", ".ipynb", "empty"),
        (b" \n", ".ipynb", "empty"),
        (b"not json", ".ipynb", "not JSON"),
        (b"%PDF-1.7 ...", ".ipynb", "looks like a PDF"),
        (b"PK\x03\x04...", ".ipynb", "looks like a zip archive"),
        (b"PK\x03\x04...", ".zip", "neither a notebook .* looks like a zip archive"),
        (b"<!doctype html>", ".ipynb", "web page"),
        (b'{"cells": [\n<<<<<<< HEAD\n1\n=======\n2\n>>>>>>> x\n]}', ".ipynb", "merge conflict"),
        (b"[1, 2]", ".ipynb", "there are no cells"),
        (b"5", ".ipynb", "there are no cells"),
        (b'{"cells": 5}', ".ipynb", "there are no cells"),
        (b'{"worksheets": []}', ".ipynb", "there are no cells"),
        (b'{"cells": [', ".ipynb", "not JSON"),
        (b"[" * 100_000, ".ipynb", "not JSON"),
        (b'{"cells": ' + b"9" * 10_000 + b"}", ".ipynb", "not JSON"),
        (b"text", ".txt", "neither a notebook"),
        (json.dumps({"cells": [{"cell_type": "code", "source": "#" * 2**21}]}).encode(), ".ipynb", "million"),
    ],
)
def test_what_is_no_notebook_is_named(data, suffix, reason):
    with pytest.raises(notebook.Unreadable, match=reason):
        notebook.parse(data, suffix)


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    (tmp_path / "link.ipynb").symlink_to(tmp_path / "elsewhere")
    assert notebook.read_content(tmp_path / "link.ipynb").fault == "a link to another file"
    with pytest.raises(Infra, match="cannot be read: No such file"):
        notebook.read_content(tmp_path / "none.ipynb")


@pytest.mark.parametrize("written", ["AlexNet's fc6.", "**Bold** claim\n\nTwo paragraphs."])
def test_written_answers_are_found_in_the_text(written):
    nb = notebook.Notebook([], ["# Title", f"**Your answer to shrink_first:**\n\n*Write here.*\n{written}"])
    assert notebook.written_answer(nb, "shrink_first") == written
    assert notebook.written_answer(nb, "other") == ""
    assert (
        notebook.written_answer(
            notebook.Notebook([], ["**Your answer to shrink_first:**\n\n*Write here.*"]), "x"
        )
        == ""
    )


# Who is who


@pytest.mark.parametrize(
    ("names", "file", "student", "name"),
    [
        ("file", "ada.ipynb", "ada", ""),
        ("file", "Copy of ada.ipynb", "ada", ""),
        ("file", "Copy of Copy of ada (2).ipynb", "ada", ""),
        ("file", "ada.ipynb.txt", "ada", ""),
        ("file", "deep/er/ada.ipynb", "ada", ""),
        ("file", "-rf ünï 名前 🎈 'x'.ipynb", "-rf ünï 名前 🎈 'x'", ""),
        ("file", "a\nb.ipynb", "a b", ""),
        ("file", "e\u0301.ipynb", "é", ""),
        ("file", "noending", "noending", ""),
        ("folder", "ada/Copy of cost.ipynb", "ada", ""),
        ("moodle", "Ada Lovelace_4711_assignsubmission_file/cost.ipynb", "4711", "Ada Lovelace"),
        ("moodle", "Ada Lovelace_4711_assignsubmission_file_cost.ipynb", "4711", "Ada Lovelace"),
        ("canvas", "lovelaceada_4711_99_cost-1.ipynb", "4711", "lovelaceada"),
        ("canvas", "lovelaceada_LATE_4711_99_cost.ipynb", "4711", "lovelaceada"),
        (r".*-(?P<id>\d+)\.ipynb", "hw-17.ipynb", "17", ""),
    ],
)
def test_students_are_told_by_their_files(tmp_path, names, file, student, name):
    path = tmp_path / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("x")
    (entry,) = roster.collect(tmp_path, names, None, tmp_path / "scratch")
    assert (entry.id, entry.name, entry.file, entry.review) == (
        student,
        name,
        path,
        ("handed in late, says Canvas",) * ("LATE" in path.name),
    )


def test_a_name_that_does_not_fit_is_a_row_too(tmp_path):
    for name in ("hello.ipynb", "ada_5_98_cost.ipynb"):
        (tmp_path / name).write_text("x")
    _, entry = roster.collect(tmp_path, "canvas", None, tmp_path / "scratch")
    assert (entry.id, entry.review) == ("hello.ipynb", ("file name does not fit --names",))


def test_bytes_that_are_no_text_in_a_file_name(tmp_path):
    with open(os.fsencode(tmp_path) + b"/caf\xe9.ipynb", "w") as file:
        file.write("x")
    (entry,) = roster.collect(tmp_path, "file", None, tmp_path / "scratch")
    assert entry.id == "caf\ufffd"


def test_the_newest_file_of_a_student_counts(tmp_path):
    for age, name in ((30, "ada (1).ipynb"), (10, "Copy of ada.ipynb"), (20, "ada.ipynb")):
        (tmp_path / name).write_text(name)
        os.utime(tmp_path / name, (time.time() - age,) * 2)
    (entry,) = roster.collect(tmp_path, "file", None, tmp_path / "scratch")
    assert entry.file.name == "Copy of ada.ipynb"
    assert entry.review == ("several files: Copy of ada.ipynb counts, not ada.ipynb, ada (1).ipynb",)


def test_hidden_files_are_nobodys(tmp_path):
    for name in (".DS_Store", ".ipynb_checkpoints/ada.ipynb", "__MACOSX/ada.ipynb"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    assert roster.collect(tmp_path, "file", None, tmp_path / "scratch") == []


def test_the_roster_adds_names_and_those_who_are_absent(tmp_path):
    folder, listed = tmp_path / "in", tmp_path / "r.csv"
    folder.mkdir()
    for name in ("ada", "eve"):
        (folder / f"{name}.ipynb").write_text("x")
    listed.write_bytes("\ufeffid,name\nada,Ada L.\nbob,Bob\n".encode())
    found = {e.id: e for e in roster.collect(folder, "file", listed, tmp_path / "s")}
    assert list(found) == ["ada", "bob", "eve"]
    assert (found["ada"].name, found["bob"].file, found["eve"].review) == (
        "Ada L.",
        None,
        ("not in the roster",),
    )


def test_bad_patterns_and_rosters_are_one_sentence(tmp_path):
    with pytest.raises(ValueError, match="needs a group"):
        roster.collect(tmp_path, "(.*)", None, tmp_path / "scratch")
    with pytest.raises(ValueError, match="no regular expression"):
        roster.collect(tmp_path, "(", None, tmp_path / "scratch")
    (tmp_path / "r.csv").write_text("student\nada\n")
    with pytest.raises(ValueError, match="a column named id"):
        roster.collect(tmp_path, "file", tmp_path / "r.csv", tmp_path)
