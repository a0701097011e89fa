"""What `check` tells a student."""

import subprocess
import sys

import pytest

from cnnlib import check
from cnnlib.grading import practice


def said(capsys, code, name="conv_out"):
    """What check prints for answers defined by `code`."""
    exec(f"{code}\ncheck({name!r})", {"check": check, "__name__": "notebook"})
    return capsys.readouterr().out


RIGHT = """def conv_out(n, kernel, stride=1, pad=0, dilation=1):
    return (n + 2 * pad - dilation * (kernel - 1) - 1)//stride + 1"""
MACS = """def conv_macs(c_in, c_out, k, h, w, s=1, p=0, g=1):
    out = lambda n: (n + 2 * p - k) // s + 1
    return out(h) * out(w) * c_out * (c_in // g) * k * k"""


def test_ok_says_that_it_is_practice(capsys):
    assert (
        said(capsys, RIGHT) == "conv_out: ok, 7 of 7 tries are right. This exercise is for practice only.\n"
    )
    assert said(capsys, MACS, "conv_macs") == f"conv_macs: ok, 4 of 4 tries are right. {practice.PRACTICE}\n"


def test_a_wrong_value_brings_a_hint_and_not_the_answer(capsys):
    out = said(capsys, RIGHT.replace("//stride", "/stride"))
    assert out.startswith(
        "conv_out: failed. conv_out(n=25, kernel=2, stride=2) returns 12.5: the value is too large."
    )
    assert "Hint: A window that does not fit whole is dropped." in out
    assert "12\n" not in out and "is 12" not in out


@pytest.mark.parametrize("code", ["", "def conv_out(n, kernel, *rest):\n    raise NotImplementedError"])
def test_not_attempted(capsys, code):
    assert said(capsys, code).startswith("conv_out: not attempted")


def test_an_error_says_where_and_what(capsys):
    out = said(capsys, "def conv_out(n, kernel, *rest):\n    return 1 / 0")
    assert (
        out == "conv_out: error on conv_out(n=7, kernel=3, stride=2): ZeroDivisionError: division by zero\n"
    )
    assert said(capsys, "conv_out = 3").startswith("conv_out: error. conv_out is not a function")
    assert "SystemExit" in said(capsys, "def conv_out(*a):\n    raise SystemExit")


def test_other_types_are_named(capsys):
    assert "a number is needed, not None (is there a return?)" in said(capsys, "def conv_out(*a):\n    pass")
    assert "a number, a text or a list of them is needed, not set" in said(
        capsys, "def conv_out(*a):\n    return {1}"
    )
    assert said(
        capsys, f"import numpy as np\n{RIGHT}\nold = conv_out\nconv_out = lambda *a: np.int64(old(*a))"
    ).startswith("conv_out: ok")


def test_an_unknown_name_brings_near_ones(capsys):
    assert said(capsys, "", "conv_outs").startswith("There is no check 'conv_outs'. Did you mean 'conv_out'")
    assert "'receptive_field'" in said(capsys, "", "?")


def test_the_stem_says_what_is_amiss(capsys):
    constants = "SIDE = 64\nCHANNELS = 64\nSEES = 47\nMACS = 900\nPARAMS = 40000\n"
    patches = "def stem():\n    return [(64, 8, 8, 0)]"
    assert "First run the cell that sets SIDE" in said(capsys, patches, "stem")
    out = said(capsys, constants + patches, "stem")
    assert "sees 8 pixels, at least 47 are asked for" in out
    assert "The 2 before it came out right." in out
    assert "has a stride larger than its kernel" in said(
        capsys, constants + patches.replace("8, 8", "4, 8"), "stem"
    )


def test_check_needs_neither_torch_nor_ipython():
    code = (
        "import sys\nfrom cnnlib import check\n" + RIGHT + "\ncheck('conv_out')\n"
        "heavy = {'torch', 'numpy', 'IPython', 'jupytext', 'ipywidgets'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.startswith("conv_out: ok")
