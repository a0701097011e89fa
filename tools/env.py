"""Make a virtual environment from a requirements file, and again only when that could change anything.

    python tools/env.py .venv-site requirements-site.txt

Standard library only: this runs before anything is installed. The stamp in the environment holds a digest of
every requirements file and of pyproject.toml.
"""

import hashlib
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
OLDEST = (3, 11)


def digest(requirements):
    """One digest of all that decides what is installed."""
    total = hashlib.sha256(f"{requirements}\0".encode())
    for file in [*sorted(ROOT.glob("requirements*.txt")), ROOT / "pyproject.toml"]:
        total.update(f"{file.name}\0".encode() + file.read_bytes() + b"\0")
    return total.hexdigest()


def python_of(folder):
    windows = folder / "Scripts" / "python.exe"
    return windows if sys.platform == "win32" else folder / "bin" / "python"


def main(folder, requirements):
    if sys.version_info < OLDEST:
        version = ".".join(map(str, sys.version_info[:2]))
        return f"The book needs Python 3.11 or newer, this is {version}: say make PYTHON=python3.12 or so."
    folder, stamp = Path(folder), Path(folder) / "installed.sha256"
    if stamp.exists() and stamp.read_text() == digest(requirements):
        return None
    if not python_of(folder).exists():
        print(f"Making {folder}", flush=True)
        venv.create(folder, with_pip=True, clear=folder.exists())
    print(f"Installing {requirements} into {folder}", flush=True)
    pip = [str(python_of(folder)), "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    done = subprocess.run([*pip, "-r", requirements], cwd=ROOT, check=False)
    if done.returncode:
        return f"pip could not install {requirements}; the lines above say why. Nothing else was changed."
    stamp.write_text(digest(requirements))
    return None


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))
