"""The command line, called as a person would."""

import subprocess
import sys

import pytest

from cnnlib import datasets, resources
from cnnlib.cli import commands
from cnnlib.training.recipe import Diverged


def test_help_and_grading_need_no_torch():
    code = (
        "import sys\nfrom cnnlib import cli\n"
        "for words in (['--help'], ['grade', '--help']):\n"
        "    try: cli.main(words)\n    except SystemExit: pass\n"
        "assert not {'torch', 'numpy'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert all(
        word in done.stdout for word in ("costs", "train", "evaluate", "run", "doctor", "grade", "exercise")
    )


def test_costs_prints_the_table(capsys):
    assert commands.main(["costs", "lenet_lecture"]) == 0
    assert "1,256,080" in capsys.readouterr().out
    assert commands.main(["costs", "alexnet", "--input", "3x227x227", "--batch", "2"]) == 0
    assert "1,433,534,464" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["costs", "lenet9"], "cnnlib: no network is called 'lenet9': did you mean lenet5"),
        (["costs", "alexnet", "--input", "3x20x20"], "need images of at least 63 pixels a side"),
        (["train", "lenet_small", "--data", "mnist", "--epochs", "0"], "epochs=0"),
        (["train", "lenet_small", "--data", "mnist", "--device", "abacus"], "device='abacus'"),
        (["run", "nothing"], "no experiment is called 'nothing'"),
    ],
)
def test_an_error_is_one_sentence_and_exit_code_2(words, told, capsys):
    assert commands.main(words) == 2
    err = capsys.readouterr().err
    assert err.startswith("cnnlib: ") and told in err and len(err.splitlines()) == 1


def test_a_wrong_shape_is_told_by_the_parser(capsys):
    with pytest.raises(SystemExit):
        commands.main(["costs", "alexnet", "--input", "big"])
    assert "such as 3x224x224" in capsys.readouterr().err


def test_training_prints_a_line_an_epoch(monkeypatch, capsys):
    few = tuple(part.head(200) for part in datasets.mnist())
    monkeypatch.setattr(datasets, "mnist", lambda full, download: few)
    assert commands.main(["train", "lenet_small", "--data", "mnist", "--epochs", "2", "--device", "cpu"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "device: cpu" and [line[:9] for line in lines[1:]] == ["epoch 1/2", "epoch 2/2"]


def test_stopping_and_diverging_end_in_a_line(monkeypatch, capsys):
    def stops(args):
        raise KeyboardInterrupt

    def explodes(args):
        raise Diverged("the loss is nan")

    for command, code, word in ((stops, 130, "stopped"), (explodes, 2, "the loss is nan")):
        monkeypatch.setattr(commands, "doctor", command)
        assert commands.main(["doctor"]) == code
        assert word in capsys.readouterr().err


def test_the_doctor_finds_what_is_missing(monkeypatch, capsys):
    assert commands.main(["doctor"]) == 0
    assert "the shipped files are whole" in capsys.readouterr().out
    monkeypatch.setattr(resources, "damaged", lambda: ["mnist_5k.npz is missing"])
    assert commands.main(["doctor"]) == 1
    assert "BAD mnist_5k.npz is missing" in capsys.readouterr().out


def test_it_runs_as_a_module():
    done = subprocess.run([sys.executable, "-m", "cnnlib", "costs", "lenet9"], capture_output=True, text=True)
    assert done.returncode == 2 and done.stderr.startswith("cnnlib: no network is called")


def test_a_reader_who_has_enough_is_no_error():
    command = [sys.executable, "-m", "cnnlib", "costs", "lenet5"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        running.stdout.close()
        assert running.stderr.read() == "" and running.wait() == 0
