"""What grading must stand, one test each, where no other file shows it: shapes of what comes in, tampering, reruns,
people and their files, and what goes out again."""

import copy
import csv
import io
import json
import re
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest
from handins import ROOT, TEXT, Folder

from cnnlib.grading import (
    grader,
    jail,
    marks,
    notebook,
    report,
    session,
    supervise,
)
from cnnlib.grading.jail import Limits
from cnnlib.grading.roster import Submission

DOOR = ("--isolation", "none" if jail.bwrap_trouble() else "bwrap")


def rows_of(path):
    return list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8-sig"))))


def zipped(path, files):
    with zipfile.ZipFile(path, "w") as out:
        for name, content in files.items():
            out.writestr(name, json.dumps(content) if isinstance(content, dict) else content)
    return path


# Archives and names


@pytest.fixture(scope="module")
def moodle(tmp_path_factory, solved, sheet):
    """A class as Moodle packs it, with everything that people put into it."""
    home = Folder(tmp_path_factory.mktemp("moodle"))
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as out:
        out.writestr("work/.ipynb_checkpoints/cost-checkpoint.ipynb", "{}")
        out.writestr("work/cost.ipynb", json.dumps(solved()))
    two = io.BytesIO()
    with zipfile.ZipFile(two, "w") as out:
        out.writestr("a.ipynb", json.dumps(solved()))
        out.writestr("b.ipynb", json.dumps(solved()))
    written = solved(conv_macs="")
    for cell in written["cells"]:
        cell["source"] = cell["source"].replace("*Write here.*", "fc6, since <b>most</b> weights are there")
    link = zipfile.ZipInfo("Student Six_106_assignsubmission_file_/cost.ipynb")
    link.external_attr = 0o120777 << 16
    files = {
        "Student One_101_assignsubmission_file_/Copy of cost.ipynb": solved(),
        "Student Two_102_assignsubmission_file_/work.zip": inner.getvalue(),
        "Student Three_103_assignsubmission_file_/two.zip": two.getvalue(),
        "Student Four_104_assignsubmission_file_/cost.ipynb": written,
        "Student Five_105_assignsubmission_file_/../../../../tmp/evil.ipynb": solved(),
        "__MACOSX/Student One_101_assignsubmission_file_/._cost.ipynb": "x",
        "Student Seven_107_assignsubmission_file_/report.pdf": "%PDF-1.7",
    }
    home.path = zipped(home.out.with_name("class.zip"), files)
    with zipfile.ZipFile(home.path, "a") as out:
        out.writestr(link, "/etc/passwd")
    roster = home.out.with_name("roster.csv")
    roster.write_text("id,name\n" + "".join(f"{n},Student {n}\n" for n in range(101, 109)), encoding="utf-8")
    assert home.grade(*DOOR, "--names", "moodle", "--seed", 5, "--jobs", 2, "--roster", roster) == 0
    home.options = (*DOOR, "--names", "moodle", "--roster", roster)
    return home


def test_a_moodle_archive_is_graded_as_it_is(moodle):
    found = {id: (row["status"], row["total"]) for id, row in moodle.rows().items()}
    assert found == {
        "101": ("graded", "15"),
        "102": ("graded", "15"),
        "103": ("unreadable", "0"),
        "104": ("graded", "12"),
        "105": ("graded", "15"),
        "106": ("unreadable", "0"),
        "107": ("unreadable", "0"),
        "108": ("absent", ""),
    }
    assert "2 notebooks" in moodle.rows()["103"]["notes"] and "link" in moodle.rows()["106"]["notes"]


def test_no_member_of_an_archive_is_written_where_its_name_leads(moodle, tmp_path):
    assert not Path("/tmp/evil.ipynb").exists()
    path = zipped(
        tmp_path / "a.zip", {"../up.ipynb": "x", "/abs.ipynb": "x", "a/b.ipynb": "x", "n\0.ipynb": "x"}
    )
    files = notebook.unpack(path, tmp_path / "into")
    assert sorted(p.name for p in (tmp_path / "into").iterdir()) == sorted(f.path.name for f in files)
    assert not (tmp_path / "up.ipynb").exists() and not Path("/abs.ipynb").exists()


def test_an_archive_that_unpacks_to_too_much_is_refused(tmp_path, monkeypatch):
    path = zipped(tmp_path / "a.zip", {f"{n}.ipynb": "x" for n in range(9)})
    monkeypatch.setattr(notebook, "MAX_MEMBERS", 8)
    with pytest.raises(ValueError, match="more than 8 files"):
        notebook.unpack(path, tmp_path / "into")
    monkeypatch.setattr(notebook, "MAX_BYTES", 10)
    (file,) = notebook.unpack(zipped(tmp_path / "b.zip", {"big.ipynb": "x" * 11}), tmp_path / "into2")
    assert file.fault.startswith("larger than")


def test_a_broken_archive_is_one_sentence(tmp_path, new_folder, capsys):
    (tmp_path / "a.zip").write_bytes(b"PK\x03\x04 broken")
    new_folder.path = tmp_path / "a.zip"
    assert new_folder.grade(*DOOR) == 2
    assert "cannot be read as a zip archive" in capsys.readouterr().err


def test_names_that_differ_by_case_or_form_keep_two_pages():
    names = ["ada", "Ada", "é", "e\u0301x", "a/b", "..", "-rf", "x" * 300, "名前", "", "con", "a b", "a\nb"]
    files = [report.page_name(name) for name in names]
    assert len({file.lower() for file in files}) == len(names)
    assert all(re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_-]*\.html", file) and len(file) < 80 for file in files)


# Shapes of a notebook


def test_split_cells_and_changed_types_keep_every_answer(new_folder, solved):
    nb = solved()
    cells = []
    for number, cell in enumerate(nb["cells"]):
        if cell["cell_type"] == "code" and "def receptive_field" in cell["source"]:
            header, rest = cell["source"].split("\n", 1)
            cells += [cell | {"source": header}, cell | {"source": rest}, copy.deepcopy(cell)]
        elif cell["cell_type"] == "markdown" and number % 2:
            cells.append(cell | {"cell_type": "raw"})
        else:
            cells.append(cell)
    new_folder.put("ada.ipynb", nb | {"cells": cells})
    assert new_folder.grade(*DOOR) == 0
    assert new_folder.rows()["ada"]["total"] == "15"


def test_widgets_without_state_and_huge_outputs_do_no_harm(new_folder, solved):
    nb = solved()
    nb["metadata"] = {"widgets": {"application/vnd.jupyter.widget-state+json": {}}, "colab": {"name": "x"}}
    picture = {"output_type": "display_data", "data": {"image/png": "A" * 20_000_000}, "metadata": {}}
    code = [cell for cell in nb["cells"] if cell["cell_type"] == "code"]
    code[0]["outputs"] = [picture]
    code[1]["execution_count"] = "many"
    new_folder.put("ada.ipynb", nb)
    assert new_folder.grade(*DOOR) == 0
    assert new_folder.rows()["ada"]["total"] == "15"


def test_another_sheet_is_told(new_folder, solved):
    nb = {
        "nbformat": 4,
        "cells": [{"cell_type": "code", "source": 'SHEET = "vgg/1"\ndef vgg_block(x): return x'}],
    }
    new_folder.put("ada.ipynb", nb)
    assert new_folder.grade(*DOOR) == 0
    row = new_folder.rows()["ada"]
    assert (row["total"], row["status"]) == ("0", "graded")
    assert "says it is sheet vgg/1, not cost/2" in row["review"]


# What people correct, and what stays


def mark(folder, *lines):
    (folder.run / session.OVERRIDES).write_text(
        "id,question,points,comment\n" + "\n".join(lines), encoding="utf-8"
    )


def test_think_answers_are_marked_in_a_table_and_count_for_all(moodle):
    (row,) = rows_of(moodle.run / "to_mark.csv")
    assert (row["id"], row["question"], row["max"]) == ("104", "shrink_first", "4")
    assert row["answer"] == "fc6, since <b>most</b> weights are there"
    mark(
        moodle,
        "104,shrink_first,2.5,Which layer costs most work?",
        "101,conv_macs,1,agreed in class",
        "108,stem,5,by paper",
    )
    assert moodle.grade(*moodle.options, "--report-only") == 0
    rows = moodle.rows()
    assert (rows["104"]["total"], rows["104"]["max"], rows["104"]["shrink_first"]) == ("14.5", "19", "2.5")
    assert (rows["101"]["total"], rows["101"]["max"], rows["101"]["conv_macs"]) == ("13", "19", "1")
    assert "conv_macs: 1 by hand" in rows["101"]["review"]
    assert (rows["108"]["status"], rows["108"]["total"]) == ("absent", "5")
    page = (moodle.run / "feedback" / "104.html").read_text(encoding="utf-8")
    assert "Which layer costs most work?" in page and "&lt;b&gt;most&lt;/b&gt;" in page and "<b>" not in page


def test_marks_survive_a_new_grading(moodle):
    before = (moodle.run / session.OVERRIDES).read_bytes()
    assert moodle.grade(*moodle.options, "--seed", 6, "--jobs", 2) == 0
    assert (moodle.run / session.OVERRIDES).read_bytes() == before
    assert moodle.rows()["104"]["total"] == "14.5"
    assert (
        moodle.grade(*moodle.options, "--seed", 5, "--report-only") == 0
    )  # results of the first seed are kept
    assert moodle.rows()["104"]["seed"] == "5"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("999,stem,1,", "line 2: there is no student '999'"),
        ("101,stems,1,", "line 2: no question 'stems'"),
        ("101,stem,much,", "points='much' must be a number"),
        ("101,stem,-1,", "points='-1' must be a number"),
        ("101,stem,nan,", "points='nan' must be a number"),
    ],
)
def test_a_mark_that_fits_nobody_is_an_error(moodle, capsys, line, said):
    before = (moodle.run / session.OVERRIDES).read_text(encoding="utf-8")
    mark(moodle, line)
    assert moodle.grade(*moodle.options, "--report-only") == 2
    assert said in capsys.readouterr().err
    (moodle.run / session.OVERRIDES).write_text(before, encoding="utf-8")


def test_a_report_alone_remembers_how_the_class_was_graded(moodle, capsys):
    from handins import command

    before = moodle.out.read_bytes()
    assert command("grade", "--report-only", "--seed", 5, "--out", moodle.out) == 0
    assert "as in the last run: submissions " in capsys.readouterr().out
    assert moodle.out.read_bytes() == before


def test_a_mark_by_hand_is_no_grade_for_who_is_not_graded_yet(moodle):
    """Two points for a written answer are not the total of somebody whose code has not run."""
    assert moodle.rows()["104"]["shrink_first"] == "2.5"
    assert moodle.grade("--seed", 78, "--report-only") == 1
    row = moodle.rows()["104"]
    assert (row["status"], row["total"], row["shrink_first"]) == ("infra", "", "2.5")
    assert "104" not in (moodle.run / "moodle.csv").read_text(encoding="utf-8")
    assert moodle.grade("--seed", 5, "--report-only") == 0


def test_the_table_to_mark_keeps_what_was_decided_before(moodle):
    """So it may be saved as overrides.csv again and again."""
    rows = {(row["id"], row["question"]): row["points"] for row in rows_of(moodle.run / "to_mark.csv")}
    assert rows == {
        ("101", "conv_macs"): "1",
        ("104", "shrink_first"): "2.5",
        ("108", "stem"): "5",
    }
    (moodle.run / session.OVERRIDES).write_bytes((moodle.run / "to_mark.csv").read_bytes())
    before = moodle.out.read_bytes()
    assert moodle.grade("--seed", 5, "--report-only") == 0
    assert moodle.out.read_bytes() == before


def test_results_of_another_seed_are_not_mixed_in(moodle, capsys):
    assert moodle.grade(*moodle.options, "--seed", 77, "--report-only") == 1
    assert {row["status"] for row in moodle.rows().values()} == {"infra", "absent"}
    assert moodle.grade(*moodle.options, "--seed", 5, "--report-only") == 0


# What goes out


def test_everything_that_the_page_names_is_beside_the_table(moodle):
    page = (ROOT / "pages" / "instructors.md").read_text(encoding="utf-8")
    rows = page.split("| file | for |")[1].split("```")[0]
    named = re.findall(r"`([^`]+)`", "".join(row.split("|")[1] for row in rows.splitlines() if "|" in row))
    assert len(named) > 8
    for name in named:
        assert (moodle.run / name.replace("ID", "104")).exists(), name


def test_every_question_has_a_row_with_its_message(moodle):
    rows = {(r["id"], r["question"]): r for r in rows_of(moodle.run / "questions.csv")}
    found = rows["104", "conv_macs"]
    assert (found["status"], found["points"], found["max"]) == ("missing", "0", "3")
    assert "there is no function conv_macs" in found["message"]
    assert len([key for key in rows if key[0] == "101"]) == 5


def test_moodle_gets_its_worksheet_and_its_pages_back(moodle):
    rows = {r["Identifier"]: r for r in csv.DictReader(io.StringIO((moodle.run / "moodle.csv").read_text()))}
    assert rows["Participant 104"]["Grade"] == moodle.rows()["104"]["total"]
    assert rows["Participant 104"]["Feedback comments"].startswith(
        "conv_macs 0/3: there is no function conv_macs;"
    )
    assert rows["Participant 104"]["Last modified (grade)"] == "-"
    with zipfile.ZipFile(moodle.run / "feedback.zip") as pages:
        names = pages.namelist()
    parts = [name.split("_", 4) for name in names]
    assert "104" in {part[1] for part in parts}
    assert {tuple(part[2:]) for part in parts} == {("assignsubmission", "file", "feedback.html")}


def test_canvas_gets_its_table_and_its_pages_back(new_folder, solved):
    new_folder.put("studentone_4711_99_cost-1.ipynb", solved())
    new_folder.put("studenttwo_LATE_4712_98_cost.ipynb", solved(conv_macs=""))
    assert new_folder.grade(*DOOR, "--names", "canvas") == 0
    lines = (new_folder.run / "canvas.csv").read_text(encoding="utf-8").splitlines()
    assert lines[0] == "Student,ID,SIS User ID,SIS Login ID,Section,Sheet cost/2"
    assert lines[1] == "    Points Possible,,,,,15"
    assert lines[2:] == ["studentone,4711,,,,15", "studenttwo,4712,,,,12"]
    with zipfile.ZipFile(new_folder.run / "feedback.zip") as pages:
        assert pages.namelist() == ["studentone_4711_99_cost-1.html", "studenttwo_LATE_4712_98_cost.html"]


def test_gradescope_gets_a_test_a_probe(moodle):
    found = json.loads((moodle.run / "gradescope" / "104" / "results.json").read_text(encoding="utf-8"))
    assert found["stdout_visibility"] == "hidden"
    assert found["score"] == sum(test.get("score", 0) for test in found["tests"])
    assert {test["status"] for test in found["tests"] if "status" in test} == {"passed", "failed"}


def test_feedback_shows_no_hidden_input_and_no_solution(moodle, sheet):
    page = (moodle.run / "feedback" / "104.html").read_text(encoding="utf-8")
    task = grader.Assignment(sheet.sheet, sheet.text, None, 5, Limits())
    shown = page.split("<details>")[0]
    for question in task.questions:
        for draw in question.draws:
            assert json.dumps(list(draw.values()))[1:-1] not in shown
    assert str(5) not in re.findall(r"seed\D*(\d+)", page)


def test_feedback_runs_nothing_that_a_student_wrote(sheet):
    nasty = "<script>alert(1)</script><img src=x onerror=alert(1)>{{ 7 * 191 }}</pre></title>"
    probe = {"claim": "c", "status": "error", "points": 0, "max": 1, "message": nasty}
    part = marks.Part("stem", "error", 0, 5, [probe], source=nasty, answer=nasty, comment=nasty)
    final = marks.FinalGrade(
        Submission(nasty, nasty, Path("x")), "graded", 0, 15, [part], [nasty], [nasty], ""
    )
    task = SimpleNamespace(id="cost/2")
    (page,) = report.render_pages(task, [final]).values()
    assert "<script" not in page and "<img" not in page and "1337" not in page
    assert page.count("</pre>") == 1 and page.count("</title>") == 1


def test_feedback_pages_pass_axe_on_a_phone_and_in_the_dark(moodle):
    playwright = pytest.importorskip("playwright.sync_api")
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    import shutil

    chrome = shutil.which("chromium") or shutil.which("google-chrome")
    if not chrome:
        pytest.skip("no browser")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=chrome, args=["--no-sandbox"])
        for width, scheme in ((1280, "light"), (375, "dark")):
            page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
            for name in ("104", "103"):
                page.goto(f"file://{moodle.run / 'feedback' / name}.html")
                for summary in page.locator("summary").all():
                    summary.click()
                found = axe.Axe().run(page).response["violations"]
                assert not found, (name, width, [v["id"] for v in found])
                assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        browser.close()


# Parts of a class, and again


def test_parts_of_a_class_are_graded_apart_and_merged(new_folder, solved):
    for number in range(5):
        new_folder.put(f"s{number}.ipynb", solved(conv_macs="") if number % 2 else solved())
    whole, out = {}, new_folder.out
    for part in (1, 2):
        new_folder.out = out.with_name(f"part{part}.csv")
        assert new_folder.grade(*DOOR, "--shard", f"{part}/2", "--seed", 3, "--time", 5) == 0
        rows = new_folder.rows()
        assert rows and not whole.keys() & rows.keys()
        whole |= rows
    assert len(whole) == 5
    new_folder.out = out
    parts = [out.with_name(f"part{part}-run") for part in (1, 2)]
    assert new_folder.grade(*DOOR, "--merge", *parts, "--report-only") == 0  # seed and limits are the parts'
    merged = {id: (row["total"], row["sha256"], row["seed"]) for id, row in new_folder.rows().items()}
    assert merged == {id: (row["total"], row["sha256"], row["seed"]) for id, row in sorted(whole.items())}


def test_a_part_without_a_seed_is_refused(new_folder, solved, capsys):
    new_folder.put("ada.ipynb", solved())
    assert new_folder.grade(*DOOR, "--shard", "1/2") == 2
    assert "--shard needs --seed" in capsys.readouterr().err
    for bad in ("0/2", "3/2", "2", "a/b"):
        with pytest.raises(SystemExit):
            new_folder.grade("--shard", bad)
    assert new_folder.grade(*DOOR, "--merge", new_folder.path) == 2
    assert "is no run" in capsys.readouterr().err


def test_one_student_or_one_status_is_graded_again(new_folder, solved, capsys):
    new_folder.put("ada.ipynb", solved())
    new_folder.put("bob.ipynb", solved(conv_macs="def conv_macs(*a): return 1 / 0"))
    assert new_folder.grade(*DOOR) == 0
    for options, done in ((("--regrade", "ada"), "ada: 15"), (("--retry", "error"), "bob: 12")):
        capsys.readouterr()
        assert new_folder.grade(*DOOR, *options) == 0
        out = capsys.readouterr().out
        assert "1 results kept, 1 to do" in out and done in out
    assert (new_folder.rows()["ada"]["total"], new_folder.rows()["bob"]["total"]) == ("15", "12")


def test_more_seeds_ask_more(sheet):
    one, three = (
        grader.Assignment(sheet.sheet, sheet.text, None, 1, Limits(), seeds).questions for seeds in (1, 3)
    )
    assert [3 * len(q.draws) for q in one] == [len(q.draws) for q in three]
    assert all(a.draws == b.draws[: len(a.draws)] for a, b in zip(one, three, strict=True))


def test_the_demo_shows_a_class_of_twelve(tmp_path, monkeypatch, capsys):
    from handins import command

    start = time.monotonic()
    assert command("grade", "--demo", "--out", tmp_path / "demo.csv", *DOOR, "--jobs", 2) == 0
    assert time.monotonic() - start < 120
    rows = {row["id"]: row for row in rows_of(tmp_path / "demo.csv")}
    assert len(rows) == 12
    for name, total in (
        ("all-right", "15"),
        ("from-colab", "15"),
        ("blank", "0"),
        ("forger", "10"),
        ("renamed", "11"),
    ):
        assert rows[name]["total"] == total
    assert (
        rows["endless-loop"]["conv_macs status"] == "timeout" and rows["a-report"]["status"] == "unreadable"
    )


def test_grade_without_a_folder_says_what_to_type(capsys):
    from handins import command

    assert command("grade") == 2
    assert "cnnlib grade FOLDER --sheet NAME" in capsys.readouterr().err


# The grader's own failures


def test_a_full_disk_is_nobody_s_zero(new_folder, solved, monkeypatch):
    from cnnlib.grading import batch

    new_folder.put("ada.ipynb", solved())
    real = batch.write_atomically

    def full(path, content):
        if path.parent.name == "results":
            raise OSError(28, "No space left on device")
        real(path, content)

    monkeypatch.setattr(batch, "write_atomically", full)
    assert new_folder.grade(*DOOR) == 1
    row = new_folder.rows()["ada"]
    assert (row["status"], row["total"]) == ("infra", "")
    monkeypatch.setattr(batch, "write_atomically", real)
    assert new_folder.grade(*DOOR) == 0
    assert new_folder.rows()["ada"]["total"] == "15"


def test_a_fault_in_the_grader_stops_nobody_else(new_folder, solved, monkeypatch):
    new_folder.put("ada.ipynb", solved())
    new_folder.put("bob.ipynb", solved())
    real = grader.grade

    def faulty(assignment, right, submission, *rest):
        if submission.id == "ada":
            raise RecursionError("a bug")
        return real(assignment, right, submission, *rest)

    monkeypatch.setattr(grader, "grade", faulty)
    assert new_folder.grade(*DOOR) == 1
    rows = new_folder.rows()
    assert (rows["ada"]["status"], rows["ada"]["total"], rows["bob"]["total"]) == ("infra", "", "15")
    assert "RecursionError" in rows["ada"]["notes"] or "not graded yet" in rows["ada"]["notes"]


def test_a_slow_student_on_a_busy_machine_gets_the_same_grade(new_folder, solved):
    """CPU seconds count, not those of the clock: four processes turn in circles beside it."""
    slow = "def stem():\n    x = sum(i * i for i in range(3 * 10**6))\n    return [(15, 3, 2, 1), (30, 3, 2, 1), " \
           "(30, 3, 2, 1), (30, 3, 1, 1), (64, 3, 1, 1)]"  # fmt: skip
    new_folder.put("slow.ipynb", solved(stem=slow))
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(4)]
    try:
        assert new_folder.grade(*DOOR, "--time", 3) == 0
    finally:
        for process in busy:
            process.kill()
            process.wait()
    assert new_folder.rows()["slow"]["total"] == "15"


# What crosses


def test_nothing_from_a_student_is_unpickled_or_evaluated():
    """The code that reads what comes back has no such word."""
    for name in ("supervise", "values", "child", "confine", "grader", "batch", "marks", "report", "session"):
        text = (jail.PACKAGE / "grading" / f"{name}.py").read_text(encoding="utf-8")
        assert not re.search(r"\b(pickle|dill|marshal|shelve|torch\.load|eval\(|exec\()", text), name


def test_every_file_is_opened_as_utf_8():
    for path in (jail.PACKAGE / "grading").rglob("*.py"):
        for line in path.read_text(encoding="utf-8").splitlines():
            if re.search(r"(?<!os\.)(?<!archive\.)\b(open|read_text|write_text)\(", line):
                assert "encoding=" in line or '"rb"' in line or '"wb"' in line, (path.name, line)


TENSORS = {
    "right": ("return F.conv2d(x, weight * links[:, :, None, None], bias)", "ok"),
    "double": ("return F.conv2d(x, weight * links[:, :, None, None], bias).double()", "ok"),
    "default": (
        "torch.set_default_dtype(torch.float64)\n    return F.conv2d(x, weight * links[:, :, None, None], bias)",
        "ok",
    ),
    "list": ("return F.conv2d(x, weight * links[:, :, None, None], bias).tolist()", "ok"),
    "nan": ("return F.conv2d(x, weight, bias) * float('nan')", "failed"),
    "inf": ("return F.conv2d(x, weight, bias) + float('inf')", "failed"),
    "zeros": ("return torch.zeros_like(F.conv2d(x, weight, bias))", "failed"),
    "shape": ("return F.conv2d(x, weight * links[:, :, None, None], bias)[:1]", "failed"),
    "huge": ("return torch.zeros(10**7)", "error"),
    "bomb": ("return torch.zeros(10**11)", "memory"),
    "slow_bomb": ("x = [x]\n    while True: x.append(torch.ones(10**6))", "memory"),
    "complex": ("return torch.zeros(3, dtype=torch.complex64)", "error"),
    "subclass": ("return torch.Tensor._make_subclass(type('T', (torch.Tensor,), {}), x)", "error"),
    "forged": ("return {'safetensors': 'AAAA'}", "tampered"),
    "pickled": (
        "import pickle, base64\n    return {'safetensors': base64.b64encode(pickle.dumps(5)).decode()}",
        "tampered",
    ),
    "patched": ("torch.allclose = torch.equal = lambda *a, **k: True\n    return x", "failed"),
    "meta": ("return torch.zeros(3, device='meta')", "error"),
    "sparse": ("return torch.eye(3).to_sparse()", "error"),
}


@pytest.fixture(scope="module")
def tensors():
    """One question a kind of answer; the number of images tells the function which kind is wanted."""
    from solving import opened
    from warm import warm_jail

    lenet = opened("lenet")
    task = grader.Assignment(lenet.sheet, lenet.text, None, 1, Limits(5, 1.0))
    probe, draw = task.probes[0], task.questions[0].draws[0]
    draws = [draw | {"x": draw["x"][:1] * (n + 1)} for n in range(len(TENSORS))]
    questions = [supervise.Question("partial", [draw]) for draw in draws]
    head = "from torch.nn import functional as F\nimport torch\n"
    kinds = [
        f"def kind{n}(x, weight, bias, links):\n    {code}" for n, (code, _) in enumerate(TENSORS.values())
    ]
    choose = "def partial(x, *rest):\n    return globals()[f'kind{len(x) - 1}'](x, *rest)"
    door = jail.no_jail if jail.bwrap_trouble() else jail.bwrap
    right, found = (
        supervise.run(
            task.sheet, [(1, "\n".join([head, *kinds, last]))], questions, task.limits, place
        ).outcomes
        for last, place in (("partial = kind0", warm_jail), (choose, door))
    )
    return {
        name: grader.judge_probe(probe, question.draws, outcome, wanted)
        for name, question, outcome, wanted in zip(TENSORS, questions, found, right, strict=True)
    }


@pytest.mark.parametrize("name", TENSORS)
def test_only_plain_tensors_cross_and_are_compared_outside(tensors, name):
    assert tensors[name]["status"] == TENSORS[name][1], tensors[name]
    assert tensors[name]["points"] == (TENSORS[name][1] == "ok")


def test_a_tensor_s_verdict_says_what_differs(tensors):
    assert "the shape is [1, " in tensors["shape"]["message"]
    assert "nan" in tensors["nan"]["message"]
    assert re.search(r"\d+ of \d+ numbers are wrong, by up to", tensors["zeros"]["message"])
    assert tensors["zeros"]["hint"]


def test_the_table_of_a_class_of_none_is_a_table(new_folder):
    assert new_folder.grade(*DOOR) == 0
    assert new_folder.rows() == {} and report.summary([]) == "nobody"
    assert report.canvas(SimpleNamespace(id="cost/2", sheet=SimpleNamespace(points=15)), []).count("\n") == 2


def test_the_text_of_a_sheet_is_never_in_the_jail():
    argv = jail.bwrap(Path("/tmp"), (), Limits()).argv
    bound = [Path(argv[i + 1]) for i, word in enumerate(argv) if "bind" in word]
    assert bound and not any(
        TEXT.is_relative_to(place) or jail.PACKAGE.is_relative_to(place) for place in bound
    )
