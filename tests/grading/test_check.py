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
    assert out == "conv_out: error on conv_out(7, 3, 2): ZeroDivisionError: division by zero\n"
    assert said(capsys, "conv_out = 3").startswith("conv_out: error. conv_out is not a function")
    assert "SystemExit" in said(capsys, "def conv_out(*a):\n    raise SystemExit")


def test_a_call_is_shown_with_the_names_that_the_student_chose(capsys):
    renamed = "def conv_out(size, k, s=1, p=0, d=1):\n    return size"
    assert "conv_out(size=7, k=3, s=2) returns 7: " in said(capsys, renamed)
    assert "conv_out(7, 3, 2) returns 7: " in said(capsys, "conv_out = lambda *a: a[0]")


def test_a_call_shows_what_the_function_got_and_gave_and_nothing_of_the_check(capsys):
    """Tensors as they can be typed, large ones and objects by their kind; no value that the check made itself."""
    code = "def batch_norm(x, g, b, m, v, training, eps):\n    return x, m, v"
    out = said(capsys, code, "batch_norm")
    assert "batch_norm(x=torch.tensor([[[[1.0]]], [[[3.0]]]]), g=torch.tensor([1.0])" in out
    assert "training=True, eps=0.0)" in out and "what" not in out
    out = said(capsys, "def fit(net, pictures, y):\n    pass", "fit")
    assert "fit(net=<Sequential>, pictures=<tensor 256×1×8×8>, y=<tensor 256>)" in out
    out = said(
        capsys, "from torch import nn\ndef make_block(a, b, s):\n    return nn.Conv2d(a, b, 1)", "make_block"
    )
    assert "make_block(a=2, b=3, s=2): " in out


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
    assert "receptive field is 8 pixels wide, at least 47 are asked for" in out
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
