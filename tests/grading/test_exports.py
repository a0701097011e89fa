"""Classes as people have them: what they forget to say, tables from Excel, and what goes out again."""

import csv
import io
import json
import os
import zipfile
from datetime import datetime

import pytest

from cnnlib.grading import jail, marks, report, roster
from cnnlib.grading.roster import Submission

DOOR = ("--isolation", "none" if jail.bwrap_trouble() else "bwrap")


# What is forgotten


@pytest.mark.parametrize(
    ("names", "files"),
    [
        ("moodle", "Student {}_10{}_assignsubmission_file_/cost.ipynb"),
        ("canvas", "student{}_10{}_99_cost-1.ipynb"),
        ("canvas", "student{}_LATE_10{}_99_cost-1.ipynb"),
        ("gradescope", "assignment_7_export/submission_{}{}/cost.ipynb"),
        ("folder", "student{}{}/cost.ipynb"),
    ],
)
def test_a_forgotten_names_is_noticed(new_folder, names, files, capsys):
    """24 students became 6 rows, and the command said that all was well."""
    for number in range(4):
        new_folder.put(files.format(number, number), {"cells": []})
    assert new_folder.grade(*DOOR) == 2
    assert f"--names {names}" in capsys.readouterr().err and not new_folder.out.exists()
    assert new_folder.grade(*DOOR, "--names", names) == 0
    assert len(new_folder.rows()) == 4


def test_names_that_fit_no_file_are_refused(new_folder, capsys):
    new_folder.put("ada.ipynb", {"cells": []})
    assert new_folder.grade(*DOOR, "--names", "canvas") == 2
    assert "--names canvas fits no file; the first of them is 'ada.ipynb'" in capsys.readouterr().err


def test_a_forgotten_variant_is_noticed(new_folder, solved, capsys):
    """Right answers to the class's own constants would score as wrong ones to the book's."""
    private = json.loads(json.dumps(solved()).replace("cost/2", "cost/2/2027"))
    for name, nb in (("ada", private), ("bob", private), ("eve", solved())):
        new_folder.put(f"{name}.ipynb", nb)
    assert new_folder.grade(*DOOR) == 2
    assert "2 of 3 files say that they are cost/2/2027: add --variant 2027" in capsys.readouterr().err
    assert new_folder.results() == {}
    new_folder.put("bob.ipynb", solved())
    assert new_folder.grade(*DOOR) == 0  # one alone is pointed out in its row
    assert "says it is sheet cost/2/2027, not cost/2" in new_folder.rows()["ada"]["review"]


# Names and dates


PEOPLE = """
submission_41:
  :submitters:
  - :name: Ada Lovelace
    :sid: '0815'
    :email: ada@example.org
  :created_at: 2026-11-01 10:00:00
submission_42:
  :submitters:
  - :name: Bob
    :email: bob@example.org
"""


@pytest.mark.parametrize("packed", [True, False])
def test_gradescope_s_numbers_become_students_of_the_roster(tmp_path, packed):
    files = {"export/submission_metadata.yml": PEOPLE} | {
        f"export/submission_{n}/cost.ipynb": '{"cells": []}' for n in (41, 42, 43)
    }
    home = tmp_path / ("class.zip" if packed else "in")
    if packed:
        with zipfile.ZipFile(home, "w") as out:
            for name, content in files.items():
                out.writestr(name, content)
    else:
        for name, content in files.items():
            (home / name).parent.mkdir(parents=True, exist_ok=True)
            (home / name).write_text(content)
    (tmp_path / "r.csv").write_text("id,name\n0815,Ada L.\nbob@example.org,Bob B.\n")
    found = {e.id: e for e in roster.collect(home, "gradescope", tmp_path / "r.csv", tmp_path / "s")}
    assert {student: entry.name for student, entry in found.items()} == {
        "0815": "Ada L.", "bob@example.org": "Bob B.", "43": "",
    }  # fmt: skip
    assert [entry.review for entry in found.values()].count(()) == 2


@pytest.mark.parametrize(
    "text",
    ["id;name\r\nada;Lovelace, Ada\r\n", "id\tname\nada\tLovelace, Ada\n", 'id,name\nada,"Lovelace, Ada"\n'],
)
@pytest.mark.parametrize("coding", ["utf-8", "utf-8-sig", "utf-16", "latin-1"])
def test_a_roster_is_read_as_a_spreadsheet_writes_it(tmp_path, text, coding):
    (tmp_path / "r.csv").write_bytes(text.replace("Ada", "Adaé").encode(coding))
    assert roster.read_roster(tmp_path / "r.csv") == {"ada": "Lovelace, Adaé"}


def test_lateness_is_shown_and_late_days_are_counted(new_folder, solved):
    due = datetime(2026, 11, 30, 23, 59).timestamp()
    for name, days in (("early", -1), ("minute", 1 / 1440), ("day", 1), ("two", 1.5)):
        new_folder.put(f"{name}.ipynb", {"cells": []})
        os.utime(new_folder.path / f"{name}.ipynb", (due + 86_400 * days,) * 2)
    assert new_folder.grade(*DOOR, "--due", "2026-11-30T23:59") == 0
    rows = new_folder.rows()
    assert {name: row["late days"] for name, row in rows.items()} == {
        "early": "0",
        "minute": "1",
        "day": "1",
        "two": "2",
    }
    assert rows["minute"]["handed in"] == "2026-12-01 00:00"
    with pytest.raises(SystemExit):
        new_folder.grade("--due", "tomorrow")


def test_canvas_says_who_was_late(tmp_path):
    (tmp_path / "ada_LATE_4_99_cost.ipynb").write_text("{}")
    (tmp_path / "bob_5_98_cost.ipynb").write_text("{}")
    ada, bob = roster.collect(tmp_path, "canvas", None, tmp_path / "s")
    assert (ada.id, ada.review, bob.review) == ("4", ("handed in late, says Canvas",), ())


# What goes out


def final(student, original="", name="", notes=(), comment="", message=""):
    probe = {"claim": "c", "status": "failed", "points": 0, "max": 1, "message": message}
    part = marks.Part("stem", "failed", 0, 5, [probe], comment=comment)
    entry = Submission(student, name, original=original)
    return marks.FinalGrade(entry, "graded", 0, 15, [part], [], list(notes), "")


def test_no_page_overwrites_another():
    first = report.page_name("Ada L")
    assert report.page_name(first.removesuffix(".html")) != first, "a student may be called like a page"
    finals = [
        final("a/x", "a_1_2_cost.ipynb"),
        final("b/x", "A_1_2_cost.py"),
        final("c", "x/a_1_2_cost.ipynb"),
    ]
    pages = {report.page_name(one.submission.id): one.submission.id for one in finals}
    for names in ("canvas", "moodle", "file"):
        with zipfile.ZipFile(io.BytesIO(report.zip_pages(finals, pages, names))) as out:
            assert {out.read(name).decode() for name in out.namelist()} == {"a/x", "b/x", "c"}
            assert len({name.lower() for name in out.namelist()}) == 3
            assert not any("/" in name for name in out.namelist())


@pytest.mark.parametrize(
    "text",
    ["=1+1", "＝1+1", "＋1", "－1", "＠x", "a;=1+1", "a; =cmd|' /C calc'!A0", "x;\t@y", "a;-1", "\u202e=1"],
)
def test_no_text_starts_a_formula_in_any_locale(text):
    cells = [cell.strip() for cell in str(report.safe_cell(text)).split(";")]
    assert not [cell for cell in cells if cell[:1] in "=+-@＝＋－＠"]
    assert report.safe_cell("a = b; c - d") == "a = b; c - d"


def test_comments_reach_every_table_that_has_a_place_for_them():
    one = final("ada", comment="See me.", message="the value is too small")
    assert report.comment(one) == "stem 0/5: See me.; the value is too small"
    full = marks.FinalGrade(
        one.submission, "graded", 5, 5, [marks.Part("q", "marked", 5, 5, comment="Fine!")], [], [], ""
    )
    assert report.comment(full) == "q 5/5: Fine!"
    assert "Fine!" in report.gradescope(full)
    (row,) = csv.DictReader(io.StringIO(report.questions([full]).removeprefix("\ufeff")))
    assert row["comment"] == "Fine!"


CODES = "\x1b[2J\x1b]0;owned\x07\u202e\x9b31m"


def test_terminal_codes_reach_no_page_table_or_terminal(new_folder, solved, capsys):
    new_folder.put("ada.ipynb", solved(stem=f"def stem():\n    raise ValueError({CODES!r})\n# {CODES}"))
    new_folder.put("bob.ipynb", solved())
    nb = solved()
    nb["cells"].insert(1, {"cell_type": "code", "source": f"x = 1 / 0\nraise ValueError({CODES!r})"})
    for cell in nb["cells"]:
        cell["source"] = cell["source"].replace("*Write here.*", CODES)
    new_folder.put(f"eve{CODES}.ipynb", nb)
    assert new_folder.grade(*DOOR) == 0
    said = "".join(capsys.readouterr())
    texts = [
        path.read_text(encoding="utf-8-sig")
        for path in new_folder.run.rglob("*")
        if path.suffix in (".html", ".csv")
    ]
    texts += [
        json.dumps(json.loads(path.read_text()), ensure_ascii=False)
        for path in new_folder.run.rglob("results.json")
    ]
    assert len(texts) > 8
    for text in (said, new_folder.out.read_text(encoding="utf-8-sig"), *texts):
        assert not set("\x1b\x07\u202e\x9b") & set(text)
