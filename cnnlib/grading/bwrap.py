"""The jail of Linux and WSL2: bubblewrap, as a plain user or as root."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from cnnlib.grading.walls import CHILD, PACKAGE, Command, Limits, variables

COURSE = "/course"  # where the part of cnnlib that grades lies inside
SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
SETTINGS = ("/etc/ld.so.cache", "/etc/alternatives", "/sys/devices/system/cpu")
SHOWN = ("__init__.py", "grading")  # of the package
ALWAYS_ABSENT = ("cnnlib", "cnnlib_data")  # an installed package: its networks and images answer exercises
FIRST_USER = 10_000_000  # far above the ids that systems give out
USERS = 1_000
submissions = itertools.count()

INSTALL = "install it with `sudo apt install bubblewrap` or `sudo dnf install bubblewrap`"
APPARMOR = """\
this system allows user namespaces only to programs that it knows (Ubuntu 24.04 and later). Allow bubblewrap:
    printf 'abi <abi/4.0>,\\ninclude <tunables/global>\\nprofile bwrap /usr/bin/bwrap flags=(unconfined) {\\n  \
userns,\\n}\\n' | sudo tee /etc/apparmor.d/bwrap
    sudo systemctl reload apparmor"""


def jail(work: Path, absent: tuple[str, ...], limits: Limits) -> Command:
    """Everything read-only but small folders in memory; no network; own processes; no user's rights."""
    inside = [sys.executable, *CHILD]
    if os.geteuid() == 0:
        user = str(FIRST_USER + os.getpid() % 2**20 * USERS + next(submissions) % USERS)
        drop = ["--clear-groups", "--no-new-privs", "--bounding-set=-all", "--inh-caps=-all"]
        inside = ["setpriv", f"--reuid={user}", f"--regid={user}", *drop, *inside]
        rights = ["--cap-drop", "ALL"]
        for right in ("CAP_SETUID", "CAP_SETGID", "CAP_SETPCAP"):  # setpriv needs them, and drops them
            rights += ["--cap-add", right]
    else:
        rights = ["--unshare-user", "--disable-userns", "--cap-drop", "ALL"]
    path, shown = library(absent)
    argv = [
        "bwrap", "--die-with-parent", "--new-session", "--as-pid-1", *rights,
        *("--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts", "--unshare-cgroup-try"),
        *shown,
        *("--proc", "/proc", "--dev", "/dev"),
        *("--perms", "1777", "--size", str(limits.shared), "--tmpfs", "/dev/shm"),
        *("--perms", "1777", "--size", str(limits.scratch), "--tmpfs", "/tmp"),
        *("--remount-ro", "/dev", "--remount-ro", "/", "--chdir", "/tmp", "--", *inside),
    ]  # fmt: skip
    return Command(argv, variables("/tmp", path))


def library(absent: tuple[str, ...]) -> tuple[str, list[str]]:
    """``PYTHONPATH``, and the options that show Python, its packages without some, and the grader's part."""
    packages = [Path(p) for p in sys.path if Path(p).name in ("site-packages", "dist-packages")]
    packages = [place for place in packages if place.is_dir()]
    python = [Path(sys.prefix), Path(sys.base_prefix), Path(sys.executable).resolve().parent, *packages]
    shown: list[str] = []
    for folder in SYSTEM:
        link = os.path.islink(folder)
        shown += ["--symlink", os.readlink(folder), folder] if link else ["--ro-bind-try", folder, folder]
    seen, made = [Path("/usr")], {Path("/")}
    for place in [*map(Path, SETTINGS), *sorted(python)]:
        if any(place.is_relative_to(root) for root in seen):
            continue
        for parent in reversed([p for p in place.parents if p not in made]):
            shown += ["--perms", "0755", "--dir", str(parent)]  # else bubblewrap shuts it to others
            made.add(parent)
        shown += ["--ro-bind-try", str(place), str(place)]
        seen.append(place)
    for place in package_folders((*absent, *ALWAYS_ABSENT)):
        if place.is_dir() and any(place.is_relative_to(root.resolve()) for root in seen):
            shown += ["--perms", "0555", "--size", "4096", "--tmpfs", str(place)]
    shown += ["--perms", "0755", "--dir", COURSE, "--perms", "0755", "--dir", f"{COURSE}/cnnlib"]
    for name in SHOWN:
        shown += ["--ro-bind", str(PACKAGE / name), f"{COURSE}/cnnlib/{name}"]
    outside = [str(place) for place in packages if not place.is_relative_to(sys.prefix)]
    return os.pathsep.join([COURSE, *outside]), shown


def package_folders(names: tuple[str, ...]) -> list[Path]:
    """Where installed packages lie, without importing them."""
    specs = [find_spec(name) for name in names]
    return [
        Path(place).resolve() for spec in specs if spec for place in spec.submodule_search_locations or ()
    ]


def trouble() -> str:
    """Why bubblewrap does not work here, and what to do; "" if it does."""
    if sys.platform != "linux":
        return "bubblewrap runs on Linux and WSL2 only"
    if not shutil.which("bwrap"):
        return f"bubblewrap is not installed: {INSTALL}"
    command = jail(Path("/tmp"), (), Limits())
    code = "import os, sys; sys.exit(os.path.exists('/home') or os.listdir('/tmp') != [] or not os.getuid())"
    inside = command.argv[: -len(CHILD)] + ["-c", code]
    try:
        done = subprocess.run(inside, env=command.env, capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"bubblewrap cannot be started: {error}"
    said = done.stderr.strip().splitlines()[-1:] or [f"exit code {done.returncode}"]
    if "nknown option" in said[0]:
        return f"{said[0]}: bubblewrap 0.8 or later is needed"
    if "uid map" in said[0] or "No permissions to create" in said[0]:
        return f"{said[0]}: {APPARMOR}"
    return said[0] if done.returncode else ""
