"""Trained weights: found, fetched from a server on this machine, verified, and put in their places."""

import hashlib
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest
import torch
import torchvision
from torch import nn
from torchvision.models import get_model_weights
from twins import filled

import cnnlib
from cnnlib import datasets, resources
from cnnlib.models import weights


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *words):
        pass


@pytest.fixture
def home(tmp_path, monkeypatch):
    """An empty cache, where torchvision keeps its files."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    return tmp_path / "torch" / "hub" / "checkpoints"


@pytest.fixture
def server(tmp_path):
    """A folder, and its address on this machine."""
    (tmp_path / "served").mkdir()
    handler = partial(Quiet, directory=tmp_path / "served")
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as httpd:
        threading.Thread(target=httpd.serve_forever, daemon=True).start()
        yield tmp_path / "served", f"http://127.0.0.1:{httpd.server_port}"
        httpd.shutdown()


def publish(monkeypatch, server, name, label, state):
    """Serve a state dict as if it were torchvision's file."""
    folder, address = server
    torch.save(state, folder / "new")
    digest = hashlib.sha256((folder / "new").read_bytes()).hexdigest()[:8]
    file = (folder / "new").rename(folder / f"{name}-{digest}.pth")
    monkeypatch.setattr(get_model_weights(name)[label].value, "url", f"{address}/{file.name}")
    return file


def fresh(name, **options):
    torch.manual_seed(1)
    return torchvision.models.get_model(name, **options)


def test_public_weights_come_by_one_call_and_are_kept(home, server, monkeypatch):
    theirs = fresh("resnet18").eval()
    file = publish(monkeypatch, server, "resnet18", "IMAGENET1K_V1", theirs.state_dict())
    ours, x = cnnlib.build("resnet18", weights="IMAGENET1K_V1").eval(), torch.randn(1, 3, 64, 64)
    assert torch.equal(ours(x), theirs(x)) and [p.name for p in home.iterdir()] == [file.name]
    file.unlink()
    again = cnnlib.build(
        "resnet18", weights="DEFAULT"
    ).eval()  # from the cache, which torchvision reads as well
    assert torch.equal(again(x), theirs(x))
    assert torch.equal(torchvision.models.resnet18(weights="IMAGENET1K_V1").eval()(x), theirs(x))


def test_offline_it_says_which_file_to_put_where(home, monkeypatch):
    url = "http://127.0.0.1:9/resnet50-11ad3fa6.pth"  # nobody listens
    monkeypatch.setattr(get_model_weights("resnet50")["IMAGENET1K_V2"].value, "url", url)
    with pytest.raises(ValueError, match="could not be downloaded .*by other means and put it into") as told:
        cnnlib.build("resnet50", weights="IMAGENET1K_V2")
    assert url in str(told.value) and str(home) in str(told.value) and "\n" not in str(told.value)
    assert not list(home.iterdir())


def test_a_file_that_changed_on_its_way_is_not_kept(home, server, monkeypatch):
    file = publish(monkeypatch, server, "resnet18", "IMAGENET1K_V1", {"a": torch.zeros(3)})
    file.write_bytes(file.read_bytes()[:-5])
    with pytest.raises(ValueError, match="invalid hash value"):
        cnnlib.build("resnet18", weights="IMAGENET1K_V1")
    assert not list(home.iterdir())


def test_a_file_that_was_cut_short_in_the_cache_is_not_used(home, server, monkeypatch):
    file = publish(monkeypatch, server, "resnet18", "IMAGENET1K_V1", fresh("resnet18").state_dict())
    home.mkdir(parents=True)
    (home / file.name).write_bytes(file.read_bytes()[:1000])
    with pytest.raises(ValueError, match="is damaged: its SHA-256 begins with .* delete it and try again"):
        cnnlib.build("resnet18", weights="IMAGENET1K_V1")


def test_weights_of_another_network_do_not_fit(home, server, monkeypatch):
    publish(monkeypatch, server, "resnet18", "IMAGENET1K_V1", fresh("squeezenet1_1").state_dict())
    with pytest.raises(ValueError, match="do not fit this network: .*Missing key") as told:
        cnnlib.build("resnet18", weights="IMAGENET1K_V1")
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("aux", [False, True])
def test_googlenets_file_fits_with_and_without_its_heads(home, server, monkeypatch, aux):
    """torchvision's network rescales its input in secret once it has weights; ours gets the pixels prepared."""
    theirs = filled(fresh("googlenet", init_weights=False, transform_input=True)).eval()
    publish(monkeypatch, server, "googlenet", "IMAGENET1K_V1", theirs.state_dict())
    ours = cnnlib.build("googlenet", weights="IMAGENET1K_V1", aux=aux).eval()
    assert any(key.startswith("aux") for key in ours.state_dict()) == aux
    photo = datasets.photo("cat")
    found = cnnlib.models.find_weights("googlenet", "IMAGENET1K_V1")
    as_theirs = get_model_weights("googlenet")["DEFAULT"].transforms()(photo)
    with torch.no_grad():
        a, b, c = ours(found.transform(photo)[None]), theirs(as_theirs[None]), ours(as_theirs[None])
    assert torch.allclose(a, b, atol=1e-4) and not torch.allclose(c, b, atol=1e-2)


def test_the_old_names_in_densenets_file_are_read(home, server, monkeypatch):
    theirs = fresh("densenet121").eval()
    for old in ("norm", "conv"):
        assert f"features.denseblock1.denselayer1.{old}1.weight" in theirs.state_dict()
    dotted = {}
    for key, tensor in theirs.state_dict().items():
        if key.endswith("num_batches_tracked"):
            continue  # the file is older than that, too
        for kind in ("norm", "conv"):
            if "denselayer" in key:
                key = key.replace(f"{kind}1.", f"{kind}.1.").replace(f"{kind}2.", f"{kind}.2.")
        dotted[key] = tensor
    publish(monkeypatch, server, "densenet121", "IMAGENET1K_V1", dotted)
    ours, x = cnnlib.build("densenet121", weights="IMAGENET1K_V1").eval(), torch.randn(1, 3, 64, 64)
    assert torch.equal(ours(x), theirs(x))


# ---- which there are ----


def test_every_network_with_a_public_twin_has_its_weights():
    found = {name: weights.labels(cnnlib.models.public_name(name)) for name in cnnlib.list_models()}
    assert found["resnet50"] == ["IMAGENET1K_V1", "IMAGENET1K_V2"] and found["resnet50_v1"] == []
    assert found["squeezenet1_1"] == ["bundled", "IMAGENET1K_V1"] and found["shufflenet_v2"] == [
        "IMAGENET1K_V1"
    ]
    assert sum(map(bool, found.values())) == 33
    for name, labels in found.items():
        for label in labels:
            one = cnnlib.models.find_weights(name, label)
            assert one.label == label and len(one.classes) == 1000 and one.classes[967] == "espresso"


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("resnet50", {"weights": "V7"}, "weights='V7': resnet50 has IMAGENET1K_V1, IMAGENET1K_V2"),
        ("resnet50", {"weights": "bundled"}, "weights='bundled': resnet50 has IMAGENET1K_V1"),
        ("plain34", {"weights": "DEFAULT"}, "weights='DEFAULT': none are public for plain34"),
        (
            "squeezenet1_1",
            {"weights": "bundled", "num_classes": 10},
            "num_classes=10: weights='bundled' need 1000",
        ),
        (
            "squeezenet1_1",
            {"weights": "bundled", "in_channels": 1},
            "in_channels=1: weights='bundled' need 3",
        ),
    ],
)
def test_weights_that_there_are_not_are_refused_in_one_sentence(name, options, words):
    with pytest.raises(ValueError, match=words):
        cnnlib.build(name, **options)


# ---- what the course ships ----


def test_the_bundled_weights_fill_every_tensor_of_ours_and_torchvisions():
    ours, theirs = cnnlib.build("squeezenet1_1", weights="bundled").eval(), fresh("squeezenet1_1").eval()
    state = weights.find("squeezenet1_1", "bundled").tensors()
    assert list(ours.state_dict()) == list(theirs.state_dict()) and set(state) == set(theirs.state_dict())
    theirs.load_state_dict(state)
    x = torch.randn(1, 3, 100, 90)
    assert torch.equal(ours(x), theirs(x)) and ours.features[0].weight.dtype is torch.float32
    assert (resources.folder() / "squeezenet1_1_fp16.safetensors").stat().st_size < 2.6e6


def test_the_classes_are_torchvisions():
    assert (
        list(weights.find("squeezenet1_1", "bundled").classes)
        == get_model_weights("resnet50")["DEFAULT"].meta["categories"]
    )


def test_harmed_weights_are_not_used(tmp_path, monkeypatch):
    for name in ("SHA256SUMS", "imagenet_classes.txt", "squeezenet1_1_fp16.safetensors"):
        content = (resources.folder() / name).read_bytes()
        (tmp_path / name).write_bytes(content[:-7] if name.endswith("tensors") else content)
    monkeypatch.setattr(resources, "folder", lambda: tmp_path)
    with pytest.raises(ValueError, match="squeezenet1_1_fp16.safetensors in .* is damaged"):
        cnnlib.build("squeezenet1_1", weights="bundled")


def test_layers_of_ones_own_go_on_trained_ones():
    net = cnnlib.build("squeezenet1_1", weights="bundled")
    net.classifier[1] = nn.Conv2d(512, 3, 1)
    assert net(torch.randn(2, 3, 64, 64)).shape == (2, 3)
