"""The shipped network says what is in the shipped photos, right and wrong."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import v2

import cnnlib
from cnnlib import datasets, plot
from cnnlib.cli import commands
from cnnlib.insight.prediction import Prediction, classify, open_photo


@pytest.fixture(scope="module")
def told():
    rows = classify(datasets.PHOTOS)
    return {name: [row for row in rows if row.photo == name] for name in datasets.PHOTOS}


def test_an_espresso_is_an_espresso_and_a_cat_a_cat(told):
    assert (told["coffee"][0].label, told["coffee"][0].name) == (967, "espresso")
    assert told["coffee"][0].probability > 0.9
    assert {row.label for row in told["cat"][:3]} == {281, 282, 285}  # tabby, tiger cat, Egyptian cat


def test_it_is_sure_and_wrong_about_the_flower_and_the_astronaut(told):
    """There is neither class among the 1,000, and the softmax has to give its whole 1 to those there are."""
    for photo, name in (("flower", "brain coral"), ("astronaut", "barbell")):
        first, second = told[photo][:2]
        assert first.name == name and first.probability > 0.6 > 5 * second.probability


def test_rows_are_in_order_and_probabilities(told):
    for rows in told.values():
        chances = [row.probability for row in rows]
        assert len(rows) == 5 and chances == sorted(chances, reverse=True) and 0 < sum(chances) <= 1


def test_the_preprocessing_by_hand(told):
    """Resize to 256, middle 224 x 224, mean and deviation of ImageNet: written out with other functions."""
    net = cnnlib.build("squeezenet1_1", weights="bundled").eval()
    image = open_photo("temple")
    scale = 256 / min(image.size)
    image = image.resize([int(scale * side) for side in image.size], Image.Resampling.BILINEAR)
    left, top = ((side - 224) / 2 for side in image.size)
    pixels = v2.functional.pil_to_tensor(image.crop([round(n) for n in (left, top, left + 224, top + 224)]))
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    x = (pixels / 255 - mean[:, None, None]) / std[:, None, None]
    chances = net(x[None]).softmax(1)[0]
    for row in told["temple"]:
        assert chances[row.label].item() == pytest.approx(row.probability, abs=1e-4)


def test_a_file_is_turned_as_its_camera_says(tmp_path, told):
    upright = open_photo("coffee")
    lying = upright.transpose(Image.Transpose.ROTATE_90)
    orientation = Image.Exif()
    orientation[0x0112] = 6  # turn by 270 degrees to see it
    lying.save(tmp_path / "phone.png", exif=orientation)
    upright.convert("RGBA").save(tmp_path / "clear.png")
    for name in ("phone", "clear"):
        rows = classify([tmp_path / f"{name}.png"])
        assert [row[1:] for row in rows] == [row[1:] for row in told["coffee"]] and rows[0].photo == name


def test_what_is_no_photo_is_refused_in_one_sentence(tmp_path):
    (tmp_path / "notes.jpg").write_text("not an image")
    for photos, options, words in [
        (["dog.jpg"], {}, "no photo at dog.jpg: give a file, or .*astronaut, cameraman"),
        ([tmp_path / "notes.jpg"], {}, "notes.jpg cannot be read as an image"),
        (["cat"], {"best": 0}, "best=0: need 1 to 1000"),
        (["cat"], {"network": "plain34"}, "none are public for plain34"),
        (["cat"], {"network": "squeezenet2"}, "did you mean squeezenet"),
    ]:
        with pytest.raises(ValueError, match=words):
            classify(photos, **options)


def test_the_command_prints_five_bars_a_photo(capsys):
    assert commands.main(["classify", "coffee", "cat", "--top", "3"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if not line.startswith("  ")] == ["coffee", "cat"] and len(lines) == 8
    name, share, bar = lines[1].split()
    assert name == "espresso" and round(float(share.rstrip("%")) * 0.4) == len(bar) == bar.count("#")
    assert (
        commands.main(["classify", "nothing.png"]) == 2
        and "no photo at nothing.png" in capsys.readouterr().err
    )


def test_the_command_takes_a_network_with_public_weights(monkeypatch, capsys):
    seen = []
    monkeypatch.setattr(
        "cnnlib.insight.classify", lambda *args: seen.append(args) or [Prediction("cat", 1, "goldfish", 1.0)]
    )
    for words in (["resnet50"], ["resnet50", "--weights", "IMAGENET1K_V1"], ["squeezenet1_1"]):
        assert commands.main(["classify", "cat", "--network", *words]) == 0
    assert [args[1:3] for args in seen] == [
        ("resnet50", "DEFAULT"), ("resnet50", "IMAGENET1K_V1"), ("squeezenet1_1", "bundled")
    ]  # fmt: skip


def test_the_chart_has_a_bar_a_guess_of_its_length():
    rows = [
        Prediction("a", 1, "goldfish", 0.75),
        Prediction("a", 2, "tench", 0.25),
        Prediction("b", 3, "hen", 0.5),
    ]
    photos = {name: np.zeros((3, 8, 9), np.uint8) for name in "ab"}
    first, second = plot.predictions(rows, photos)
    behind, bars = first.patches[:2], first.patches[2:]
    assert [b.get_width() for b in bars] == [0.75, 0.25] and {b.get_width() for b in behind} == {1}
    assert {t.get_text() for t in first.texts} == {"goldfish", "75%", "tench", "25%"}
    assert len(second.texts) == 2
    with pytest.raises(ValueError, match="photos has a: need one for each of a, b"):
        plot.predictions(rows, {"a": photos["a"]})
    plt.close("all")
