"""`cnnlib grade` and `cnnlib exercise build` from the outside: tables, reruns, refusals."""

import copy
import csv
import io
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest
from handins import ROOT, command

from cnnlib.grading import child, grader, jail, report, source, supervise, values
from cnnlib.grading.jail import Limits
from cnnlib.grading.roster import Submission

OPEN = ("--isolation", "none")
SHARED = str(ROOT / "tests" / "shared")
PROGRAM = (
    "import sys; sys.path.insert(0, {!r}); from handins import command; sys.exit(command(*sys.argv[1:]))"
)


def program(*arguments):
    return [sys.executable, "-c", PROGRAM.format(SHARED), *map(str, arguments)]


@pytest.fixture(scope="module")
def graded(folder, solved, sheet):
    """A class as a learning platform and its people hand it in."""
    colab = solved()
    colab["nbformat_minor"] = 0
    for cell in colab["cells"]:
        cell["metadata"] = {
            "id": "aBc",
            "outputId": "x",
            "executionInfo": {"user": {"displayName": "Somebody"}},
        }
        cell.pop("id", None)
    old = {"nbformat": 3, "worksheets": [{"cells": copy.deepcopy(solved()["cells"])}]}
    for cell in old["worksheets"][0]["cells"]:
        if cell["cell_type"] == "code":
            cell["input"] = cell.pop("source")
    shuffled = solved()
    random.Random(1).shuffle(shuffled["cells"])
    twice = solved()
    twice["cells"].append(
        {"cell_type": "code", "source": "def peak_memory(maps, batch=1, dtype='float32'):\n    return 5"}
    )
    written = solved()
    for cell in written["cells"]:
        cell["source"] = cell["source"].replace(
            "*Write here.*", "=HYPERLINK(1) fc6,\nwith its 38 million weights"
        )
    other = solved()
    for cell in other["cells"]:
        cell["source"] = cell["source"].replace('SHEET = "cost/2"', 'SHEET = "vgg/2"')
    shortcut = solved(conv_macs="from cnnlib.shapes import out_size\ndef conv_macs(*a): return 1")
    files = {
        "Copy of ada.ipynb": colab,
        "bob.ipynb": old,
        "shuffled.ipynb": shuffled,
        "twice.ipynb": twice,
        "written.ipynb": written,
        "other.ipynb": other,
        "shortcut.ipynb": shortcut,
        "blank.ipynb": json.loads(json.dumps(source.student_notebook(sheet.text))),
        "=cmd|' (1).ipynb": solved(),
        "twin.ipynb": solved(),
        "script.py": "\n\n".join(c["source"] for c in solved()["cells"] if c["cell_type"] == "code"),
        "bom.ipynb": b"\xef\xbb\xbf" + json.dumps(solved()).encode(),
        "empty.ipynb": "",
        "list.ipynb": "[]",
        "report.pdf": "%PDF-1.7",
        "no_cells.ipynb": {"cells": []},
    }
    for name, content in files.items():
        folder.put(name, content)
    roster = folder.path.parent / "roster.csv"
    known = [Path(name).stem.removeprefix("Copy of ") for name in files if not name.startswith("=")]
    roster.write_text("id,name\n" + "".join(f"{name},N\n" for name in known) + "zoe,Zoë\n")
    assert folder.grade(*OPEN, "--jobs", 2, "--seed", 1, "--roster", roster) == 0
    return folder


def test_whatever_kept_its_code_keeps_its_points(graded):
    rows = graded.rows()
    for name in ("ada", "bob", "shuffled", "written", "other", "'=cmd|'", "twin", "script", "bom"):
        assert (rows[name]["total"], rows[name]["max"]) == ("15", "15"), rows[name]


def test_a_blank_sheet_is_missing_everywhere(graded):
    row = graded.rows()["blank"]
    assert (row["total"], row["conv_macs status"], row["stem status"], row["notes"]) == (
        "0",
        "missing",
        "missing",
        "",
    )


def test_unreadable_files_have_a_row_with_the_reason(graded):
    rows = graded.rows()
    for name, reason in (("empty", "empty"), ("list", "no cells"), ("report", "PDF")):
        assert (rows[name]["status"], rows[name]["total"]) == ("unreadable", "0")
        assert reason in rows[name]["notes"]
    assert (rows["no_cells"]["status"], rows["no_cells"]["total"]) == ("graded", "0")


def test_the_last_definition_wins_and_is_noted(graded):
    row = graded.rows()["twice"]
    assert (row["peak_memory"], row["peak_memory status"]) == ("0", "failed")
    assert "peak_memory is written in cells" in row["notes"]


def test_instructors_are_told_what_to_look_at(graded):
    rows = graded.rows()
    assert "uses out_size (cell" in rows["shortcut"]["review"]
    assert "says it is sheet vgg/2, not cost/2" in rows["other"]["review"]
    assert "same file as twin" in rows["'=cmd|'"]["review"]
    assert "not in the roster" in rows["'=cmd|'"]["review"]
    assert rows["zoe"] | {"name": "Zoë", "status": "absent", "total": ""} == rows["zoe"]


def test_written_answers_are_collected(graded):
    assert (graded.rows()["written"]["shrink_first"], graded.rows()["ada"]["shrink_first"]) == (
        "to read",
        "missing",
    )
    text = (graded.run / "to_mark.csv").read_text(encoding="utf-8-sig")
    (row,) = csv.DictReader(io.StringIO(text))
    assert (row["id"], row["question"], row["points"], row["max"]) == ("written", "shrink_first", "", "4")
    assert row["answer"] == "'=HYPERLINK(1) fc6, with its 38 million weights"


def test_the_table_is_safe_and_excel_reads_it(graded):
    assert graded.out.read_bytes().startswith(b"\xef\xbb\xbfid,name,status,total,max,conv_macs,")
    cells = [
        cell for row in csv.reader(io.StringIO(graded.out.read_text(encoding="utf-8-sig"))) for cell in row
    ]
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\t", "\r"))]


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\t=1", "\r=1", " =1", "\n\n@x", "\u200b=1"])
def test_no_text_becomes_a_formula(text):
    assert report.safe_cell(text)[0] == "'"
    assert report.safe_cell("a = b") == "a = b"


def test_messages_tell_no_hidden_input(graded, sheet):
    task = grader.Assignment(sheet.sheet, sheet.text, None, 1, Limits())
    result = graded.results()["twice"]
    (failed,) = [e for e in result["exercises"] if e["status"] == "failed"]
    messages = [probe["message"] for probe in failed["probes"]]
    assert messages[0] == "the value is too small (6 of 6 inputs)"
    hidden = {
        str(n) for q in task.questions if q.exercise == "peak_memory" for d in q.draws for n in d["maps"][-1]
    }
    assert not hidden & set(" ".join(messages).replace("6 of 6", "").split())


def test_nobody_s_name_is_copied_from_the_metadata(graded):
    assert (
        "Somebody"
        not in "".join(p.read_text() for p in graded.out.parent.rglob("*.json")) + graded.out.read_text()
    )


def test_run_json_says_how_and_warns(graded, capsys):
    about = json.loads((graded.run / "run.json").read_text())
    assert about["seed"] == 1 and about["isolation"] == "none" and about["sheet"] == "cost/2"
    assert "WITHOUT ISOLATION" in about["warning"]
    assert graded.grade(*OPEN, "--seed", 1) == 0
    assert "WITHOUT ISOLATION" in capsys.readouterr().err


def test_a_rerun_does_only_the_rest_and_the_report_nothing(graded, solved, capsys):
    graded.grade(*OPEN)  # the seed of the last run
    assert "16 results kept, 0 to do" in capsys.readouterr().out
    before = graded.out.read_bytes()
    graded.out.unlink()
    assert graded.grade(*OPEN, "--report-only") == 0
    # without the roster, so names and review differ, totals do not
    assert {r["id"]: r["total"] for r in csv.DictReader(io.StringIO(before.decode("utf-8-sig")))} == {
        name: row["total"] for name, row in graded.rows().items()
    }
    graded.put("twin.ipynb", solved(conv_macs=""))
    assert graded.grade(*OPEN, "--report-only") == 1
    assert (graded.rows()["twin"]["status"], graded.rows()["twin"]["total"]) == ("infra", "")
    capsys.readouterr()
    assert graded.grade(*OPEN) == 0
    out = capsys.readouterr().out
    assert "16 results kept" not in out and "15 results kept, 1 to do" in out
    assert graded.rows()["twin"]["total"] == "12"


# Refusals


def test_without_a_jail_nothing_runs(new_folder, solved, capsys, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    new_folder.put("ada.ipynb", solved())
    for options in ((), ("--isolation", "auto")):
        assert new_folder.grade(*options) == 2
        said = capsys.readouterr().err
        assert "no jail" in said and "--isolation none" in said and len(said.splitlines()) == 1
    assert not new_folder.out.exists() and new_folder.results() == {}


def test_wrong_arguments_are_one_sentence(new_folder, tmp_path, capsys):
    for arguments, said in (
        (("grade", tmp_path / "none", "--sheet", "cost"), "is no folder and no zip archive"),
        (("grade", tmp_path, "--sheet", "no_such"), "there is no file"),
        (("grade", tmp_path, "--sheet", "cost", "--names", "(", *OPEN), "no regular expression"),
        (("exercise", "build", "nothing.md", "--out", tmp_path / "x"), "there is no file nothing.md"),
    ):
        out = ("--out", tmp_path / "g.csv") if arguments[0] == "grade" else ()
        assert command(*arguments, *out) == 2
        assert said in capsys.readouterr().err
    for bad in ("0", "-1", "x"):
        with pytest.raises(SystemExit):
            new_folder.grade("--jobs", bad)


def test_text_and_package_must_be_of_one_version(sheet, new_folder, capsys):
    with pytest.raises(ValueError, match="the text is cost/3, the package knows cost/2"):
        source.sheet_of(sheet.text.replace("cost/2", "cost/3"))


# When the grader itself fails


def test_a_failure_of_the_grader_is_nobody_s_zero(new_folder, solved, monkeypatch, sheet, capsys):
    new_folder.put("ada.ipynb", solved())
    new_folder.put("bob.ipynb", solved(conv_macs=""))
    real = supervise.run

    def broken(name, cells, *rest):
        if not any("def conv_macs" in code for _, code in cells):
            raise supervise.Infra("the disk is full")
        return real(name, cells, *rest)

    monkeypatch.setattr(supervise, "run", broken)
    assert new_folder.grade(*OPEN, "--seed", 1) == 1
    rows = new_folder.rows()
    assert (rows["ada"]["total"], rows["bob"]["status"], rows["bob"]["total"]) == ("15", "infra", "")
    monkeypatch.setattr(supervise, "run", real)
    assert new_folder.grade(*OPEN) == 0
    assert new_folder.rows()["bob"]["total"] == "12"


@pytest.mark.parametrize(
    ("program", "said"),
    [
        (
            ["sh", "-c", "head -n 1 > /dev/null; exec python3 -c 1/0"],
            "(?s)did not start: .*ZeroDivisionError",
        ),
        (["sh", "-c", "echo the wall is broken >&2"], "did not start: the wall is broken"),
        (["/no/such/program"], "cannot be reached"),
        (["sh", "-c", "head -n 1 > /dev/null; echo hello"], "something unknown"),
        (["sh", "-c", "head -n 1 > /dev/null; echo '[1]'"], "something unknown"),
        (["sh", "-c", "head -n 1 > /dev/null; echo '{}'"], "something unknown"),
    ],
)
def test_a_supervisor_that_does_not_start_is_the_grader_s_failure(sheet, program, said):
    with pytest.raises(supervise.Infra, match=said):
        supervise.run(sheet.sheet, [], [], Limits(), lambda *_: jail.Command(program, {}))


def test_a_judge_that_fails_is_pointed_out_and_stops_nobody(sheet):
    def judge(value, right, inputs):
        return value["x"]

    probe = sheet.sheet.graded[0].probes[0]
    probe = type(probe)(probe.claim, 1, probe.inputs, 1, judge)
    found = grader.judge_probe(probe, [{}], supervise.Outcome("value", [5]), supervise.Outcome("value", [5]))
    assert (found["status"], found["points"]) == ("failed", 0)
    assert "TypeError" in found["review"]


def test_whoever_is_stopped_by_the_clock_gets_a_second_run_alone(new_folder, solved, monkeypatch):
    new_folder.put("ada.ipynb", solved())
    real, calls = supervise.run, []

    def busy(name, cells, *rest):
        calls.append(len(cells))
        run = real(name, cells, *rest)
        if len(calls) == 2:  # the first is the reference
            late = [supervise.Outcome("timeout", None, "took too long")] * len(run.outcomes)
            return supervise.NotebookRun(late, [], [], "", True)
        return run

    monkeypatch.setattr(supervise, "run", busy)
    assert new_folder.grade(*OPEN, "--jobs", 2) == 0
    assert (len(calls), new_folder.rows()["ada"]["total"]) == (3, "15")


def test_the_grader_is_killed_and_goes_on_where_it_was(new_folder, solved):
    for number in range(6):
        new_folder.put(f"s{number}.ipynb", solved())
    arguments = (
        "grade",
        new_folder.path,
        "--sheet",
        ROOT / "chapters/exercises/cost.md",
        "--out",
        new_folder.out,
    )
    process = subprocess.Popen(
        program(*arguments, *OPEN), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    end = time.monotonic() + 60
    supervisors = []
    while (len(new_folder.results()) < 2 or not supervisors) and time.monotonic() < end:
        time.sleep(0.02)
        supervisors = [path.parent.name for path in all_stats() if fields(path)[1] == str(process.pid)]
    process.send_signal(signal.SIGKILL)
    process.wait()
    done = len(new_folder.results())
    assert 2 <= done < 6 and not new_folder.out.exists()

    def alive():
        return [pid for pid in supervisors if fields(Path(f"/proc/{pid}/stat"))[0] not in ("Z", "")]

    end = time.monotonic() + 3
    while alive() and time.monotonic() < end:
        time.sleep(0.05)
    assert not alive()
    stamps = {path: path.stat().st_mtime_ns for path in (new_folder.run / "results").glob("*.json")}
    assert new_folder.grade(*OPEN) == 0
    assert {path: path.stat().st_mtime_ns for path in stamps} == stamps
    assert {row["total"] for row in new_folder.rows().values()} == {"15"}


def all_stats():
    return list(Path("/proc").glob("[0-9]*/stat"))


def fields(stat):
    """State, parent and group of a process; empty texts if it is gone."""
    try:
        return stat.read_text().rsplit(")", 1)[1].split()[:3]
    except OSError:
        return ["", "", ""]


def test_the_grading_process_imports_no_torch(new_folder, solved):
    new_folder.put("ada.ipynb", solved())
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT / 'tests' / 'shared')!r}); from handins import command\n"
        "assert command(*sys.argv[1:]) == 0\n"
        "heavy = {'torch', 'numpy', 'matplotlib'} & set(sys.modules)\nassert not heavy, heavy"
    )
    arguments = ("grade", str(new_folder.path), "--sheet", "cost", "--out", str(new_folder.out), *OPEN)
    subprocess.run([sys.executable, "-c", code, *arguments], check=True, cwd=ROOT, capture_output=True)


def test_student_code_sees_few_variables_and_an_empty_folder(new_folder, solved, monkeypatch):
    monkeypatch.setenv("SECRET_TOKEN", "x")
    spy = "import os\ndef stem(): raise ValueError(sorted(os.environ), os.listdir('.'))"
    new_folder.put("ada.ipynb", solved(stem=spy))
    new_folder.grade(*OPEN)
    message = new_folder.results()["ada"]["messages"][-1]
    assert message.endswith("[]), cell 24, line 2") or "[])" in message
    assert "SECRET_TOKEN" not in message and "HOME" in message


# Variants and handing out


def test_a_private_set_is_built_and_graded(tmp_path, new_folder, sheet, capsys):
    assert command("exercise", "build", sheet.path, "--out", tmp_path / "out", "--variant", 4) == 0
    assert "cost/2/4: reference 15 of 15 points, blank sheet 0" in capsys.readouterr().out
    nb = nbformat.read(tmp_path / "out" / "cost.ipynb", as_version=4)
    code = [cell for cell in nb.cells if cell.cell_type == "code"]
    assert "%pip install" in code[0].source and code[1].source.endswith('SHEET = "cost/2/4"')
    assert not any(cell.outputs for cell in code)
    assert "](https://" in nb.cells[0].source + nb.cells[2].source
    answer = source.solved_notebook(sheet.text)  # the book's numbers, not the class's
    new_folder.put("ada.ipynb", json.loads(json.dumps(answer)))
    assert new_folder.grade(*OPEN, "--variant", 4) == 0
    row = new_folder.rows()["ada"]
    assert row["total"] == "15"  # its answers compute with whatever constants they are given
    assert "says it is sheet cost/2, not cost/2/4" in row["review"]


def test_a_notebook_out_of_step_is_not_handed_out(tmp_path, sheet):
    from cnnlib.grading import make_handout

    published = sheet.path.with_suffix(".ipynb")
    with pytest.raises(ValueError, match="out of step"):
        make_handout(sheet.text.replace("def conv_out(n,", "def conv_out(m,"), published, None)
    with pytest.raises(ValueError, match="there is no notebook"):
        make_handout(sheet.text, tmp_path / "none.ipynb", None)


# Parts


def test_a_process_that_only_waits_is_stopped_by_the_clock():
    limits = {"cpu": 5, "wall": 0.3, "memory": 2**28, "processes": 64, "walls": False}
    ending = child.run_forked(lambda say: time.sleep(60), 1, limits, child.MAX_ANSWER)
    assert (ending.status, ending.recheck, ending.lines) == ("timeout", True, [])
    ending = child.run_forked(lambda say: say({"x": 1}), 1, limits, child.MAX_ANSWER)
    assert (ending.status, ending.recheck, ending.lines) == ("", False, [{"x": 1}])


def test_too_long_a_line_is_cut_off_unread():
    limits = {"cpu": 5, "wall": 5, "memory": 2**28, "processes": 64, "walls": False}
    ending = child.run_forked(lambda say: say("x" * 10**7), 1, limits, child.MAX_ANSWER)
    assert (ending.status, ending.lines) == ("tampered", [])


def test_no_process_is_left_behind():
    def spawn(say):
        if os.fork() == 0:
            time.sleep(60)
        say(os.getpid())

    limits = {"cpu": 5, "wall": 5, "memory": 2**28, "processes": 64, "walls": False}
    ending = child.run_forked(spawn, 1, limits, child.MAX_ANSWER)
    time.sleep(0.1)
    group = str(ending.lines[0])
    stats = [fields(path) for path in all_stats()]
    assert not [stat for stat in stats if stat[2] == group and stat[0] != "Z"]


@pytest.mark.parametrize(
    ("line", "status"),
    [
        ({"status": "ok", "points": 5}, "tampered"),
        ({"status": "failed"}, "tampered"),
        ({"status": "value"}, "tampered"),
        ({"status": ["value"]}, "tampered"),
        ([], "tampered"),
        ("value", "tampered"),
        (None, "tampered"),
        ({"status": "infra"}, "tampered"),
        ({"status": "missing", "message": ["x"] * 5}, "missing"),
        ({"status": "value", "value": 5, "points": 100}, "value"),
    ],
)
def test_only_known_words_pass(line, status):
    found = child.report(child.ForkResult([{"loaded": []}, line]))
    assert found["status"] == status and "points" not in found


@pytest.mark.parametrize("value", [5, [5] * 5, {"0": 5}, None, "x" * 6, [5] * 7])
def test_an_answer_of_another_length_is_tampered(sheet, value):
    probe = sheet.sheet.graded[0].probes[0]
    right = supervise.Outcome("value", [5] * 6)
    assert (
        grader.judge_probe(probe, [{}] * 6, supervise.Outcome("value", value), right)["status"] == "tampered"
    )
    assert grader.judge_probe(probe, [{}] * 6, right, right)["points"] == 1


@pytest.mark.parametrize(
    ("value", "right", "wrong"),
    [
        (56, 56, ""),
        (56.0, 56, ""),
        ([1, 2], (1, 2), ""),
        (0.1 + 0.2, 0.3, ""),
        (True, 1, "a number is needed, not bool"),
        ("56", 56, "a number is needed, not str"),
        (float("nan"), 56, "not a number"),
        (float("inf"), 56, "too large"),
        (10**400, 0.5, "too large"),
        (-(10**400), 0.5, "too small"),
        (10**15 + 1, 10**15, "too large"),
        (None, 5, "is there a return"),
        (5, [5], "a list or tuple is needed"),
        ([1], [1, 2], "2 values are needed, not 1"),
        ([1, 3], [1, 2], "value 2: the value is too large"),
        ("a", "b", "not the right one"),
        (1, "1", "not the right one"),
    ],
)
def test_values_are_compared_by_what_they_are(value, right, wrong):
    found = values.same(value, right)
    assert found == wrong if not wrong else wrong in found


def test_the_inputs_are_the_same_for_the_whole_class_and_differ_by_seed(sheet):
    task = [grader.Assignment(sheet.sheet, sheet.text, None, seed, Limits()).questions for seed in (1, 1, 2)]
    assert task[0] == task[1] != task[2]
    assert json.loads(json.dumps([q.draws for q in task[0]])) == [q.draws for q in task[0]]


def test_a_result_changes_its_key_with_everything_it_depends_on(sheet, tmp_path):
    from dataclasses import replace

    from cnnlib.grading import batch
    from cnnlib.grading.notebook import Content

    assignment = grader.Assignment(sheet.sheet, sheet.text, None, 1, Limits())
    ada, content = Submission("ada", file=tmp_path / "a.ipynb"), Content(b"x")
    keys = [
        batch.result_key(assignment, ada, content),
        batch.result_key(assignment, replace(ada, id="bob"), content),
        batch.result_key(assignment, ada, Content(b"y")),
        batch.result_key(assignment, ada, Content(fault="x")),
        batch.result_key(replace(assignment, seed=2), ada, content),
        batch.result_key(replace(assignment, variant=2), ada, content),
        batch.result_key(replace(assignment, text=assignment.text + " "), ada, content),
        batch.result_key(replace(assignment, limits=Limits(cpu=1)), ada, content),
    ]
    assert len(set(keys)) == len(keys)
    assert batch.result_key(assignment, replace(ada, name="Ada", review=("x",)), content) == keys[0]


def test_an_update_in_the_middle_of_a_run_changes_no_key(sheet, monkeypatch):
    """Else results would be stored under names that the tables do not look for."""
    task = grader.Assignment(sheet.sheet, sheet.text, None, 1, Limits())
    first = task.versions()
    monkeypatch.setattr(Path, "read_bytes", lambda path: b"another version")
    assert task.versions() == first and len(first["grader_sha256"]) == 64


def test_an_unknown_jail_is_refused():
    with pytest.raises(ValueError, match="'cage' must be one of auto, bwrap"):
        jail.choose("cage")
    assert jail.choose("none") is jail.no_jail
