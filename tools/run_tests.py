"""Every check of the book in one go; what is given on the command line goes to pytest.

python tools/run_tests.py            all of them
python tools/run_tests.py -k lenet   some
python tools/run_tests.py --quick    what takes less than half a second each: no browser, no notebook, no long training
"""

import os
import subprocess
import sys
import time

from cnnlib.resources import pinned  # knows no torch, which reads these variables once

# One thread a process: two tests run at once, and threads that wait by spinning would slow both tenfold.
os.environ |= {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE", **pinned()}

import pytest  # noqa: E402
from book import ROOT  # noqa: E402
from durations import RECORD, Durations  # noqa: E402

STEPS = {"notebooks in step": ["tools/sync_notebooks.py", "--check"], "ruff": ["-m", "ruff", "check"]}
PYTEST = ["-n", "2", "--dist", "loadfile", "--no-loadscope-reorder"]
ALL = [
    "tests",
    "chapters",
    "--nbval",
    "--nbval-current-env",
    "--nbval-sanitize-with",
    "tests/nbval_sanitize.cfg",
]
QUICK = ["tests", "-m", "not nightly and not slow"]


def clock(seconds):
    return f"{seconds // 60:3.0f} min {seconds % 60:04.1f} s"


def main(arguments):
    os.chdir(ROOT)
    quick, rest = "--quick" in arguments, [word for word in arguments if word != "--quick"]
    failed, begun = [], time.monotonic()
    steps = {  # beside the tests, while these are still being collected
        name: subprocess.Popen([sys.executable, *step], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        for name, step in STEPS.items()
    }
    times = Durations()
    if code := pytest.main([*(QUICK if quick else ALL), *PYTEST, *rest], plugins=[times]):
        failed.append("pytest")
    for name, step in steps.items():
        sys.stdout.write(step.communicate()[0].decode(errors="replace"))
        failed += [name] if step.returncode else []
    print(f"\n{'part':24} {'tests':>6}  time, where two tests run at once")
    for name, tests, seconds in times.parts():
        print(f"{name:24} {tests:>6}  {clock(seconds)}")
    print(
        f"{'all, on the clock':24} {sum(n for _, n, _ in times.parts()):>6}  {clock(time.monotonic() - begun)}"
    )
    if not (quick or rest or code) and times.write():
        print(f"{RECORD.relative_to(ROOT)} has changed: commit it")
    return f"Failed: {', '.join(failed)}" if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
