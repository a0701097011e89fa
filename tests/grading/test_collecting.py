"""Folders and archives as they are collected: which file is whose, and which of several counts."""

import io
import os
import time
import zipfile

import pytest

from cnnlib.grading import jail, notebook, roster

DOOR = ("--isolation", "none" if jail.bwrap_trouble() else "bwrap")
EMPTY = {"cells": []}


def put(folder, name, age=0):
    """An empty file that was written so many seconds ago."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("x")
    os.utime(path, (time.time() - age,) * 2)


def found(folder, names, scratch):
    return {entry.id: entry for entry in roster.collect(folder, names, None, scratch)}


def zipped(path, names):
    with zipfile.ZipFile(path, "w") as out:
        for name in names:
            out.writestr(name, "x")
    return path


def test_a_report_handed_in_later_does_not_take_the_notebook_s_place(tmp_path):
    for age, name in (
        (30, "ada/old.ipynb"),
        (20, "ada/new.ipynb"),
        (10, "ada/help.py"),
        (0, "ada/report.pdf"),
    ):
        put(tmp_path / "in", name, age)
    (entry,) = found(tmp_path / "in", "folder", tmp_path / "s").values()
    assert entry.original == "ada/new.ipynb"
    assert entry.review == ("several files: new.ipynb counts, not old.ipynb, help.py, report.pdf",)


def test_of_what_is_no_notebook_the_newest_is_told(tmp_path):
    for age, name in ((20, "ada/a.docx"), (10, "ada/b.pdf")):
        put(tmp_path / "in", name, age)
    (entry,) = found(tmp_path / "in", "folder", tmp_path / "s").values()
    assert entry.original == "ada/b.pdf"


def test_a_student_s_archive_may_hold_a_script_beside_the_notebook(tmp_path):
    inner = zipped(tmp_path / "work.zip", ["work/cost.ipynb", "work/helpers.py", "work/photo.png"])
    assert (
        notebook.unpack_single(notebook.SubmittedFile("work.zip", inner), tmp_path / "s").path.suffix
        == ".ipynb"
    )
    inner = zipped(tmp_path / "two.zip", ["a.ipynb", "b.ipynb"])
    assert (
        "2 notebooks"
        in notebook.unpack_single(notebook.SubmittedFile("two.zip", inner), tmp_path / "s2").fault
    )


@pytest.mark.parametrize("packed", [True, False], ids=["archive", "folder"])
@pytest.mark.parametrize(
    ("names", "files", "students"),
    [
        ("folder", ["hw1/ada/cost.ipynb", "hw1/bob/cost.ipynb"], ["ada", "bob"]),
        ("folder", ["ada/cost.ipynb", "bob/deep/cost.ipynb"], ["ada", "bob"]),
        ("folder", ["ada/cost.ipynb"], ["ada"]),
        ("moodle", [f"hw1/Ada L_{n}_assignsubmission_file_/cost.ipynb" for n in (4, 5)], ["4", "5"]),
        ("canvas", ["submissions/ada_4_99_cost.ipynb", "submissions/bob_5_98_cost-2.ipynb"], ["4", "5"]),
        (
            "gradescope",
            [
                "assignment_7_export/submission_41/cost.ipynb",
                "assignment_7_export/submission_42/cost.ipynb",
                "assignment_7_export/submission_metadata.yml",
            ],
            ["41", "42"],
        ),
        ("file", ["hw1/Copy of ada.ipynb", "hw1/bob (1).ipynb"], ["ada", "bob"]),
        (r"hw1/(?P<id>\w+)/.*", ["hw1/ada/cost.ipynb", "hw1/bob/cost.ipynb"], ["ada", "bob"]),
    ],
)
def test_every_platform_s_class_falls_into_its_students(tmp_path, names, files, students, packed):
    if packed:
        home = zipped(tmp_path / "class.zip", files)
    else:
        home = tmp_path / "class"
        for name in files:
            put(home, name)
    entries = found(home, names, tmp_path / "s")
    assert list(entries) == students
    assert not any(entry.review for entry in entries.values())


AWKWARD = [
    "Copy of ünï_çödé 名前 (1).ipynb",
    "שלום.ipynb",
    "🎈 'quoted' \"twice\".ipynb",
    "-rf.ipynb",
    "=1+1.ipynb",
    "a\nnew line.ipynb",
    "Ada.ipynb",
    "ada2.ipynb",
    "ADA2.ipynb",
    "x" * 249 + ".ipynb",
    "..ipynb",
    "con.ipynb",
    "<script>.ipynb",
    "a%2Fb.ipynb",
    "$(touch evil).ipynb",
    "no ending",
    "notes.txt",
    "cost.ipynb.json",
]


def test_every_awkward_name_has_its_row_and_its_page(new_folder):
    shown = [name for name in AWKWARD if not notebook.is_hidden(name)]
    for name in AWKWARD:
        new_folder.put(name, EMPTY)
    assert new_folder.grade(*DOOR) == 0
    rows = new_folder.rows()
    assert len(rows) == len(shown) == len(AWKWARD) - 1
    assert len(list((new_folder.run / "feedback").iterdir())) == len(shown)
    assert {row["status"] for id, row in rows.items() if id not in ("no ending", "notes", "cost")} == {
        "graded"
    }
    assert not (new_folder.path / "evil").exists()
    with zipfile.ZipFile(io.BytesIO((new_folder.run / "feedback.zip").read_bytes())) as pages:
        names = pages.namelist()
    assert len({name.lower() for name in names}) == len(shown)


def test_one_name_in_two_unicode_forms_is_one_student(tmp_path):
    put(tmp_path / "in", "Ren\u00e9.ipynb", 10)
    put(tmp_path / "in", "Rene\u0301 (1).ipynb", 0)
    (entry,) = found(tmp_path / "in", "file", tmp_path / "s").values()
    assert entry.id == "Ren\u00e9" and len(entry.review) == 1
