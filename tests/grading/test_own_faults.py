"""Faults that are the grader's own: nobody's zero, an exit code that is not 0, and graded again."""

import errno
import json
import os
from pathlib import Path

import pytest

from cnnlib.grading import grader, jail, notebook

DOOR = ("--isolation", "none" if jail.bwrap_trouble() else "bwrap")


def status(folder, student="ada"):
    return folder.rows()[student]["status"], folder.rows()[student]["total"]


def test_a_file_that_the_disk_does_not_give_is_no_student_s_zero(new_folder, solved, monkeypatch):
    new_folder.put("ada.ipynb", solved())
    real = Path.open

    def broken(path, *args, **kwargs):
        if path.name == "ada.ipynb":
            raise OSError(errno.EIO, "Input/output error")
        return real(path, *args, **kwargs)

    monkeypatch.setattr(Path, "open", broken)
    assert new_folder.grade(*DOOR) == 1
    assert status(new_folder) == ("infra", "")
    monkeypatch.undo()
    assert new_folder.grade(*DOOR) == 0
    assert status(new_folder) == ("graded", "15")


def test_a_file_that_is_replaced_while_it_is_graded_is_graded_again(new_folder, solved, monkeypatch):
    """Else the points of the old file would stand beside the name of the new one."""
    new_folder.put("ada.ipynb", solved(conv_macs=""))
    real = grader.grade

    def replaced(*given):
        new_folder.put("ada.ipynb", solved())
        return real(*given)

    monkeypatch.setattr(grader, "grade", replaced)
    assert new_folder.grade(*DOOR) == 1
    assert status(new_folder) == ("infra", "")
    monkeypatch.undo()
    assert new_folder.grade(*DOOR) == 0
    assert status(new_folder) == ("graded", "15")


@pytest.mark.parametrize("left", ["", '{"id": "ada", "status": "gra', "[]", "{}"])
def test_a_result_that_a_crash_left_empty_or_half_written_is_made_again(new_folder, solved, left):
    new_folder.put("ada.ipynb", solved())
    assert new_folder.grade(*DOOR) == 0
    (result,) = (new_folder.run / "results").glob("*.json")
    result.write_text(left, encoding="utf-8")
    assert new_folder.grade(*DOOR, "--report-only") == 1
    assert new_folder.grade(*DOOR) == 0
    assert status(new_folder) == ("graded", "15")
    assert json.loads(result.read_text(encoding="utf-8"))["total"] == 15


def test_a_lost_seed_is_asked_for_and_never_drawn_anew(new_folder, solved, capsys):
    new_folder.put("ada.ipynb", solved())
    assert new_folder.grade(*DOOR, "--seed", 7) == 0
    (new_folder.run / "run.json").write_text("", encoding="utf-8")
    assert new_folder.grade(*DOOR) == 2
    assert "say --seed with the number that stands in the column seed" in capsys.readouterr().err
    assert new_folder.grade(*DOOR, "--seed", 7) == 0


def test_a_disk_that_is_full_while_an_archive_is_unpacked_stops_the_class(tmp_path, monkeypatch):
    """A file of no bytes would be graded as an empty notebook."""
    from test_requirements import zipped

    path = zipped(tmp_path / "class.zip", {"ada.ipynb": "{}"})

    def full(self, *rest):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space left"):
        notebook.unpack(path, tmp_path / "s")


def test_a_full_disk_at_the_tables_is_one_sentence(new_folder, solved, monkeypatch, capsys):
    from cnnlib.grading import batch

    new_folder.put("ada.ipynb", solved())
    real = batch.write_atomically

    def full(path, content):
        if path.name == "questions.csv":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        real(path, content)

    monkeypatch.setattr(batch, "write_atomically", full)
    assert new_folder.grade(*DOOR) == 2
    assert "No space left on device" in capsys.readouterr().err


def test_what_is_no_ordinary_file_is_not_opened(tmp_path):
    """A pipe would keep the class waiting for ever."""
    os.mkfifo(tmp_path / "pipe.ipynb")
    (tmp_path / "link.ipynb").symlink_to("/etc/passwd")
    assert notebook.read_content(tmp_path / "pipe.ipynb").fault == "no ordinary file"
    assert notebook.read_content(tmp_path / "link.ipynb").fault == "a link to another file"
