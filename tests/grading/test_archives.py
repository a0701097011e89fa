"""Whatever lies in an archive or a folder: one row with a sentence, in bounded memory and time."""

import io
import json
import os
import random
import struct
import time
import tracemalloc
import zipfile

import pytest

from cnnlib.grading import jail, notebook, roster

DOOR = ("--isolation", "none" if jail.bwrap_trouble() else "bwrap")
EMPTY = json.dumps({"cells": []})


def collected(home, scratch, names="folder"):
    return {entry.id: entry for entry in roster.collect(home, names, None, scratch)}


def spoilt(method, name="bad/cost.ipynb"):
    """An archive with a good notebook, and one whose packed bytes are rubbish."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", method) as out:
        out.writestr("good/cost.ipynb", EMPTY)
        out.writestr(name, random.Random(1).randbytes(5000))
        at = out.getinfo(name).header_offset + 30 + len(name)
    return data.getvalue()[:at] + b"\xff" * 1000 + data.getvalue()[at + 1000 :]


@pytest.mark.parametrize(
    "method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]
)
def test_a_bad_stream_is_one_row_with_a_sentence(tmp_path, method):
    (tmp_path / "class.zip").write_bytes(spoilt(method))
    found = collected(tmp_path / "class.zip", tmp_path / "s")
    assert found["bad"].fault.startswith("the archive's member cannot be read: ") and not found["good"].fault


def test_a_bad_stream_in_a_student_s_own_archive_is_that_student_s_row(tmp_path):
    for method in (zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        (tmp_path / "in" / "ada").mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(io.BytesIO(spoilt(method))) as source:
            assert len(source.namelist()) == 2
        data = spoilt(method, "work/cost.ipynb").replace(b"good/cost.ipynb", b"good/cost.texts")
        (tmp_path / "in" / "ada" / "work.zip").write_bytes(data)
        found = collected(tmp_path / "in", tmp_path / "s")
        assert found["ada"].fault.startswith("the archive's member cannot be read: "), method


@pytest.mark.parametrize(
    "name", ["x" * 300 + ".ipynb", "a." + "y" * 300, "名" * 20_000 + "/c.ipynb", "a\0b/c.ipynb", "."]
)
def test_a_name_of_any_length_or_script_has_its_row(tmp_path, name):
    with zipfile.ZipFile(tmp_path / "class.zip", "w") as out:
        out.writestr(name, EMPTY)
        out.writestr("ada/cost.ipynb", EMPTY)
    start = time.monotonic()
    found = collected(tmp_path / "class.zip", tmp_path / "s")
    assert time.monotonic() - start < 5
    assert "ada" in found and len(found) == 2
    assert all(len(entry.id) <= roster.LONGEST + 30 for entry in found.values())


def test_only_what_can_be_graded_is_unpacked(tmp_path):
    with zipfile.ZipFile(tmp_path / "class.zip", "w", zipfile.ZIP_DEFLATED) as out:
        out.writestr("ada/film.mp4", bytes(2**25))
        out.writestr("bob/report.docx", b"PK\3\4" + bytes(2**20))
        out.writestr("eve/cost.ipynb", EMPTY)
    found = collected(tmp_path / "class.zip", tmp_path / "s")
    assert sum(path.stat().st_size for path in (tmp_path / "s").rglob("*") if path.is_file()) < 1000
    assert "neither a notebook" in found["ada"].fault and "Office document" in found["bob"].fault


def test_a_huge_member_is_not_read_whole(tmp_path, monkeypatch):
    monkeypatch.setattr(notebook, "MAX_BYTES", 2**20)
    with zipfile.ZipFile(tmp_path / "class.zip", "w", zipfile.ZIP_DEFLATED) as out:
        out.writestr("ada/cost.ipynb", bytes(2**27))
    tracemalloc.start()
    found = collected(tmp_path / "class.zip", tmp_path / "s")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found["ada"].fault == "larger than 1 MB" and peak < 2**24


def test_a_list_of_members_without_end_is_not_read(tmp_path):
    """A million members in a hundred megabytes take a gigabyte to list."""
    (tmp_path / "in" / "ada").mkdir(parents=True)
    with zipfile.ZipFile(tmp_path / "in" / "ada" / "w.zip", "w") as out:
        out.writestr("cost.ipynb", EMPTY)
    data = bytearray((tmp_path / "in" / "ada" / "w.zip").read_bytes())
    struct.pack_into("<I", data, data.rfind(b"PK\5\6") + 12, notebook.MAX_DIRECTORY + 1)
    (tmp_path / "in" / "ada" / "w.zip").write_bytes(data)
    assert "list of members" in collected(tmp_path / "in", tmp_path / "s")["ada"].fault


def test_special_files_are_rows_and_keep_nobody_waiting(new_folder):
    for name in ("pipe.ipynb", "pipe2.zip"):
        os.mkfifo(new_folder.path / name)
    new_folder.put("ada.ipynb", EMPTY)
    start = time.monotonic()
    assert new_folder.grade(*DOOR) == 0
    assert time.monotonic() - start < 60
    rows = new_folder.rows()
    assert {rows[name]["status"] for name in ("pipe", "pipe2")} == {"unreadable"}
    assert rows["pipe"]["notes"] == "no ordinary file"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"cells": [' + '{"cell_type": "code", "source": ""},' * 1_000_000 + "{}]}", "cells"),
        ('{"cells": [], "x": [' + "[]," * 30_000_000 + "[]]}", "clear the outputs"),
        ("[" * 10**6, "not JSON"),
        ('{"cells": ' + '{"a":' * 10**6 + "1" + "}" * 10**6 + "}", "not JSON"),
        ('{"cells": [' + '{"cell_type": "markdown", "source": "x"},' * 20_000 + "{}]}", "10,000 cells"),
    ],
    ids=["a million cells", "millions of lists", "brackets", "deep", "many words"],
)
def test_json_without_end_is_one_sentence_in_time(text, said):
    data, start = text.encode(), time.monotonic()
    with pytest.raises(notebook.Unreadable, match=said):
        notebook.parse(data, ".ipynb")
    assert time.monotonic() - start < 20
