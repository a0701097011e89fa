"""The command line, called as a person would."""

import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

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


TRAIN = ["train", "lenet_small", "--data", "mnist"]
EVALUATE = ["evaluate", "lenet_small", "--data", "mnist", "--weights", "w.pt"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([*TRAIN, "--lr", "0"], "argument --lr: '0': need a number above 0"),
        ([*TRAIN, "--lr", "-1"], "argument --lr: '-1'"),
        ([*TRAIN, "--lr", "nan"], "argument --lr: 'nan'"),
        ([*TRAIN, "--lr", "inf"], "argument --lr: 'inf'"),
        ([*TRAIN, "--epochs", "0"], "argument --epochs: '0'"),
        ([*TRAIN, "--batch", "0"], "argument --batch: '0': need a whole number of at least 1"),
        ([*TRAIN, "--seed", "-1"], "argument --seed: '-1'"),
        ([*TRAIN, "--seed", str(2**64)], "and at most 9,223,372,036,854,775,807"),
        ([*TRAIN, "--pad", "0"], "argument --pad: '0'"),
        ([*TRAIN, "--workers", "-1"], "argument --workers: '-1'"),
        ([*EVALUATE, "--batch", "0"], "argument --batch: '0'"),
        (["classify", "cat", "--top", "0"], "argument --top: '0'"),
        (["run", "lenet", "--jobs", "0"], "argument --jobs: '0'"),
        (["nothing"], "argument command: invalid choice: 'nothing'"),
    ],
)
def test_a_number_that_makes_no_sense_is_told_by_the_parser(words, told, capsys):
    with pytest.raises(SystemExit) as ended:
        commands.main(words)
    err = capsys.readouterr().err
    assert ended.value.code == 2 and told in err and err.startswith("cnnlib: ") and len(err.splitlines()) == 1


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([*TRAIN, "--workers", "2"], "--workers is for a folder of images"),
        ([*TRAIN, "--skip-unreadable"], "--skip-unreadable is for a folder"),
        ([*TRAIN, "--recipe", "imagenet-2015"], "--recipe is for a folder"),
        (["train", "lenet_small", "--data", ".", "--full"], "--full is for a set of the course"),
        (["train", "lenet_small", "--data", ".", "--download"], "--download is for a set"),
        (
            ["train", "lenet_small", "--data", ".", "--recipe", "imagenet-2015", "--lr", "1"],
            "--lr is for a set",
        ),
        (["train", "lenet_small", "--data", ".", "--pad", "2"], "--pad is for a set"),
        (["train", "lenet_small", "--data", "cifar10", "--full"], "cifar10 is always the full set"),
        ([*EVALUATE, "--skip-unreadable"], "--skip-unreadable is for a folder"),
    ],
)
def test_an_option_that_would_be_ignored_is_refused(words, told, capsys):
    assert commands.main(words) == 2
    err = capsys.readouterr().err
    assert told in err and len(err.splitlines()) == 1


def test_a_set_that_is_not_here_names_the_option(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("CNNLIB_DATA", str(tmp_path))
    assert commands.main(["train", "lenet_small", "--data", "cifar10"]) == 2
    err = capsys.readouterr().err
    assert "or add --download" in err and "download=True" not in err


def test_lenet5_takes_digits_with_a_border(monkeypatch, tmp_path, capsys):
    few = tuple(part.head(100) for part in datasets.mnist())
    monkeypatch.setattr(datasets, "mnist", lambda full, download: few)
    kept = str(tmp_path / "run.pt")
    words = ["lenet5", "--data", "mnist", "--device", "cpu", "--pad", "2"]
    assert commands.main(["train", *words, "--epochs", "1", "--checkpoint", kept]) == 0
    assert commands.main(["evaluate", *words, "--weights", kept]) == 0
    assert "100 images" in capsys.readouterr().out
    assert commands.main(["evaluate", *words[:-2], "--weights", kept]) == 2
    assert "28×28" in capsys.readouterr().err


def test_weights_are_not_judged_on_images_of_other_classes(monkeypatch, tmp_path, capsys):
    """Labels are positions: without a word they would give an accuracy of nothing."""
    for name in ("mnist", "fashion_mnist"):
        few = tuple(part.head(100) for part in getattr(datasets, name)())
        monkeypatch.setattr(datasets, name, lambda full, download, few=few: few)
    kept = str(tmp_path / "run.pt")
    words = ["lenet_small", "--device", "cpu", "--data"]
    assert commands.main(["train", *words, "mnist", "--epochs", "1", "--checkpoint", kept]) == 0
    assert commands.main(["evaluate", *words, "fashion_mnist", "--weights", kept]) == 2
    assert (
        "10 classes, such as '0', and fashion_mnist has 10, such as 'T-shirt/top'" in capsys.readouterr().err
    )
    assert commands.main(["evaluate", "squeezenet1_1", *words[1:], "mnist", "--weights", "bundled"]) == 2
    assert "bundled knows 1000 classes, such as 'tench'" in capsys.readouterr().err


def test_public_weights_are_judged_on_a_folder_of_some_classes(tmp_path, capsys):
    (tmp_path / "espresso").mkdir()
    (tmp_path / "espresso" / "cup.jpg").write_bytes(resources.read("photos/coffee.jpg"))
    words = ["evaluate", "squeezenet1_1", "--weights", "bundled", "--data", str(tmp_path), "--device", "cpu"]
    assert commands.main([*words, "--workers", "0"]) == 0
    assert "1 images" in (out := capsys.readouterr().out) and "top-1 100.00%" in out
    (tmp_path / "espresso").rename(tmp_path / "n07920052")
    assert commands.main([*words, "--workers", "0"]) == 0
    assert "top-1 100.00%" in capsys.readouterr().out
    (tmp_path / "n07920052").rename(tmp_path / "mug")
    assert commands.main([*words, "--workers", "0"]) == 2
    assert "has a folder 'mug', which is no class" in capsys.readouterr().err


def test_a_photo_over_the_limit_of_pixels_is_told(tmp_path, monkeypatch, capsys):
    (tmp_path / "large.jpg").write_bytes(resources.read("photos/coffee.jpg"))
    for limit in (1000, 90_000):  # PIL raises, or warns
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
        assert commands.main(["classify", str(tmp_path / "large.jpg")]) == 2
        err = capsys.readouterr().err
        assert "large.jpg cannot be read as an image" in err and len(err.splitlines()) == 1


def test_what_the_system_refuses_is_one_sentence(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(commands, "doctor", lambda args: len((tmp_path / "roster.csv").read_text()))
    assert commands.main(["doctor"]) == 2
    assert capsys.readouterr().err.endswith(
        "roster.csv cannot be read or written: No such file or directory\n"
    )
    monkeypatch.setattr(commands, "doctor", lambda args: len(tmp_path.read_text()))
    assert commands.main(["doctor"]) == 2
    assert "cannot be read or written: Is a directory" in capsys.readouterr().err


def in_shell(line):
    """Exit code of the first program, and what it said on standard error."""
    words = f"{sys.executable} -m cnnlib {line}; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", words], capture_output=True, text=True, check=False)
    return done.returncode, done.stderr


def test_a_full_disk_behind_the_output_is_told():
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full")
    assert in_shell("costs lenet5 > /dev/full") == (
        2, "cnnlib: the output cannot be read or written: No space left on device\n",
    )  # fmt: skip


def test_a_training_that_nobody_reads_does_not_end_as_if_all_were_well():
    code, err = in_shell("train lenet_small --data mnist --epochs 3 --device cpu | head -n 1")
    assert (
        code == 2 and err.startswith("cnnlib: nobody reads the lines any more") and len(err.splitlines()) == 1
    )


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
