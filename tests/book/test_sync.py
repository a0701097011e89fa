"""Text and notebook in step: `tools/sync_notebooks.py` goes by content and refuses bad cells."""

import os

import nbformat
import pytest
import sync_notebooks as sync
from book import REPOSITORY, SITE, sources, texts_of_notebooks


def read(path):
    return nbformat.read(path, as_version=4)


def test_every_notebook_is_what_its_text_says():
    assert sync.check(sorted({*sources(), *texts_of_notebooks()})) == 0


def test_a_notebook_is_made_and_kept_in_step(small_book):
    assert small_book.sync("--check").returncode == 1, "no notebook yet"
    made = small_book.sync()
    assert made.returncode == 0, made.stderr
    assert "tiny.ipynb: executed" in made.stdout
    assert small_book.sync("--check").returncode == 0

    first = small_book.notebook.read_bytes()
    assert "outputs kept" in small_book.sync().stdout
    assert small_book.notebook.read_bytes() == first, "a second run changes nothing"
    small_book.sync("--force")
    assert small_book.notebook.read_bytes() == first, "and to execute again neither"

    for older, newer in [(small_book.text, small_book.notebook), (small_book.notebook, small_book.text)]:
        os.utime(older, (1, 1))
        os.utime(newer, None)
        assert small_book.sync("--check").returncode == 0, "times of files mean nothing"

    small_book.text.write_text(small_book.text.read_text() + "\nOne more sentence.\n")
    drifted = small_book.sync("--check")
    assert drifted.returncode == 1
    assert "chapters/tiny.ipynb" in drifted.stdout
    assert "outputs kept" in small_book.sync().stdout
    assert "One more sentence." in read(small_book.notebook).cells[-1].source
    assert read(small_book.notebook).cells[2].outputs[0].text == "42\n"


def test_a_stale_output_is_found(synced_book):
    synced_book.text.write_text(synced_book.text.read_text().replace("6 * 7", "6 * 8"))
    notebook = read(synced_book.notebook)  # as jupytext --update leaves it: new code, old output
    notebook.cells[2].source = "print(6 * 8)"
    nbformat.write(notebook, synced_book.notebook)
    stale = synced_book.sync("--check")
    assert stale.returncode == 1
    assert "run from other code" in stale.stdout


def test_outputs_are_not_kept_under_other_cells(synced_book):
    notebook = read(synced_book.notebook)
    del notebook.cells[1]
    nbformat.write(notebook, synced_book.notebook)
    assert synced_book.sync("--check").returncode == 1
    assert "tiny.ipynb: executed" in synced_book.sync().stdout
    assert synced_book.sync("--check").returncode == 0


def test_a_changed_package_is_told_but_does_not_fail(synced_book):
    assert "warning" not in synced_book.sync("--check").stdout
    synced_book.write("cnnlib/shapes.py", "x = 1\n")
    told = synced_book.sync("--check")
    assert told.returncode == 0
    assert "cnnlib has changed since these were executed: tiny" in told.stdout


def test_a_notebook_without_a_text_is_found(synced_book):
    synced_book.text.rename(synced_book.text.with_name("renamed.md"))
    synced_book.sync()
    orphan = synced_book.sync("--check")
    assert orphan.returncode == 1
    assert "chapters/tiny.ipynb: there is no text" in orphan.stdout


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("1 / 0", "ZeroDivisionError"),
        ("import warnings\nwarnings.warn('old')", "stderr"),
        ("import os\nos._exit(3)", "died"),
    ],
    ids=["raises", "warns", "dies"],
)
def test_a_bad_cell_is_refused_and_the_notebook_left_alone(synced_book, code, told):
    before = synced_book.notebook.read_bytes()
    synced_book.text.write_text(synced_book.text.read_text() + f"\n```{{code-cell}} ipython3\n{code}\n```\n")
    refused = synced_book.sync()
    assert refused.returncode == 1
    assert "chapters/tiny.md: code cell 3" in refused.stderr
    assert told in refused.stderr
    assert synced_book.notebook.read_bytes() == before
    assert list(synced_book.notebook.parent.glob(".*")) == []


def test_a_sheet_gives_no_solution_away(small_book):
    sheet = (
        "\n```{code-cell} ipython3\n# cnnlib exercise tiny/1: f, graded\ndef f():\n    ### BEGIN SOLUTION\n"
        "    return 'the secret'\n    ### END SOLUTION\n```\n"
    )
    small_book.write("chapters/exercises/tiny.md", small_book.text.read_text() + sheet)
    made = small_book.sync()
    assert made.returncode == 0, made.stderr
    notebook = (small_book.root / "chapters" / "exercises" / "tiny.ipynb").read_text()
    assert "raise NotImplementedError" in notebook
    assert "secret" not in notebook
    assert small_book.sync("--check").returncode == 0


def test_private_folders_do_not_reach_the_notebook(small_book):
    small_book.text.write_text(small_book.text.read_text().replace("6 * 7", "__import__('os').getcwd()"))
    small_book.sync()
    assert read(small_book.notebook).cells[2].outputs[0].text == "chapters\n"


def test_the_install_cell_stands_after_the_first_text(synced_book):
    cell = read(synced_book.notebook).cells[1]
    assert cell.source.startswith("try:\n    import cnnlib\nexcept ImportError:\n")
    assert cell.source.endswith(f"%pip install -q git+{REPOSITORY}")
    assert cell.metadata.tags == ["hide-input"]


def test_links_lead_to_the_site(synced_book):
    text = read(synced_book.notebook).cells[0].source
    assert f"[other page]({SITE}pages/other.html#a-part)" in text
    assert f"[this]({SITE}chapters/tiny.html)" in text
    assert f"[its source]({REPOSITORY}/blob/main/cnnlib/shapes.py)" in text


UNCHANGED = [
    "[a](#here)",
    "[a](https://arxiv.org/abs/1)",
    "[a](mailto:a@b.c)",
    "![a](attachment:b.png)",
    "`[a](vgg.ipynb)`",
    "``a ` [a](vgg.ipynb)``",
    "```\n[a](vgg.ipynb)\n```",
    "a] (vgg.ipynb)",
]


@pytest.mark.parametrize(
    ("written", "leads_to"),
    [
        ("[a](vgg.ipynb)", f"[a]({SITE}chapters/vgg.html)"),
        ("[a](vgg.md#b)", f"[a]({SITE}chapters/vgg.html#b)"),
        ("[a](../index.md)", f"[a]({SITE}index.html)"),
        ("[a](exercises/vgg.ipynb)", f"[a]({SITE}chapters/exercises/vgg.html)"),
        ("[`f`](vgg.ipynb)", f"[`f`]({SITE}chapters/vgg.html)"),
        ("[a]: vgg.ipynb", f"[a]: {SITE}chapters/vgg.html"),
        *((same, same) for same in UNCHANGED),
    ],
)
def test_only_relative_links_change(written, leads_to):
    assert sync.with_absolute_links(written, "chapters") == leads_to
