"""Which code of a notebook counts: an answer is found whatever stands around it in its cell."""

import pytest
from solving import opened

from cnnlib.grading import jail, supervise
from cnnlib.grading.jail import Limits
from cnnlib.grading.sheet import load

SEVEN = "def conv_macs(*a): return 7"
AROUND = {
    "after an error": f"x = 1 / 0\n{SEVEN}",
    "after an import that fails": f"import google.colab, nowhere\nfrom google.colab import drive\n{SEVEN}",
    "beside an import that fails": "import google.colab\nimport fractions\n"
    "def conv_macs(*a): return fractions.Fraction(7).numerator",
    "beside what only Colab has": "from google.colab import drive, files\nfrom google.colab.patches import cv2_imshow\n"
    f"uploaded = files.upload()\n{SEVEN}",
    "after calls that are skipped": f"drive.mount('/content/drive')\nprint(undefined)\n{SEVEN}",
    "after leaving": f"import sys\nx = sys.exit()\ny = exit()\nz = quit()\nsys.exit()\n{SEVEN}",
    "after shell lines": f"!pip install -q torch\n%matplotlib inline\nfiles = !ls\n{SEVEN}",
    "in a cell that is timed": f"%%time\n{SEVEN}",
    "in a cell whose output is kept": f"\n%%capture out\n%%time\n\n{SEVEN}",
    "below a form": '#@title A form\nN = 7 #@param {type:"integer"}\ndef conv_macs(*a): return N',
    "without imports": "def conv_macs(*a): return math.isqrt(49)",
    "under a condition": f"if True:\n    {SEVEN}",
    "in a try": f"try:\n    import nowhere\nexcept ImportError:\n    {SEVEN}",
    "below hundreds of magics": "%matplotlib inline\n" * 600 + SEVEN,
    "below hundreds of shell lines": "!pip install -q 'torch' (\n" * 600 + SEVEN,
    "below a shell line in two": f"!pip install torch \\\n    numpy\n{SEVEN}",
    "with annotations from the future": "from __future__ import annotations\n"
    "def conv_macs(a: Nowhere, *b: Nothing | 5) -> Never: return 7",
    "in a with": f"import contextlib\nwith contextlib.suppress(ImportError):\n    {SEVEN}",
    "showing things": "def conv_macs(*a):\n    display(a)\n    return 7",
    "as a lambda": "conv_macs = lambda *a: 7",
    "decorated": f"import functools\n@functools.lru_cache\n{SEVEN}",
}


def asked(sheet, cells, exercise, draws):
    """The outcomes of one exercise for some draws, each a probe of its own."""
    questions = [supervise.Question(exercise, [draw]) for draw in draws]
    return supervise.run(sheet, cells, questions, Limits(5, 1.0), jail.no_jail)


@pytest.mark.parametrize("name", AROUND)
def test_an_answer_counts_whatever_stands_around_it(name):
    run = asked(load("cost"), [(1, AROUND[name])], "conv_macs", [{"x": 1}])
    assert [(o.status, o.value) for o in run.outcomes] == [("value", [7])], run


def test_what_other_cell_magics_hold_is_no_answer():
    """It is a script of another language, or a file, and never was a function of the notebook."""
    cells = [(1, f"%%writefile answer.py\n{SEVEN}"), (2, f"%%bash\npython -c '{SEVEN}'")]
    run = asked(load("cost"), cells, "conv_macs", [{"x": 1}])
    assert run.outcomes[0].status == "missing"


@pytest.mark.parametrize("head", ["%%time\n", "\n\n%%capture\n\n", "", "!ls\n\n"])
def test_an_error_has_its_line_in_the_student_s_cell(head):
    source = f"{head}def conv_macs(*a):\n    return 1 / 0"
    run = asked(load("cost"), [(4, source)], "conv_macs", [{"x": 1}])
    assert run.outcomes[0].message == (
        f"ZeroDivisionError: division by zero, cell 4, line {source.count(chr(10)) + 1}"
    )


def test_torch_has_its_usual_names_when_the_cell_of_imports_is_gone():
    lenet = opened("lenet")
    draw = lenet.sheet.exercise("subsample").practice[0].inputs
    code = (
        "def subsample(x, weight, bias):\n"
        "    return F.relu(nn.Identity()(torch.zeros(math.isqrt(4)) - 1))"
    )  # fmt: skip
    run = asked(lenet.sheet, [(1, code)], "subsample", [draw])
    assert run.outcomes[0].status == "value" and run.outcomes[0].value[0].tolist() == [0, 0]


STATE = """
import builtins, math
calls = []
def conv_macs(*a):
    calls.append(a)
    seen = len(calls), math.isqrt(49)
    math.isqrt = lambda n: 0
    builtins.len = lambda x: 99
    return seen"""


def test_nothing_passes_from_one_probe_to_the_next():
    """Neither a list that grows nor a function of Python that was replaced."""
    run = asked(load("cost"), [(1, STATE)], "conv_macs", [{"x": 1}] * 3)
    assert [o.value for o in run.outcomes] == [[[1, 7]]] * 3


def test_torch_can_be_imported_on_a_sheet_that_does_not_give_it():
    """In the process of a probe it does not fit below the limit of memory, and the answer would be lost."""
    code = "import torch\ndef conv_macs(*a): return int(torch.ones(7).sum())"
    questions = [supervise.Question("conv_macs", [{"x": 1}])]
    run = supervise.run(load("cost"), [(1, code)], questions, Limits(10, 0.5), jail.no_jail)
    assert [(o.status, o.value) for o in run.outcomes] == [("value", [7])], run
