"""How long tests take: measured in every run, kept in tests/durations.json, and put to use in the next.

The longest go first, so that no worker is left alone with one at the end, and `make check` leaves the slow ones out.
A whole run that passes keeps what it measured, so nobody has to keep a list.
"""

import json
import math
import re
import statistics
from collections import Counter

from book import ROOT

RECORD = ROOT / "tests" / "durations.json"
SLOW = 0.5  # seconds of a test, of a fixture that tests share, or of a file; shorter ones are not kept
LONG = 30.0  # seconds of a file, fixtures aside, from which on its parameters are dealt out one by one


def file_of(name):
    return name.partition("::")[0]


class Plan:
    """What the kept times of tests, shared fixtures and files mean for a run."""

    def __init__(self, kept):
        self.tests, self.fixtures, self.files = (
            kept.get(kind, {}) for kind in ("tests", "fixtures", "files")
        )

    @classmethod
    def read(cls):
        return cls(json.loads(RECORD.read_text(encoding="utf8")) if RECORD.exists() else {})

    def shared(self, test, asked):
        """The slow fixtures among the names that a test asks for; each belongs to a file, or to a folder around it."""
        parts = file_of(test).split("/")
        homes = ["/".join(parts[:end]) for end in range(len(parts) + 1)]
        return self.fixtures.keys() & {f"{home}::{name}" for home in homes for name in asked}

    def slow(self, test, asked):
        return test in self.tests or bool(self.shared(test, asked))

    def unit(self, test):
        """What one worker runs in one go: a file, or what a long file asks of one thing."""
        file = file_of(test)
        thing = re.search(r"\[([\w./]+)", test) if self.files.get(file, 0) > LONG else None
        return f"{file}[{thing[1]}]" if thing else file

    def places(self, asked):
        """For each test, where its unit stands: the longest first. ``asked`` holds the names of its fixtures."""
        seconds = Counter({file: time for file, time in self.files.items() if time <= LONG})
        for test, time in self.tests.items():
            if self.files.get(file_of(test), 0) > LONG:
                seconds[self.unit(test)] += time
        for fixture, time in self.fixtures.items():
            users = [test for test, names in asked.items() if fixture in self.shared(test, names)]
            home = file_of(fixture)
            if home.endswith(".py"):
                seconds[home] += time
            elif users:  # of several files: made at once, so that no worker waits for another that makes it
                seconds[self.unit(users[0])] = math.inf
        units = dict.fromkeys(map(self.unit, asked))
        place = {unit: n for n, unit in enumerate(sorted(units, key=lambda unit: -seconds[unit]))}
        return {test: place[self.unit(test)] for test in asked}


class Durations:
    """A plugin of pytest that adds up what the reports say; the workers' reports come to it, too."""

    def __init__(self):
        self.tests, self.fixtures = Counter(), Counter()

    def pytest_runtest_logreport(self, report):
        self.tests[report.nodeid] += report.duration
        if report.when == "teardown":
            for fixture, seconds in report.user_properties:
                if "::" in fixture:
                    self.tests[report.nodeid] -= seconds
                    self.fixtures[fixture] = max(self.fixtures[fixture], seconds)

    def files(self):
        seconds = Counter()
        for test, time in self.tests.items():
            seconds[file_of(test)] += time
        return seconds

    def parts(self):
        """Seconds and number of tests of each room and part of the book, fixtures included, the longest first."""
        seconds, number = Counter(), Counter()
        for name, time in [*self.tests.items(), *self.fixtures.items()]:
            seconds[part(name)] += time
            number[part(name)] += name in self.tests
        return [(name, number[name], time) for name, time in seconds.most_common()]

    def kept(self, old):
        """What to keep after a whole run, from the Plan of what was. On a machine that is faster in all it does, times
        are scaled to the old ones; and one is replaced only when it became twice as long or half."""
        files = self.files()
        both = [time / files[file] for file, time in old.files.items() if files[file] > 0]
        scale = statistics.median(both) if both else 1
        found = {}
        for kind, times in {"files": files, "fixtures": self.fixtures, "tests": self.tests}.items():
            found[kind] = {}
            for name, time in sorted(times.items()):
                now, before = round(time * scale, 1), getattr(old, kind).get(name, 0)
                chosen = before if before / 2 <= now <= before * 2 else now
                if chosen >= SLOW:
                    found[kind][name] = chosen
        return found

    def write(self):
        """Keep what was measured; returns whether the file changed."""
        text = json.dumps(self.kept(Plan.read()), indent=1, ensure_ascii=False) + "\n"
        changed = not RECORD.exists() or RECORD.read_text(encoding="utf8") != text
        RECORD.write_text(text, encoding="utf8")
        return changed


def part(name):
    """The word for a part of the suite, from the name of a test or a fixture."""
    if name.startswith("chapters/"):
        return "notebooks executed"
    if "test_browser" in name:
        return "browser"
    room = file_of(name).split("/")[1:2]
    return "rules, plain modules" if not room or room[0].endswith(".py") else room[0]
