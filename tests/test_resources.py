"""Progress bars, which outputs that are kept do not hold, and the pinned instruction set."""

import os
import subprocess
import sys

import pytest

from cnnlib.resources import pinned, progress_bar

# tqdm takes a process with this module for a notebook's kernel.
KERNEL = "import IPython, sys, types; sys.modules['ipykernel.zmqshell'] = types.ModuleType('kernel')\n"
COUNT = "from cnnlib.resources import progress_bar\nassert list(progress_bar(range(3), delay=0)) == [0, 1, 2]"


@pytest.mark.parametrize("start", ["", KERNEL], ids=["script", "kernel without ipywidgets"])
def test_an_output_that_is_kept_holds_no_bar_and_no_warning(start):
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", start + COUNT], capture_output=True, text=True
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def shown(monkeypatch, capsys, **options):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    list(progress_bar(range(3), desc="epoch 1/3", **options))
    return capsys.readouterr().err


def test_somebody_who_watches_sees_a_bar(monkeypatch, capsys):
    monkeypatch.delenv("TQDM_DISABLE", raising=False)
    assert "epoch 1/3" in shown(monkeypatch, capsys, delay=0)


def test_what_is_done_within_a_second_needs_no_bar(monkeypatch, capsys):
    monkeypatch.delenv("TQDM_DISABLE", raising=False)
    assert "epoch 1/3" not in shown(monkeypatch, capsys)


def test_the_environment_turns_all_bars_off(monkeypatch, capsys):
    """Also where the bar would be shown: executed notebooks may have ipywidgets."""
    monkeypatch.setenv("TQDM_DISABLE", "1")
    assert shown(monkeypatch, capsys, delay=0) == ""


def test_pinned_variables_hold_torch_to_one_instruction_set():
    code = "import torch; print(torch.backends.cpu.get_cpu_capability())"
    told = {**os.environ, **pinned()}
    said = subprocess.run(
        [sys.executable, "-c", code], env=told, capture_output=True, text=True, check=True
    ).stdout
    assert said.split() == ["AVX2"] or not pinned()
