"""`tools/env.py` installs once, and again only when a requirement changed."""

import re
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

    (project / "requirements-none.txt").write_text("./no-such-folder\n")
    for _ in "once", "again":
        failed = install(project)
        assert failed.returncode != 0, "a failed installation is not taken for done"
        assert "could not install" in failed.stderr


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


def test_every_make_target_that_is_named_exists():
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf8"), re.M))
    assert {"book", "test", "run"} <= targets
    named = [
        ROOT / "README.md",
        ROOT / "CONTRIBUTING.md",
        ROOT / ".ci" / "run",
        *ROOT.glob(".github/workflows/*.yml"),
    ]
    for file in named:
        text = file.read_text(encoding="utf8")
        commands = re.findall(r"(?:^|`|run: )make ([a-z]+)", text, re.M)
        assert commands, file.name
        assert set(commands) <= targets, file.name
