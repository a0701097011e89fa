"""Every check of the book in one go; what is given on the command line goes to pytest.

python tools/run_tests.py            all of them
python tools/run_tests.py -k lenet   some
"""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# One thread a process: two notebooks run at once, and threads that wait by spinning would slow both tenfold.
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE", "TQDM_DISABLE": "1"}
PYTEST = [
    *("pytest", "tests", "chapters", "--nbval", "--nbval-current-env"),
    *("--nbval-sanitize-with", "tests/nbval_sanitize.cfg", "-n", "2", "--dist", "loadfile"),
]


def main(arguments):
    steps = [["tools/sync_notebooks.py", "--check"], ["-m", "ruff", "check"], ["-m", *PYTEST, *arguments]]
    failed = []
    for step in steps:
        done = subprocess.run([sys.executable, *step], cwd=ROOT, env=os.environ | ENVIRONMENT, check=False)
        if done.returncode:
            failed.append(" ".join(step[:3]))
    return f"Failed: {', '.join(failed)}" if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
