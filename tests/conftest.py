"""Shared by all tests: the repository's folders, the tools on the path, skips that nobody can overlook."""

import os
import shutil
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
for folder in ("tools", "_ext", "tests/shared"):
    sys.path.insert(0, str(ROOT / folder))

IN_CI = os.environ.get("CI", "").lower() in ("1", "true")
LOUD = "NOT CHECKED: "


def absent(what):
    """Skip, since `what` is missing on this machine, or fail where everything has to be there (CI=true)."""
    if IN_CI:
        pytest.fail(f"CI must have {what}.", pytrace=False)
    pytest.skip(LOUD + what)


@pytest.fixture(scope="session")
def chromium():
    """The path of a Chromium: $CHROMIUM, or the first usual name found."""
    names = [os.environ.get("CHROMIUM", ""), "chromium", "chromium-browser", "google-chrome", "chrome"]
    mac = "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"
    found = next(filter(None, map(shutil.which, [*filter(None, names), mac])), None)
    return found or absent("a Chromium browser (install one, or set CHROMIUM to its path)")


@pytest.fixture(scope="session")
def compiler():
    """The path of a C++ compiler, which torch.compile calls."""
    found = next(filter(None, map(shutil.which, ("g++", "c++", "clang++"))), None)
    return found or absent("a C++ compiler (install g++)")


def pytest_terminal_summary(terminalreporter):
    reasons = [str(report.longrepr) for report in terminalreporter.stats.get("skipped", [])]
    missing = [reason.split(LOUD)[1].rstrip("')\n") for reason in reasons if LOUD in reason]
    for what in sorted(set(missing)):
        line = f"{missing.count(what)} tests did NOT run, for want of {what}"
        terminalreporter.write_line(line, red=True, bold=True)
