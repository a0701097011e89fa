"""One notebook alone, in an empty folder and an environment without cnnlib, installs it and runs.

This is what Colab does. The clean environment sees torch and the rest of this one, but not cnnlib, since that
is installed here as a link to the working tree, which a further environment does not follow. The repository's
address leads to a copy of the working tree.
"""

import os
import shutil
import subprocess
import sys
import sysconfig
import venv

import nbformat
import pytest
import run_notebook
from book import REPOSITORY, ROOT, sources
from jupyter_client.kernelspec import KernelSpec

WHERE = "import cnnlib; print(cnnlib.__file__)"


def run(*command, **options):
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, check=False, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def copy_of_the_repository(folder):
    """A bare repository with one commit of all that git holds or would take up here."""
    work = folder / "work"
    for name in run("git", "-C", ROOT, "ls-files", "-co", "--exclude-standard").splitlines():
        if (ROOT / name).is_file():
            (work / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, work / name)
    git = ["git", "-C", work, "-c", "user.name=A", "-c", "user.email=a@example.org"]
    run("git", "init", "-q", work)
    run(*git, "add", "-A")
    run(*git, "commit", "-q", "-m", "The working tree")
    run("git", "clone", "-q", "--bare", work, folder / "bare.git")
    return folder / "bare.git"


@pytest.fixture
def clean_python(tmp_path, monkeypatch):
    """Python of a new environment, without cnnlib, for which the repository's address leads to the copy."""
    venv.create(tmp_path / "venv")  # pip and setuptools are those of the other packages
    python = next(path for path in (tmp_path / "venv").glob("*/python*") if path.stem == "python")
    where = run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip()
    with open(os.path.join(where, "packages-of-the-tests.pth"), "w", encoding="utf8") as file:
        file.write(sysconfig.get_path("purelib") + "\n")
    bare = copy_of_the_repository(tmp_path)
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", f"url.{bare.as_uri()}.insteadOf")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", REPOSITORY)
    monkeypatch.setenv("PIP_NO_INDEX", "1")  # all but cnnlib is there: nothing may be replaced or fetched
    monkeypatch.setenv("PIP_NO_BUILD_ISOLATION", "0")  # pip reads this as "no isolation"
    monkeypatch.delenv("PYTHONPATH", raising=False)
    return python


def versions(python):
    code = "import torch, numpy, torchvision as v; print(torch.__version__, numpy.__version__, v.__version__)"
    return run(python, "-c", code)


def smallest_notebook():
    """The one with the least code, so that this test costs seconds."""

    def code(path):
        cells = nbformat.read(path, as_version=4).cells
        return sum(len(cell.source) for cell in cells if cell.cell_type == "code")

    return min((source.with_suffix(".ipynb") for source in sources()), key=code)


def test_a_notebook_alone_installs_the_package_and_runs(clean_python, tmp_path, monkeypatch):
    missing = subprocess.run(
        [clean_python, "-c", "import cnnlib"], capture_output=True, check=False, cwd=tmp_path
    )
    assert missing.returncode == 1, "cnnlib is already there: this would test nothing"
    before = versions(clean_python)

    empty = tmp_path / "empty"
    empty.mkdir()
    notebook = nbformat.read(smallest_notebook(), as_version=4)
    argv = [str(clean_python), "-m", "ipykernel_launcher", "--log-level=40", "-f", "{connection_file}"]
    spec = KernelSpec(argv=argv, display_name="Clean", language="python")
    monkeypatch.setattr(run_notebook.ThisPython, "get_kernel_spec", lambda self, name: spec)
    client = run_notebook.Client(notebook, timeout=300, resources={"metadata": {"path": str(empty)}})
    client.execute()

    install_cell = next(cell for cell in notebook.cells if cell.cell_type == "code")
    found = subprocess.run(
        [clean_python, "-c", WHERE], capture_output=True, text=True, check=False, cwd=empty
    )
    assert str(tmp_path / "venv") in found.stdout, install_cell.outputs
    assert versions(clean_python) == before
    assert sys.executable != str(clean_python)
