"""A folder in ImageNet's layout, from the command line: trained by a paper's recipe, judged, resumed."""

import re

import pytest
import torch
from folders_made import COLOURS, make
from torchvision import models

import cnnlib
from cnnlib.cli import commands
from cnnlib.training import checkpoint, paper_recipes

FEW = ["--device", "cpu", "--workers", "0"]


@pytest.fixture(scope="module")
def imagenet(tmp_path_factory):
    root = tmp_path_factory.mktemp("imagenet")
    make(root / "train", count=3, side=70)
    make(root / "val", count=2, side=90)
    return root


def test_the_recipe_is_the_papers(imagenet):
    setup = paper_recipes.imagenet_2015(*cnnlib.images.train_and_val(imagenet), 224)
    recipe = setup.recipe
    assert (recipe.batch, recipe.momentum, recipe.decay, recipe.optimiser) == (256, 0.9, 1e-4, None)
    assert [recipe.lr(t) for t in (0, 0.3, 0.9)] == pytest.approx([0.1, 0.01, 0.001])
    assert setup.train_set.transform.keywords == {"min_side": 256, "max_side": 480, "size": 224}
    assert setup.valid_set.transform.keywords == {"short_side": 256, "size": 224}
    assert recipe.augment[0].func.__name__ == "_add_colour"
    assert setup.train_set.classes == setup.valid_set.classes == ("blue", "red")
    mean = setup.train_set.mean
    assert mean.shape == (3, 224, 224) and mean is setup.valid_set.mean
    colours = torch.tensor(list(COLOURS.values())).float().mean(0) / 255
    assert mean.mean((1, 2)).tolist() == pytest.approx(colours.tolist(), abs=0.02)
    centred = next(without_crops(setup).batches([torch.arange(6)], 0))[0]
    assert centred.mean(0).abs().max() < 1e-5  # the mean of every pixel is gone


def test_the_recipe_of_2021_is_torchvisions(imagenet):
    setup = paper_recipes.imagenet_2021(*cnnlib.images.train_and_val(imagenet), 224)
    recipe = setup.recipe
    assert (recipe.batch, recipe.momentum, recipe.decay, recipe.decay_norms) == (1024, 0.9, 2e-5, False)
    assert (recipe.label_smoothing, recipe.mixup, recipe.ema) == (0.1, 0.2, 0.99997)
    assert [recipe.lr(t) for t in (0, 2.5 / 600, 5 / 600, 1)] == pytest.approx([0, 0.25, 0.5, 0])
    assert setup.train_set.example().shape == (1, 3, 176, 176)
    assert setup.valid_set.example().shape == (1, 3, 224, 224)
    assert setup.valid_set.transform.keywords == {"short_side": 232, "size": 224}


def without_crops(setup):
    from dataclasses import replace

    return replace(setup.train_set, transform=setup.valid_set.transform)


def lines_of(capsys):
    return capsys.readouterr().out.splitlines()


def test_resnet50_trains_and_is_judged_from_end_to_end(imagenet, tmp_path, capsys):
    kept = str(tmp_path / "resnet50.pt")
    data = ["resnet50", "--data", str(imagenet), *FEW]
    short = ["--recipe", "imagenet-2015", "--epochs", "1", "--batch", "6", "--checkpoint", kept]
    assert commands.main(["train", *data, *short]) == 0
    (line,) = [line for line in lines_of(capsys) if line.startswith("epoch")]
    accuracy = re.search(r"test ([\d.]+%)", line)[1]
    assert commands.main(["evaluate", *data, "--weights", kept]) == 0
    state = checkpoint.load(kept)
    # The same mean image and the same crop as in training, or the loss would be another.
    loss = f"{state['rows'][0]['valid_loss']:.4f}"
    assert f"4 images  loss {loss}  top-1 {accuracy}  top-2 100.00%" in capsys.readouterr().out
    assert state["net"]["fc.weight"].shape == (2, 2048) and state["normalisation"]["mean"].shape == (
        3,
        224,
        224,
    )


def test_a_small_network_learns_a_folder_and_goes_on(imagenet, tmp_path, capsys):
    kept = str(tmp_path / "run.pt")
    words = [
        "train",
        "resnet20_cifar",
        "--data",
        str(imagenet),
        *FEW,
        "--recipe",
        "imagenet-2015",
        "--batch",
        "3",
    ]
    words += ["--checkpoint", kept, "--epochs", "6"]
    assert commands.main(words) == 0
    rows = [line for line in lines_of(capsys) if line.startswith("epoch")]
    assert len(rows) == 6 and "test 100.00%" in rows[-1]
    assert commands.main(words) == 0
    assert [line for line in lines_of(capsys) if line.startswith("epoch")] == rows
    assert commands.main([*words[:-1], "8"]) == 2
    assert "epochs was 6.0 and is 8.0" in capsys.readouterr().err


def test_public_weights_are_judged_as_they_expect(imagenet, tmp_path, capsys):
    """A state_dict with torchvision's names, its first two outputs kept, against torchvision's own forward pass."""
    net = models.resnet18(num_classes=2).eval()
    torch.save(net.state_dict(), tmp_path / "resnet18.pth")
    words = [
        "evaluate",
        "resnet18",
        "--data",
        str(imagenet),
        *FEW,
        "--weights",
        str(tmp_path / "resnet18.pth"),
    ]
    assert commands.main(words) == 0
    loss = float(re.search(r"loss ([\d.]+)", capsys.readouterr().out)[1])
    preset = models.ResNet18_Weights.IMAGENET1K_V1.transforms()
    files = cnnlib.images.image_folder(imagenet / "val")
    with torch.no_grad():
        logits = net(torch.stack([preset(files[i][0]) for i in range(len(files))]))
    expected = torch.nn.functional.cross_entropy(logits, torch.tensor(files.labels)).item()
    assert loss == pytest.approx(expected, abs=0.02)  # their resize smooths a little otherwise


def test_a_set_of_the_course_is_judged_too(monkeypatch, tmp_path, capsys):
    from cnnlib import datasets

    few = tuple(part.head(100) for part in datasets.mnist())
    monkeypatch.setattr(datasets, "mnist", lambda full, download: few)
    kept = str(tmp_path / "run.pt")
    data = ["lenet_small", "--data", "mnist", "--device", "cpu"]
    assert commands.main(["train", *data, "--epochs", "1", "--checkpoint", kept]) == 0
    accuracy = re.search(r"test ([\d.]+%)", capsys.readouterr().out)[1]
    assert commands.main(["evaluate", *data, "--weights", kept]) == 0
    assert "100 images" in (out := capsys.readouterr().out) and f"top-1 {accuracy}" in out


def test_an_unreadable_file_ends_a_command_or_is_skipped_and_counted(tmp_path, capsys):
    make(tmp_path / "train", count=3, side=70)
    make(tmp_path / "val", count=2, side=90)
    for part in ("train", "val"):
        (tmp_path / part / "blue" / "0.png").write_text("not an image")
    net = ["resnet20_cifar", "--data", str(tmp_path), *FEW]
    learn = ["train", *net, "--recipe", "imagenet-2015", "--batch", "4", "--epochs", "1"]
    judge = ["evaluate", *net, "--weights", str(tmp_path / "run.pt")]
    assert commands.main(learn) == 2
    assert "blue/0.png cannot be read as an image" in capsys.readouterr().err
    assert commands.main([*learn, "--skip-unreadable", "--checkpoint", str(tmp_path / "run.pt")]) == 0
    assert (
        capsys.readouterr().out.count("1 unreadable files skipped, such as") == 2
    )  # training and validation
    assert commands.main(judge) == 2
    assert "blue/0.png cannot be read as an image" in capsys.readouterr().err
    assert commands.main([*judge, "--skip-unreadable"]) == 0
    out = capsys.readouterr().out
    assert "1 unreadable files skipped" in out and "3 images  loss" in out


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["train", "resnet18", "--data", "{}"], "a folder needs --recipe"),
        (["train", "resnet18", "--data", "{}/nowhere", "--recipe", "imagenet-2015"], "is no folder"),
        (
            ["train", "resnet18", "--data", "mnist", "--recipe", "imagenet-2015"],
            "--recipe is for a folder of images",
        ),
        (
            ["train", "resnet18", "--data", "{}", "--recipe", "imagenet-2015", "--lr", "1"],
            "--lr is for a set of the course",
        ),
        (
            ["train", "resnet18", "--data", "{}", "--recipe", "imagenet-2015"],
            "batch=256: the training set has 6",
        ),
        (["evaluate", "resnet18", "--data", "{}", "--weights", "{}/no.pt"], "no.pt"),
    ],
)
def test_what_does_not_fit_together_is_told(imagenet, words, sentence, capsys):
    words = [word.format(imagenet) for word in words]
    assert commands.main([*words, *FEW]) == 2
    err = capsys.readouterr().err
    assert sentence in err and len(err.splitlines()) == 1


def test_weights_of_another_network_are_refused(imagenet, tmp_path, capsys):
    torch.save(models.resnet18(num_classes=3).state_dict(), tmp_path / "w.pth")
    words = ["--data", str(imagenet), *FEW, "--weights", str(tmp_path / "w.pth")]
    assert commands.main(["evaluate", "resnet18", *words]) == 2
    assert "does not fit resnet18 with 2 classes: size mismatch for fc.bias" in capsys.readouterr().err
