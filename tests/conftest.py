"""Shared by all tests: the repository's folders, the tools on the path, skips that nobody can overlook."""

import os
import shutil
import sys
import time
from pathlib import Path

import pytest
from xdist.scheduler import LoadScopeScheduling

ROOT = Path(__file__).resolve().parents[1]
for folder in ("tools", "_ext", "tests/shared"):
    sys.path.insert(0, str(ROOT / folder))

import durations  # noqa: E402  (of the tools)
import warm_kernels  # noqa: E402

PLAN = durations.Plan.read()

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


# Time: `tools/durations.py` says what for


def pytest_configure():
    warm_kernels.use()


class ByUnit(LoadScopeScheduling):
    """Deals out units in the order of the tests."""

    def _split_scope(self, nodeid):
        return PLAN.unit(nodeid)


def pytest_xdist_make_scheduler(config, log):
    return ByUnit(config, log) if config.getoption("dist") == "loadfile" else None


@pytest.hookimpl(tryfirst=True)  # before tests are chosen by their marks
def pytest_collection_modifyitems(items):
    asked = {item.nodeid: getattr(item, "fixturenames", ()) for item in items}
    places = PLAN.places(asked)
    items.sort(key=lambda item: places[item.nodeid])
    for item in items:
        if PLAN.slow(item.nodeid, asked[item.nodeid]):
            item.add_marker("slow")


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(fixturedef, request):
    """Note the time of a fixture that tests share, which would else count as that of the first of them."""
    begun = time.perf_counter()
    try:
        return (yield)
    finally:
        if fixturedef.scope != "function" and fixturedef.baseid:
            name = f"{fixturedef.baseid}::{fixturedef.argname}"
            request._pyfuncitem.user_properties.append((name, time.perf_counter() - begun))


def pytest_terminal_summary(terminalreporter):
    reasons = [str(report.longrepr) for report in terminalreporter.stats.get("skipped", [])]
    missing = [reason.split(LOUD)[1].rstrip("')\n") for reason in reasons if LOUD in reason]
    for what in sorted(set(missing)):
        line = f"{missing.count(what)} tests did NOT run, for want of {what}"
        terminalreporter.write_line(line, red=True, bold=True)
