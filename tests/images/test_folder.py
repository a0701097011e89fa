"""Images in folders: read as they lie, streamed by workers, refused in a sentence."""

import multiprocessing
import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch
from folders_made import COLOURS, make
from PIL import Image
from torch import nn
from torchvision import transforms
from toys import row_values

from cnnlib.images import preprocessing
from cnnlib.images.folders import image_folder, open_image, train_and_val
from cnnlib.images.stream import Stream
from cnnlib.training import loop
from cnnlib.training.evaluation import evaluate, predict, seeded
from cnnlib.training.loop import train
from cnnlib.training.recipe import PiecewiseLinear, Recipe


def net():
    with seeded(0):
        return nn.Sequential(
            nn.Conv2d(3, 4, 3),
            nn.BatchNorm2d(4),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(4, 2),
        )


RECIPE = Recipe(3, PiecewiseLinear((0, 1), (0.1, 0.01)), 4)


def stream(root, transform=None, workers=0, **settings):
    files = image_folder(root)
    return Stream(
        files, files.classes, transform or preprocessing.random_scale_crop(34, 40, 32), workers, **settings
    )


def test_labels_follow_the_alphabet_and_files_their_names(tmp_path):
    files = image_folder(make(tmp_path))
    assert files.classes == ("blue", "red") and files.labels == [0] * 6 + [1] * 6
    image, label = files[11]
    assert image.mode == "RGB" and image.size == (50, 45) and label == 1
    assert np.array(image).mean((0, 1)) == pytest.approx(COLOURS["red"], abs=8)


def test_the_centre_is_the_centre_and_nothing_is_random():
    picture = Image.fromarray(np.arange(40 * 60 * 3, dtype=np.uint8).reshape(40, 60, 3))
    x = preprocessing.centre_crop(40, 32)(picture, None)
    assert torch.equal(x, torch.from_numpy(np.array(picture)[4:36, 14:46]).permute(2, 0, 1) / 255)
    assert preprocessing.centre_crop(20, 16)(picture, None).shape == (3, 16, 16)


def test_a_random_crop_has_its_size_scales_and_flips():
    ramp = Image.fromarray(np.tile(np.linspace(0, 255, 100, dtype=np.uint8)[None, :, None], (60, 1, 3)))
    transform, slopes, signs = preprocessing.random_scale_crop(32, 64, 32), set(), set()
    for seed in range(60):
        x = transform(ramp, torch.Generator().manual_seed(seed))
        assert x.shape == (3, 32, 32) and x.dtype == torch.float32 and 0 <= x.min() <= x.max() <= 1
        slope = float(x[0, 16, 31] - x[0, 16, 0])
        signs.add(slope > 0)
        slopes.add(round(abs(slope), 2))
    assert signs == {True, False}
    # At scale s the ramp of 100/60 s pixels has 31 steps in the crop: from 31/106 of it to 31/53.
    assert min(slopes) == pytest.approx(31 / 106, abs=0.04) and max(slopes) == pytest.approx(
        31 / 53, abs=0.04
    )
    with pytest.raises(ValueError, match="need size <= min_side <= max_side"):
        preprocessing.random_scale_crop(16, 64, 32)
    with pytest.raises(ValueError, match="need size <= short_side"):
        preprocessing.centre_crop(16, 32)


def test_a_stream_learns_and_workers_change_nothing(tmp_path):
    data = make(tmp_path)
    one, two = net(), net()
    rows = list(train(one, stream(data), stream(data, preprocessing.centre_crop(34, 32)), RECIPE))
    assert rows[-1].valid_acc == 1 and rows[-1].train_loss < rows[0].train_loss
    again = train(
        two, stream(data, workers=2), stream(data, preprocessing.centre_crop(34, 32), workers=1), RECIPE
    )
    assert row_values(again) == row_values(rows) and torch.equal(one[0].weight, two[0].weight)


def test_a_stream_resumes_with_the_same_views(tmp_path):
    data, path = make(tmp_path / "data"), tmp_path / "run.pt"
    one, two = net(), net()
    rows = row_values(train(one, stream(data), stream(data), RECIPE))
    for _ in train(net(), stream(data), stream(data), RECIPE, checkpoint=path):
        break
    assert row_values(train(two, stream(data), stream(data), RECIPE, checkpoint=path)) == rows
    assert torch.equal(one[0].weight, two[0].weight)


def test_a_stream_goes_on_within_an_epoch(tmp_path, monkeypatch):
    """With dropout, which draws from the numbers of the run."""
    data, path, seen = stream(make(tmp_path / "data")), tmp_path / "run.pt", []

    def dropping():
        return nn.Sequential(nn.Dropout(0.2), *net())

    def change(x, generator):
        seen.append(len(x))
        if len(seen) == 9 + 5:  # the second step of the second epoch, after a run of nine
            raise KeyboardInterrupt
        return x

    recipe, nets = replace(RECIPE, augment=(change,)), [dropping(), dropping()]
    rows = row_values(train(nets[0], data, data, recipe))
    monkeypatch.setattr(loop, "SAVE_INTERVAL", -1)
    with pytest.raises(KeyboardInterrupt):
        list(train(dropping(), data, data, recipe, checkpoint=path))
    assert row_values(train(nets[1], data, data, recipe, checkpoint=path)) == rows
    assert torch.equal(nets[0][1].weight, nets[1][1].weight)


def test_views_differ_from_epoch_to_epoch_and_image_to_image(tmp_path):
    data = stream(make(tmp_path))
    (one, _), (two, _) = (next(data.batches([torch.arange(12)], seed)) for seed in (0, 1))
    assert not torch.equal(one, two)
    assert torch.equal(one, next(data.batches([torch.arange(12)], 0))[0])
    assert torch.equal(one[7], next(data.batches([torch.tensor([7])], 0))[0][0])  # whatever is beside it


def test_mean_and_spread_are_taken_off(tmp_path):
    root = make(tmp_path)
    mean, std = torch.rand(3, 32, 32), torch.tensor([0.2, 0.3, 0.4])[:, None, None]
    plain, shifted = stream(root), stream(root, mean=mean, std=std)
    assert torch.allclose(shifted.example(), (plain.example() - mean) / std)


def test_predictions_come_in_the_order_of_the_files(tmp_path):
    data, one = stream(make(tmp_path), preprocessing.centre_crop(34, 32)), net()
    whole = predict(one, data, batch=5)
    assert torch.allclose(
        whole[9:10], predict(one, Stream([data.dataset[9]], "ab", data.transform)), atol=1e-5
    )
    loss, acc = evaluate(one, data, batch=5)
    labels = torch.tensor(data.dataset.labels)
    assert loss == pytest.approx(nn.functional.cross_entropy(whole, labels).item(), abs=1e-6)
    assert acc == pytest.approx((whole.argmax(1) == labels).float().mean().item())


def test_workers_stay_from_epoch_to_epoch_whatever_is_left_unread(tmp_path):
    data, plain = (stream(make(tmp_path / str(n)), workers=n) for n in (2, 0))
    parts = list(torch.arange(12).split(3))
    next(data.batches(parts, 0))  # three batches are never asked for
    there = {child.pid for child in multiprocessing.active_children()}
    for seed in (1, 2):
        for (x, y), (x0, y0) in zip(data.batches(parts, seed), plain.batches(parts, seed), strict=True):
            assert torch.equal(x, x0) and torch.equal(y, y0)
    assert there and {child.pid for child in multiprocessing.active_children()} == there


def test_transforms_of_torchvision_follow_the_seed_and_not_the_workers(tmp_path):
    changes = transforms.Compose(
        [transforms.RandomResizedCrop(16), transforms.RandAugment(), transforms.ToTensor()]
    )
    one, two = (stream(make(tmp_path / str(n)), preprocessing.from_torchvision(changes), n) for n in (0, 2))
    parts = [torch.arange(6), torch.arange(6, 12)]
    torch.manual_seed(1)
    first = torch.cat([x for x, _ in one.batches(parts, 5)])
    drawn = torch.rand(3)
    assert torch.equal(first, torch.cat([x for x, _ in two.batches(parts[::-1], 5)]).roll(6, 0))
    assert not torch.equal(first, torch.cat([x for x, _ in one.batches(parts, 6)]))
    torch.manual_seed(1)
    assert torch.equal(drawn, torch.rand(3))  # the caller's own numbers are left alone


def test_all_that_goes_to_a_worker_can_be_sent(tmp_path):
    data = stream(make(tmp_path), workers=1)
    next(data.batches([torch.tensor([0])], 0))  # with a worker that stays here
    there = pickle.loads(pickle.dumps(data))
    assert torch.equal(there.example(), data.example())


def broken(root):
    make(root)
    whole = (root / "red" / "3.JPEG").read_bytes()
    (root / "red" / "3.JPEG").write_bytes(whole[: len(whole) // 2])
    (root / "blue" / "notes.txt").write_text("not an image, and no matter")
    (root / "blue" / "0.png").write_text("not an image")
    return root


@pytest.mark.parametrize("workers", [0, 1])
def test_an_unreadable_file_is_named(tmp_path, workers):
    data = stream(broken(tmp_path), workers=workers)
    with pytest.raises(ValueError, match=r"(3\.JPEG|0\.png) cannot be read as an image") as caught:
        list(train(net(), replace(data, dataset=data.dataset), data, replace(RECIPE, batch=12)))
    assert len(str(caught.value).splitlines()) == 1


def test_an_unreadable_validation_image_is_found_before_the_first_epoch(tmp_path):
    data, bad, seen = stream(make(tmp_path / "good")), stream(broken(tmp_path / "bad")), []
    recipe = replace(RECIPE, augment=(lambda x, generator: seen.append(x) or x,))
    with pytest.raises(ValueError, match=r"0\.png cannot be read as an image"):
        list(train(net(), data, bad, recipe))
    assert not seen


def test_a_mean_image_of_another_size_is_told(tmp_path):
    with pytest.raises(ValueError, match="the mean is of 3×24×24 and the images of 3×32×32"):
        stream(make(tmp_path), mean=torch.zeros(3, 24, 24)).example()


def test_a_data_set_without_a_digest_is_known_by_a_sample(tmp_path):
    files = image_folder(make(tmp_path))
    one, two, three = (
        Stream(list(files), files.classes, preprocessing.centre_crop(34, 32)).fingerprint() for _ in range(3)
    )
    other = [(image.rotate(90), label) for image, label in files]
    assert one == two == three
    assert Stream(other, files.classes, preprocessing.centre_crop(34, 32)).fingerprint() != one


@pytest.mark.parametrize("names", [("great_white_shark", "tench"), ("n01440764", "n01484850")])
def test_folders_of_some_classes_get_the_labels_of_the_weights(tmp_path, names):
    files = image_folder(make(tmp_path, count=1, classes=dict(zip(names, COLOURS.values(), strict=True))))
    classes, ids = ("tench", "goldfish", "great white shark"), ("n01440764", "n01443537", "n01484850")
    known = files.labelled_as(classes, ids)
    assert known.classes == classes and known.labels == ([2, 0] if names[1] == "tench" else [0, 2])


def test_numbered_folders_are_classes_if_all_are_there(tmp_path):
    files = image_folder(make(tmp_path, count=1, classes={str(i): (i, i, i) for i in range(11)}))
    known = files.labelled_as([f"class {i}" for i in range(11)])
    assert known.labels == [0, 1, 10, 2, 3, 4, 5, 6, 7, 8, 9]
    with pytest.raises(ValueError, match="has a folder '0', which is no class"):
        files.labelled_as([f"class {i}" for i in range(1000)])


@pytest.mark.parametrize("classes", [("blue", "green"), ("red", "blue", "red")])
def test_folders_that_are_no_class_of_the_weights_are_named(tmp_path, classes):
    with pytest.raises(ValueError, match="has a folder 'red', which is no class that the weights know"):
        image_folder(make(tmp_path, count=1)).labelled_as(classes)


def test_unreadable_files_are_skipped_on_request_and_counted(tmp_path):
    files = image_folder(broken(tmp_path), skip_unreadable=True)
    assert len(files) == 10 and [name.rpartition("/")[2] for name in files.skipped] == ["0.png", "3.JPEG"]
    assert "2 unreadable files skipped" in repr(files)


def empty_class(root):
    make(root)
    for path in (root / "red").iterdir():
        path.unlink()
    return root


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (lambda p: image_folder(p / "nowhere"), "nowhere is no folder"),
        (lambda p: image_folder(p), "has no folders"),
        (lambda p: image_folder(empty_class(p)), r"red holds no image"),
        (
            lambda p: image_folder(make(p), classes=("blue", "green", "red")),
            "no folder for 1 of the classes, such as 'green'",
        ),
        (lambda p: image_folder(make(p), classes=("blue",)), "1 folders that are no class, such as 'red'"),
        (
            lambda p: train(net(), replace(stream(make(p)), dataset=[]), stream(p), RECIPE),
            "train_set is empty",
        ),
        (
            lambda p: train(net(), stream(make(p)), stream(p), replace(RECIPE, batch=13)),
            "training set has 12 images",
        ),
        (
            lambda p: train(nn.Sequential(*net()[:5], nn.Linear(4, 1)), stream(make(p)), stream(p), RECIPE),
            "labels up to 1",
        ),
        (
            lambda p: list(train(net(), replace(stream(make(p)), classes="a"), stream(p), RECIPE)),
            "has label 1: need 0 to 0",
        ),
        (
            lambda p: list(train(net(), stream(make(p), as_it_is), stream(p), RECIPE)),
            r"in one batch: the transform must give one",
        ),
    ],
)
def test_what_cannot_be_read_is_refused_in_one_sentence(tmp_path, bad, words):
    with pytest.raises(ValueError, match=words) as caught:
        bad(tmp_path)
    assert len(str(caught.value).splitlines()) == 1


def as_it_is(image, generator):
    return torch.from_numpy(np.array(image)).permute(2, 0, 1) / 255


def test_one_image_of_each_class_is_enough_to_train(tmp_path):
    data = stream(make(tmp_path, count=1))
    assert len(list(train(net(), data, data, Recipe(1, batch=2)))) == 1


# ---- folders as people have them ----


@pytest.mark.parametrize("content", ["nothing", "an image"])
def test_a_hidden_folder_is_no_class_and_moves_no_label(tmp_path, content):
    make(tmp_path, count=2)
    for name in (".ipynb_checkpoints", "__MACOSX"):
        (tmp_path / name).mkdir()
        if content == "an image":
            (tmp_path / name / "0.png").write_bytes((tmp_path / "red" / "0.png").read_bytes())
    (tmp_path / "red" / "._0.png").write_bytes(b"what macOS leaves beside a file")
    files = image_folder(tmp_path)
    assert files.classes == ("blue", "red") and files.labels == [0, 0, 1, 1] and not files.ignored


def test_folders_within_a_class_belong_to_it(tmp_path):
    make(tmp_path, count=2)
    (tmp_path / "red" / "images" / "2019").mkdir(parents=True)
    (tmp_path / "red" / "0.png").rename(tmp_path / "red" / "images" / "2019" / "0.png")
    files = image_folder(tmp_path)
    assert files.labels == [0, 0, 1, 1] and files.files[3].endswith("images/2019/0.png")


@pytest.mark.parametrize("ending", [".tif", ".TIFF", ".gif", ".pgm", ".jfif"])
def test_other_endings_of_images_are_read(tmp_path, ending):
    make(tmp_path, count=1)
    path = tmp_path / "red" / f"more{ending}"
    kind = "JPEG" if ending == ".jfif" else None
    Image.new("L" if ending == ".pgm" else "RGB", (40, 40), "white").save(path, kind)
    image, label = image_folder(tmp_path)[2]
    assert label == 1 and image.mode == "RGB" and np.array(image).min() > 250


def test_files_that_are_no_images_are_named(tmp_path):
    make(tmp_path, count=1)
    for place in ("red/notes.txt", "readme.md", "blue/photo.heic"):
        (tmp_path / place).write_text("?")
    files = image_folder(tmp_path)
    assert len(files) == 2 and [path.rpartition("/")[2] for path in files.ignored] == [
        "photo.heic", "readme.md", "notes.txt",
    ]  # fmt: skip
    assert "3 files ignored that are no images, such as" in repr(files)
    (tmp_path / "blue" / "0.png").unlink()
    with pytest.raises(ValueError, match=r"blue holds no image, only other files, such as .*photo\.heic"):
        image_folder(tmp_path)


def tiny_imagenet(root):
    """Its layout: train/CLASS/images/*, CLASS_boxes.txt; val/images/* and a table."""
    make(root / "train", count=2)
    for name in COLOURS:
        (root / "train" / name / "images").mkdir()
        for path in [*(root / "train" / name).glob("*.*")]:
            path.rename(path.parent / "images" / path.name)
        (root / "train" / name / f"{name}_boxes.txt").write_text("0.png\t0\t0\t62\t62\n")
    (root / "val" / "images").mkdir(parents=True)
    lines = []
    for i, name in enumerate(("red", "blue", "red")):
        Image.new("RGB", (64, 64), COLOURS[name]).save(root / "val" / "images" / f"val_{i}.JPEG")
        lines.append(f"val_{i}.JPEG\t{name}\t0\t32\t44\t62\n")
    (root / "val" / "val_annotations.txt").write_text("".join(lines))
    return root


def test_tiny_imagenet_is_read_as_it_comes(tmp_path):
    train_set, val = train_and_val(tiny_imagenet(tmp_path))
    assert train_set.classes == val.classes == ("blue", "red") and train_set.labels == [0, 0, 1, 1]
    assert val.labels == [0, 1, 1] and np.array(val[0][0]).mean((0, 1)) == pytest.approx(
        COLOURS["blue"], abs=3
    )
    assert len(train_set.ignored) == 2 and not val.ignored
    (tmp_path / "val" / "images" / "val_3.JPEG").write_bytes(b"")
    with pytest.raises(ValueError, match=r"do not agree on .*val_3\.JPEG"):
        image_folder(tmp_path / "val")


@pytest.mark.parametrize("ending", ["png", "tif"])
def test_greys_of_16_bits_are_scaled_and_not_cut_off(tmp_path, ending):
    ramp = np.linspace(0, 65535, 40 * 40).round().astype(np.uint16).reshape(40, 40)
    Image.fromarray(ramp).save(tmp_path / f"grey.{ending}")
    seen = np.array(open_image(tmp_path / f"grey.{ending}"))
    assert seen.shape == (40, 40, 3) and np.abs(seen[..., 0] - ramp / 257).max() <= 0.5
    with Image.open(tmp_path / f"grey.{ending}") as image:  # as a dataset of torchvision's hands it out
        x = preprocessing.centre_crop(40, 40)(image, None)
    assert (x[0] - torch.from_numpy(ramp / 65535)).abs().max() <= 0.5 / 255 + 1e-6


def test_greys_without_a_fixed_white_are_refused(tmp_path):
    Image.fromarray(np.full((8, 8), 0.5, np.float32)).save(tmp_path / "grey.tif")
    with pytest.raises(ValueError, match=r"grey\.tif cannot be read as an image \(its greys are floats"):
        open_image(tmp_path / "grey.tif")


def test_a_digest_tells_sets_apart_and_not_places(tmp_path):
    one, two = (image_folder(make(tmp_path / name)) for name in ("one", "two"))
    assert one.digest() == two.digest()
    swap = [tmp_path / "two" / "red" / name for name in ("0.png", "2.png")]
    contents = [path.read_bytes() for path in swap]
    for path, content in zip(swap, reversed(contents), strict=True):
        path.write_bytes(content)
    assert image_folder(tmp_path / "two").digest() != one.digest()
    flat = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    for name, image in zip(("three", "four"), flat, strict=True):  # equal names, sizes and labels
        (tmp_path / name / "a").mkdir(parents=True)
        image.save(tmp_path / name / "a" / "0.bmp")
    assert image_folder(tmp_path / "three").digest() != image_folder(tmp_path / "four").digest()
