"""The figure of the landing page is what its tool draws from the facts, and the facts are the engine's."""

import importlib.util
from pathlib import Path

import torch
import torchvision

import cnnlib

ROOT = Path(__file__).resolve().parents[2]


def tool():
    spec = importlib.util.spec_from_file_location("landing_figure", ROOT / "tools/landing_figure.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_disc_is_labelled_and_costs_what_the_engine_says():
    drawn = (ROOT / "_assets/landing.svg").read_text(encoding="utf8")
    for label, fact in tool().rows():
        assert f">{label}<" in drawn
        quiet = {"init_weights": False, "aux_logits": False} if fact["name"] == "googlenet" else {}
        with torch.device("meta"):
            cost = cnnlib.trace(torchvision.models.get_model(fact["name"], **quiet), (3, 224, 224))
        assert (cost.macs, cost.params) == (fact["macs"], fact["params"])
