"""`tools/env.py` installs once, and again only when a requirement changed."""

import subprocess
import sys

import pytest
from book import ROOT


@pytest.fixture
def project(tmp_path):
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools" / "env.py").write_bytes((ROOT / "tools" / "env.py").read_bytes())
    (tmp_path / "pyproject.toml").write_text("[project]\n")
    (tmp_path / "requirements-none.txt").write_text("# nothing\n")
    return tmp_path


def install(project):
    command = [
        sys.executable,
        str(project / "tools" / "env.py"),
        str(project / "env"),
        "requirements-none.txt",
    ]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_it_installs_once_and_again_after_a_change(project):
    first = install(project)
    assert first.returncode == 0, first.stderr
    assert "Making" in first.stdout and "Installing" in first.stdout
    assert install(project).stdout == ""
    (project / "pyproject.toml").write_text("[project]\n# changed\n")
    changed = install(project).stdout
    assert "Making" not in changed and "Installing" in changed
    assert install(project).stdout == ""


def test_a_failed_installation_is_not_taken_for_done(project):
    (project / "requirements-none.txt").write_text("./no-such-folder\n")
    assert install(project).returncode != 0
    again = install(project)
    assert again.returncode != 0
    assert "could not install" in again.stderr


def test_the_site_needs_no_torch():
    text = (ROOT / "requirements-site.txt").read_text(encoding="utf8")
    assert "torch" not in "".join(line.partition("#")[0] for line in text.splitlines())
    assert "jupyter-book==1." in text


def test_nothing_caps_torch_or_numpy():
    text = "".join(
        (ROOT / name).read_text(encoding="utf8") for name in ("requirements.txt", "pyproject.toml")
    )
    assert not [
        line
        for line in text.splitlines()
        for name in ("torch", "numpy")
        if f"{name}=" in line or f"{name}<" in line
    ]
