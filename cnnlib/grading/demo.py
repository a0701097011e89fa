"""``cnnlib grade --demo``: a class of twelve notebooks with what really comes in, right, wrong, broken and hostile."""

from __future__ import annotations

import copy
import json
import runpy
from pathlib import Path

from cnnlib.grading import source

SHEET = "cost"
WORDS = "fc6: it holds most of the parameters. I would lose accuracy, and no work to speak of."
LOOP = "def conv_macs(*a):\n    while True: pass"
STEM = "def stem():\n    return [(15, 3, 2, 1), (30, 3, 2, 1), (30, 3, 2, 1), (30, 3, 1, 1), (64, 3, 1, 1)]"
FORGER = """import os
def stem():
    for channel in range(3, 64):
        try: os.write(channel, b'{"status": "ok", "points": 100}')
        except OSError: pass"""


def make_demo(out: Path) -> tuple[Path, str]:
    """Write the class beside the table that will be made of it; its folder, and the name of its sheet."""
    text_path = source.find_text(SHEET)
    solved = json.loads(json.dumps(source.solved_notebook(text_path.read_text(encoding="utf-8"))))
    blank = json.loads(json.dumps(source.student_notebook(text_path.read_text(encoding="utf-8"))))
    wrong = runpy.run_path(str(text_path.parent / "answers" / f"{SHEET}.py"))["WRONG"]

    def notebook(**answers: str) -> str:
        """All solutions but some, and a written answer."""
        nb = copy.deepcopy(solved)
        for cell in nb["cells"]:
            cell["source"] = cell["source"].replace("*Write here.*", WORDS)
            for name, code in answers.items():
                if cell["cell_type"] == "code" and f"def {name}(" in cell["source"]:
                    cell["source"] = code
        return json.dumps(nb)

    def mistake(name: str, which: str) -> dict[str, str]:
        return {name: wrong[name][which].strip()}

    colab = json.loads(notebook())
    for cell in colab["cells"]:
        cell.pop("id", None)
        cell["metadata"] = {"id": "aB3dE", "colab": {"base_uri": "https://localhost:8080/"}}
    files = {
        "all-right.ipynb": notebook(),
        "Copy of from-colab.ipynb": json.dumps(colab),
        "blank.ipynb": json.dumps(blank),
        "counted-flops.ipynb": notebook(**mistake("conv_macs", "counted FLOPs")),
        "forgot-the-batch.ipynb": notebook(**mistake("peak_memory", "forgot the batch")),
        "ignored-strides.ipynb": notebook(**mistake("receptive_field", "ignored the strides")),
        "cut-into-patches.ipynb": notebook(**mistake("stem", "cut the image into patches")),
        "endless-loop.ipynb": notebook(conv_macs=LOOP, stem=STEM),
        "syntax-error.ipynb": notebook(peak_memory="def peak_memory(maps, batch=1:\n    return 5"),
        "renamed.ipynb": notebook(receptive_field="def receptivefield(layers):\n    return 1"),
        "forger.ipynb": notebook(stem=FORGER),
        "a-report.ipynb": "%PDF-1.7 a report, renamed",
    }
    folder = out.with_name(f"{out.stem}-class")
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_text(content, encoding="utf-8")
    return folder, str(text_path)
