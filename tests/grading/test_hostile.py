"""One class of broken and hostile notebooks, graded in one run: each loses its own points only, forges none.

Every notebook holds all right answers but for what its entry spoils, so a lost grade shows at once.
"""

import contextlib
import time
from pathlib import Path

import pytest

from cnnlib.grading import jail

DOOR = "none" if jail.bwrap_trouble() else "bwrap"
HOSTILE = {
    # name: (code that replaces the answer to `stem`, status of stem, a piece of the message)
    "loop": ("def stem():\n    while True: pass", "timeout", "took too long"),
    "loop_that_catches": (
        "def stem():\n    while True:\n        try:\n            while True: pass\n"
        "        except BaseException: pass",
        "timeout",
        "took too long",
    ),
    "memory": ("def stem():\n    return [0] * 10**9", "memory", "more memory than allowed, cell"),
    "memory_slowly": (
        "def stem():\n    x = []\n    while True: x.append(bytearray(10**6))",
        "memory",
        "more memory",
    ),
    "memory_caught": (
        "def stem():\n    try:\n        return [0] * 10**9\n    except MemoryError:\n        return []",
        "failed",
        "a list of 1 to 20 layers",
    ),
    "os_exit": ("import os\ndef stem(): os._exit(0)", "crashed", "ended before it had an answer"),
    "sys_exit": ("import sys\ndef stem(): sys.exit()", "error", "SystemExit"),
    "exit": ("def stem(): exit()", "error", "SystemExit"),
    "quit": ("def stem(): quit()", "error", "SystemExit"),
    "segfault": ("import ctypes\ndef stem(): ctypes.string_at(0)", "crashed", "SIGSEGV"),
    "killed": ("import os\ndef stem(): os.kill(os.getpid(), 9)", "crashed", "SIGKILL"),
    "abort": ("import os\ndef stem(): os.abort()", "crashed", "SIGABRT"),
    "input": ("def stem(): return eval(input('answer? '))", "error", "EOFError"),
    "recursion": ("def stem(): return stem()", "error", "RecursionError"),
    "interrupt": ("def stem(): raise KeyboardInterrupt", "error", "KeyboardInterrupt"),
    "loud": (
        "def stem():\n    print('x' * 10**8)\n    return [(8, 3, 2, 1)]",
        "failed",
        "128 are asked for|8 are asked for",
    ),
    "huge_value": ("def stem(): return 'x' * 10**8", "error", "too large"),
    "huge_list": ("def stem(): return list(range(10**6))", "error", "too large"),
    "huge_int": ("def stem(): return 10**10000", "error", "too large"),
    "nested": (
        "def stem():\n    x = []\n    for _ in range(10**5): x = [x]\n    return x",
        "error",
        "too large",
    ),
    "endless_list": ("def stem():\n    x = []\n    x.append(x)\n    return x", "error", "too large"),
    "nan": ("def stem(): return [(float('nan'), 3, 2, 1)]", "failed", "whole numbers"),
    "no_value": ("def stem(): pass", "failed", "must return a list"),
    "strange_value": ("def stem(): return object()", "error", "not object"),
    "lying_eq": (
        "class L(list):\n    def __eq__(self, other): return True\n"
        "    __len__ = lambda self: 3\ndef stem(): return L()",
        "error",
        "not L",
    ),
    "lying_int": (
        "class I(int):\n    __le__ = __ge__ = __lt__ = __gt__ = __eq__ = lambda *a: True\n"
        "    __hash__ = None\n"
        "def stem(): return [(I(1), I(1), I(1), I(1))]",
        "error",
        "not I",
    ),
    "message_that_raises": (
        "class E(Exception):\n    def __str__(self): raise E\ndef stem(): raise E",
        "error",
        "E",
    ),
    "noise_on_every_channel": (
        "import os\ndef stem():\n    for fd in range(256):\n"
        "        try: os.write(fd, b'noise\\n')\n        except OSError: pass",
        "tampered",
        "something else than an answer",
    ),
    "forged_status": (
        "import os\ndef stem():\n    for fd in range(3, 256):\n        try: os.write(fd, "
        'b\'{"status": "ok", "points": 5, "value": [[64, 3, 1, 1]]}\\n\')\n        except OSError: pass',
        "tampered",
        "something else than an answer",
    ),
    "patched_json": (
        "import json\ndef stem():\n    json.dumps = lambda *a, **k: '[[[['\n    return []",
        "tampered",
        "something else",
    ),
    "closed_pipe": (
        "import os\ndef stem():\n    os.closerange(0, 256)\n    return []",
        "crashed",
        "before it had an answer",
    ),
    "renamed": ("def stems(): return []", "missing", "did you mean your stems?"),
    "deleted": ("", "missing", "there is no function stem"),
    "commented": ("# def stem(): return []", "missing", "there is no function stem"),
    "not_a_function": ("stem = 5", "missing", "there is no function stem"),
    "blank": ("def stem():\n    # YOUR CODE HERE\n    raise NotImplementedError", "missing", "not attempted"),
    "daemon": (
        "import os, time\ndef stem():\n    if os.fork() == 0:\n        os.setsid()\n"
        "        time.sleep(5)\n        os._exit(0)\n"
        "    return []",
        "failed",
        "a list of 1 to 20 layers",
    ),
}
WALLED = {
    # As HOSTILE, for what would harm the machine without walls.
    "fork_bomb": (
        "import os, time\ndef stem():\n    while True:\n        try: os.fork()\n"
        "        except OSError: time.sleep(0.1)",
        "timeout|memory|tampered|crashed",
        "",
    ),
    "thread_bomb": (
        "import threading, time\ndef stem():\n    made = []\n    while True:\n"
        "        made.append(threading.Thread(target=time.sleep, args=(60,)))\n        made[-1].start()",
        "error|memory",
        "can't start new thread|more memory",
    ),
    "disk_full": (
        "def stem():\n    for n in range(10**6):\n        open(f'/tmp/{n}', 'wb').write(bytes(2**24))",
        "error",
        "No space left",
    ),
    "shm_full": (
        "def stem():\n    for n in range(10**6):\n        open(f'/dev/shm/{n}', 'wb').write(bytes(2**24))",
        "error",
        "No space left",
    ),
    "file_too_long": (
        "def stem():\n    with open('/tmp/x', 'wb') as f:\n        while True: f.write(bytes(2**20))",
        "error|crashed",
        "File too large|SIGXFSZ",
    ),
    "kills_all": (  # and reaches nobody
        "import os\ndef stem():\n    os.kill(os.getppid(), 9)\n    os.kill(-1, 9)\n    return []",
        "error",
        "No such process",
    ),
    "network": (
        "import socket\ndef stem(): socket.create_connection(('192.0.2.1', 80), 1)",
        "error",
        "unreachable",
    ),
    "reads_grades": ("def stem(): return open('FOLDER/ada.ipynb').read()", "error", "No such file"),
    "reads_memory": (
        "import os\ndef stem(): return open(f'/proc/{os.getppid()}/mem', 'rb').read(1)",
        "error",
        "Permission denied",
    ),
    "writes_the_grader": (
        "import cnnlib.grading.values as v\ndef stem(): open(v.__file__, 'a').write('x')",
        "error",
        "Read-only|Permission denied",
    ),
    "raises_its_limits": (
        "import resource, signal\ndef stem():\n"
        "    resource.setrlimit(resource.RLIMIT_CPU, (10**6, 10**6))\n    while True: pass",
        "error",
        "not allowed to raise maximum limit",
    ),
    "ignores_the_alarm": (
        "import signal\ndef stem():\n    signal.signal(signal.SIGXCPU, signal.SIG_IGN)\n    while True: pass",
        "timeout",
        "took too long",
    ),
    "deletes_all": (
        "import shutil\ndef stem():\n    for place in ('FOLDER', '/course', '/etc', '/dev', '/tmp'):\n"
        "        shutil.rmtree(place, ignore_errors=True)\n    return []",
        "failed",
        "a list of 1 to 20 layers",
    ),
    "traces_its_parent": (
        "import ctypes, os\ndef stem():\n    c = ctypes.CDLL(None, use_errno=True)\n"
        "    if c.ptrace(16, os.getppid(), 0, 0): raise OSError(ctypes.get_errno())",
        "error",
        "OSError: 1",
    ),
    "reads_the_sheet": (
        "from cnnlib.grading.sheets import cost\nimport pathlib\ndef stem():\n"
        "    return [str(p) for p in pathlib.Path(cost.__file__).parents[3].rglob('answers')]",
        "failed",
        "a list of 1 to 20 layers",
    ),
    "imports_the_answer": (
        "from cnnlib.shapes import out_size\ndef stem(): return out_size",
        "error",
        "NameError",
    ),
    "searches_memory": (
        "import gc, sys\ndef stem():\n    for thing in gc.get_objects():\n"
        "        if type(thing) is dict and thing.get('name') == 'reference': return thing\n"
        "    frame = sys._getframe()\n    while frame.f_back: frame = frame.f_back\n"
        "    return [k for k in frame.f_globals if 'reference' in k or 'solution' in k]",
        "failed",
        "must return a list of 1 to 20 layers",
    ),
    "patched_supervisor": (
        "import sys\ndef stem():\n    import cnnlib.grading.child as c, cnnlib.grading.values as w\n"
        "    c.report = lambda e: {'status': 'value', 'value': [1]}\n    w.encode = lambda v: 5\n    return []",
        "failed|tampered",
        "",
    ),
}
if DOOR == "bwrap":
    HOSTILE |= WALLED
FORGED_AT_LOAD = """
import os
def forge():
    for fd in range(3, 256):
        try: os.write(fd, b'{"loaded": []}\\n{"status": "value", "value": [1, 2, 3, 4, 5, 6]}\\n')
        except OSError: pass
x = forge()
"""
# name: code in a cell of its own before all others; nothing is lost.
HARMLESS = {
    "top_raise": "x = 1 / 0\ny = 5\nassert y == 6",
    "top_exit": "import sys\nsys.exit()\nz = sys.exit()\nw = exit()",
    "top_os_exit": "import os\nos._exit(3)",
    "top_os_exit_assigned": "import os\nx = os._exit(3)",
    "top_loop": "while True: pass",
    "top_loop_assigned": "x = [0 for _ in iter(int, 1)]",
    "top_memory": "x = [0] * 10**10",
    "top_input": "name = input('who are you? ')",
    "top_segfault": "import ctypes\nx = ctypes.string_at(0)",
    "syntax": "def broken(:\n    pass",
    "null": "x = '\0'",
    "brackets": "x = " + "(" * 5000,
    "unclosed": "text = '''never closed",
    "colab": "from google.colab import drive, files\ndrive.mount('/content/drive')\nfiles.upload()",
    "colab_and_good": "import google.colab\nimport fractions\nhalf = fractions.Fraction(1, 2)",
    "magics": "%matplotlib inline\n!pip install -q something\nx = !ls\ny = %pwd\nconv_out?\n%cd /tmp",
    "cell_magic": "%%time\nx = 5",
    "bash": "%%bash\nls -l\nif [ -e x ]; then echo; fi",
    "form": '#@title A form\nn = 5 #@param {type:"slider", min:0, max:100}',
    "noise": "print('x' * 10**7)\nimport sys\nn = sys.stdout.write('{\"status\": \"value\"}\\n' * 1000)",
    "plots": "import matplotlib_is_not_here\nfor i in range(10**9):\n    pass",
    "patched": "import math, json\njson.loads = lambda *a: {}\nmath.isclose = lambda *a: True",
    "patched_builtins": "import builtins\nbuiltins.min = max\nbuiltins.len = lambda x: 3\nbuiltins.id = str",
    "surrogate": "x = '\ud800'",
    "future": "from __future__ import annotations\ndef typed(x: NotDefined) -> None: pass",
    "main_guard": "if __name__ == '__main__':\n    print('hello')",
}


MARK = "cnnlib_tests_hostile"


def processes():
    """Command lines of all processes that these students' code started, or that were started for it."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            found.append(path.read_bytes())
    return [line for line in found if f"{MARK}=1\0".encode() in line]


@pytest.fixture(scope="module")
def graded(folder, solved):
    for name, (code, _, _) in HOSTILE.items():
        folder.put(f"{name}.ipynb", solved(stem=code.replace("FOLDER", str(folder.path))))
    for name, code in HARMLESS.items():
        nb = solved()
        nb["cells"].insert(1, {"cell_type": "code", "source": code})
        folder.put(f"{name}.ipynb", nb)
    nb = solved()
    nb["cells"].insert(1, {"cell_type": "code", "source": FORGED_AT_LOAD})
    folder.put("forged_at_load.ipynb", nb)
    options = ("--isolation", DOOR, "--time", 1, "--memory", 0.25, "--seed", 3, "--jobs", 3)
    child = ("-X", f"{MARK}=1", *jail.CHILD)
    with pytest.MonkeyPatch.context() as patch:
        # A bomb goes on until this is over, at every probe, and once more alone.
        patch.setattr(jail.Limits, "wall", 5)
        patch.setattr(jail, "CHILD", child)
        assert folder.grade(*options) == 0
    return folder


def test_every_file_has_its_row(graded):
    assert sorted(graded.rows()) == sorted([*HOSTILE, *HARMLESS, "forged_at_load"])
    assert {row["status"] for row in graded.rows().values()} == {"graded"}


def test_no_process_is_left_of_the_whole_class(graded):
    end = time.monotonic() + 3
    while processes() and time.monotonic() < end:
        time.sleep(0.05)
    assert processes() == []


@pytest.mark.parametrize("name", HOSTILE)
def test_only_the_spoilt_answer_is_lost(graded, name):
    _, status, message = HOSTILE[name]
    row, result = graded.rows()[name], graded.results()[name]
    found = {e["name"]: e for e in result["exercises"]}
    assert row["stem status"] in status.split("|") and row["stem"] == "0"
    said = found["stem"]["probes"][0]["message"] + result["messages"][-len(found["stem"]["probes"])]
    assert any(piece in said for piece in message.split("|")), found["stem"]
    assert int(row["total"]) == 10
    assert {e["status"] for name, e in found.items() if name != "stem"} == {"ok"}


@pytest.mark.parametrize("name", HARMLESS)
def test_nothing_is_lost_by_what_stands_around_the_answers(graded, name):
    row = graded.rows()[name]
    assert row["total"] == "15", graded.results()[name]


def test_a_forged_answer_is_judged_like_any_other(graded):
    """It can only guess the hidden values; the true ones come too late to count."""
    assert graded.rows()["forged_at_load"]["total"] == "0"


def test_an_error_names_cell_and_line(graded):
    notes = {name: " ".join(graded.results()[name]["notes"]) for name in ("top_raise", "syntax", "colab")}
    assert "cell 2, line 1: ZeroDivisionError: division by zero" in notes["top_raise"]
    assert "cell 2, line 1: SyntaxError: invalid syntax; it is left out" in notes["syntax"]
    assert notes["colab"] == ""  # what only Colab has is no fault of a notebook


def test_tampering_is_shown_to_the_instructor(graded):
    rows = graded.rows()
    assert "stem: tampered" in rows["noise_on_every_channel"]["review"]
    assert rows["loop"]["review"] == ""
