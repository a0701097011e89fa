"""The committed notebooks: run from top to bottom, plain for every reader, and checked by something."""

import copy

import nbformat
import pytest
from book import ROOT, sources
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from notebook_faults import compared, faults

NOTEBOOKS = [source.with_suffix(".ipynb") for source in sources()]


def read(path):
    return nbformat.read(path, as_version=4)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_notebook_has_no_fault(path):
    assert faults(read(path)) == []


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_valid_and_opens_with_its_title(path):
    notebook = read(path)
    nbformat.validate(notebook)
    assert notebook.cells[0].source.startswith("# ")


def test_outputs_are_compared():
    cells = [cell for path in NOTEBOOKS for cell in read(path).cells if cell.cell_type == "code"]
    assert len(cells) >= 2 * len(NOTEBOOKS) > 0
    assert sum(map(compared, cells)) >= len(NOTEBOOKS)


def good_notebook():
    picture = new_output("display_data", {"image/png": "AAAA"})
    picture.metadata = {"image/png": {"alt": "A line that rises"}}
    number = new_output("stream", name="stdout", text="1\n")
    cells = [
        new_markdown_cell("# Title\n\nSome `code`, $x^2$ and [a link](https://example.org)."),
        new_code_cell("print(1)", execution_count=1, outputs=[number]),
        new_code_cell("plt.show()", execution_count=2, outputs=[picture], metadata={"tags": ["hide-input"]}),
    ]
    return new_notebook(cells=cells, metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}})


def test_a_good_notebook_passes():
    assert faults(good_notebook()) == []


def other_kernel(nb):
    nb.metadata.kernelspec.name = "my-env"


def unexecuted(nb):
    for cell in nb.cells[1:]:
        cell.execution_count, cell.outputs = None, []


def out_of_order(nb):
    nb.cells[1].execution_count = 7


def error_output(nb):
    nb.cells[1].outputs = [new_output("error", ename="NameError", evalue="x", traceback=[])]


def stderr(nb):
    nb.cells[1].outputs[0].name = "stderr"


def private_path(nb):
    nb.cells[1].outputs[0].text = "saved in /home/somebody/x.pt"


def no_alt(nb):
    nb.cells[2].outputs[0].metadata = {}


def file_name_as_alt(nb):
    nb.cells[2].outputs[0].metadata["image/png"]["alt"] = "plot-1.png"


def img_without_alt(nb):
    nb.cells[1].outputs = [new_output("display_data", {"text/html": "<img src='x'>"})]


def long_line(nb):
    nb.cells[1].source = "x = " + "1" * 76


def long_cell(nb):
    nb.cells[1].source = "\n".join(["x = 1"] * 13)


def unknown_tag(nb):
    nb.cells[1].metadata["tags"] = ["hide_input"]


def semicolon(nb):
    nb.cells[1].source = "ax.plot(x);"


def solution(nb):
    nb.cells[1].source = "### BEGIN SOLUTION\nprint(1)\n### END SOLUTION"


def directive(nb):
    nb.cells[0].source += "\n\n```{note}\nWords.\n```"


def colon_fence(nb):
    nb.cells[0].source += "\n\n:::{note}\nWords.\n:::"


def role(nb):
    nb.cells[0].source += " See {ref}`here`."


def label(nb):
    nb.cells[0].source += "\n\n(here)=\n## Here"


def labelled_formula(nb):
    nb.cells[0].source += "\n\n$$ x $$ (eq-x)"


def macro(nb):
    nb.cells[0].source += "\n\n$\\newcommand{\\R}{R} \\R$"


def relative_image(nb):
    nb.cells[0].source += "\n\n![A cat on a mat](images/cat.png)"


def image_without_alt(nb):
    nb.cells[0].source += "\n\n![](attachment:cat.png)"


def only_pictures(nb):
    nb.cells[1].outputs = []


def all_ignored(nb):
    nb.cells[1].metadata["tags"] = ["nbval-ignore-output"]


PLANTED = [
    *(other_kernel, unexecuted, out_of_order, error_output, stderr, private_path, no_alt, file_name_as_alt),
    *(
        img_without_alt,
        long_line,
        long_cell,
        unknown_tag,
        semicolon,
        solution,
        directive,
        colon_fence,
        role,
        label,
    ),
    *(labelled_formula, macro, relative_image, image_without_alt, only_pictures, all_ignored),
]


@pytest.mark.parametrize("plant", PLANTED, ids=lambda plant: plant.__name__)
def test_each_fault_is_found(plant):
    notebook = copy.deepcopy(good_notebook())
    plant(notebook)
    assert faults(notebook)
