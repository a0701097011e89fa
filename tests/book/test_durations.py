"""Durations of tests: which are slow, in what order they go, what is kept of a run."""

from types import SimpleNamespace

import pytest
from durations import Durations, Plan

KEPT = {
    "files": {"tests/a/test_long.py": 90.0, "tests/a/test_mid.py": 5.0, "chapters/x.ipynb": 20.0},
    "fixtures": {"tests/b::site": 20.0, "tests/a/test_mid.py::graded": 50.0},
    "tests": {"tests/a/test_long.py::t[net: one]": 60.0, "tests/a/test_long.py::t[other]": 30.0},
}
ASKED = {
    "tests/a/test_new.py::t": (),
    "tests/b/test_site.py::t": ("site",),
    "chapters/x.ipynb::Cell 0": (),
    "tests/a/test_long.py::t[other]": (),
    "tests/a/test_long.py::t[net: one]": (),
    "tests/a/test_long.py::t[net: two]": (),
    "tests/a/test_mid.py::t": ("graded",),
    "tests/b/test_z.py::t": ("site",),
}


def test_the_longest_goes_first_and_what_all_wait_for_before_it():
    places = Plan(KEPT).places(ASKED)
    assert [test.partition("::")[0] for test in sorted(places, key=places.get)] == [
        *("tests/b/test_site.py", "tests/a/test_long.py", "tests/a/test_long.py", "tests/a/test_mid.py"),
        *("tests/a/test_long.py", "chapters/x.ipynb", "tests/a/test_new.py", "tests/b/test_z.py"),
    ]


def test_only_a_long_file_is_dealt_out_in_pieces():
    plan = Plan(KEPT)
    assert plan.unit("tests/a/test_long.py::t[net: two]") == "tests/a/test_long.py[net]"
    assert plan.unit("tests/a/test_long.py::other") == "tests/a/test_long.py"
    assert plan.unit("tests/a/test_mid.py::t[net]") == "tests/a/test_mid.py"


@pytest.mark.parametrize(
    ("test", "asked", "slow"),
    [
        ("tests/a/test_long.py::t[other]", (), True),
        ("tests/a/test_long.py::t[net: two]", (), False),
        ("tests/a/test_mid.py::t", ("graded",), True),
        ("tests/a/test_new.py::t", ("graded",), False),  # a fixture of another file
        ("tests/b/test_z.py::t", ("site",), True),
    ],
)
def test_a_test_is_slow_by_itself_or_by_what_it_shares(test, asked, slow):
    assert Plan(KEPT).slow(test, asked) is slow


def measured(**seconds):
    """Durations after a run in which each file of one test took these seconds, a tenth of them in a shared fixture."""
    durations = Durations()
    for name, time in seconds.items():
        for when, part, shared in (("setup", 0.1, []), ("call", 0.9, []), ("teardown", 0, [time / 10])):
            fixtures = [(f"tests/{name}.py::made", time) for time in shared]
            durations.pytest_runtest_logreport(
                SimpleNamespace(
                    nodeid=f"tests/{name}.py::t", when=when, duration=time * part, user_properties=fixtures
                )
            )
    return durations


def test_a_shared_fixture_is_not_the_first_test_s():
    kept = measured(a=10).kept(Plan({}))
    assert kept["tests"] == {"tests/a.py::t": 9.0} and kept["fixtures"] == {"tests/a.py::made": 1.0}


def test_times_are_kept_until_they_double_whatever_the_machine():
    before = measured(a=10, b=20, c=30, d=4, f=8).kept(Plan({}))
    faster = measured(a=4, b=8, c=12, d=1.6, f=3.2)
    assert faster.kept(Plan(before)) == before
    new = measured(a=14, b=20, c=70, d=0.1, e=2, f=8).kept(Plan(before))["files"]
    assert new == {
        "tests/a.py": 9.0,
        "tests/b.py": 18.0,
        "tests/c.py": 63.0,
        "tests/e.py": 1.8,
        "tests/f.py": 7.2,
    }
