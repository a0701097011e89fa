"""The figure of the landing page is what its tool draws from the facts, and the facts are the engine's; its table asks
what the chapters ask."""

import importlib.util
import re
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


def questions(landing, titles):
    """Chapters whose title ends with another question than the landing page's table, or that have no row there."""
    asked = dict(re.findall(r"^\| \[[^]]+\]\(chapters/(\w+)\.ipynb\) \| ([^|]+) \|", landing, re.MULTILINE))
    wrong = {name for name in titles if name not in asked}
    for name, title in titles.items():
        _, colon, question = title.partition(": ")
        if colon and asked.get(name, "").lower() != question.lower():
            wrong.add(name)
    return wrong


def test_the_landing_page_asks_what_each_chapter_asks():
    titles = {
        path.stem: re.search(r"^# (.+)$", path.read_text(encoding="utf8"), re.MULTILINE)[1]
        for path in (ROOT / "chapters").glob("*.md")
    }
    landing = (ROOT / "index.md").read_text(encoding="utf8")
    assert questions(landing, titles) == set()
    assert questions(landing, titles | {"vgg": "VGG: how deep?", "nowhere": "None"}) == {"vgg", "nowhere"}
