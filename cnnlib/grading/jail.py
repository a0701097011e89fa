"""Jails for a student's process: bubblewrap on Linux and WSL2, else a container, and never none by itself."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import cnnlib

# What all of them share: the limits, the command inside, the variables that it sees

CHILD = ("-m", "cnnlib.grading.child")
PACKAGE = Path(__file__).resolve().parents[1]


class Infra(RuntimeError):
    """The grader's own failure: nobody's zero."""


@dataclass(frozen=True)
class Limits:
    """What one probe may use: CPU seconds, and gigabytes on top of the interpreter."""

    cpu: int = 10
    memory: float = 2.0

    processes = 64  # threads count, too
    scratch = 2**28  # bytes of all files in its folder
    shared = 2**26  # bytes in /dev/shm

    @property
    def wall(self) -> int:
        """Seconds by the clock: generous, since a busy machine is not the student's fault."""
        return 3 * self.cpu + 5


@dataclass(frozen=True)
class Command:
    """What starts a shut-in process: a command and its variables.

    ``walls``: the process sees no others, so it may end all that it sees. ``afterwards``: ends what the
    command may have left running, for jails that are no child of this process.
    """

    argv: list[str]
    env: dict[str, str]
    walls: bool = True
    afterwards: list[str] = field(default_factory=list)


# (empty folder, modules that must not be there, limits) -> the command that runs `child` shut in
Jail = Callable[[Path, tuple[str, ...], Limits], Command]


def variables(home: str, path: str) -> dict[str, str]:
    """The few variables that a student's process sees."""
    keep = {key: os.environ[key] for key in ("PATH", "LD_LIBRARY_PATH", "SYSTEMROOT") if key in os.environ}
    return keep | {
        "HOME": home,
        "TMPDIR": home,
        "PYTHONPATH": path,
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONHASHSEED": "0",
        "PYTHONIOENCODING": "utf-8",
        "OMP_NUM_THREADS": "1",
        "MPLBACKEND": "Agg",
    }


def no_jail(work: Path, absent: tuple[str, ...], limits: Limits) -> Command:
    """The command as it is, without walls."""
    return Command([sys.executable, *CHILD], variables(str(work), str(PACKAGE.parent)), walls=False)


# Bubblewrap, as a plain user or as root

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


def bwrap(work: Path, absent: tuple[str, ...], limits: Limits) -> Command:
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


def bwrap_trouble() -> str:
    """Why bubblewrap does not work here, and what to do; "" if it does."""
    if sys.platform != "linux":
        return "bubblewrap runs on Linux and WSL2 only"
    if not shutil.which("bwrap"):
        return f"bubblewrap is not installed: {INSTALL}"
    command = bwrap(Path("/tmp"), (), Limits())
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


# Containers, one a student: macOS, Windows and locked-down Linux

IMAGE = f"cnnlib-grade:{cnnlib.__version__}"
BASE = 2**31  # bytes for the interpreter and torch, besides what a probe may use
NOBODY = 65534
OWN = {"PATH", "LD_LIBRARY_PATH", "SYSTEMROOT"}  # those of the image differ
containers = itertools.count()


def docker(work: Path, absent: tuple[str, ...], limits: Limits) -> Command:
    """A container of Docker."""
    return container("docker", limits)


def podman(work: Path, absent: tuple[str, ...], limits: Limits) -> Command:
    """A container of Podman."""
    return container("podman", limits)


def container(engine: str, limits: Limits) -> Command:
    """Read-only but for small folders in memory; no network; no rights; gone when it ends.

    The image holds Python and what sheets import, nothing of the course: what must be absent never was there.
    """
    name = f"cnnlib-grade-{os.getpid()}-{next(containers)}"
    memory = int(limits.memory * 2**30) + BASE + limits.scratch
    env = variables("/tmp", "/course")
    options = [x for key in sorted(env.keys() - OWN) for x in ("--env", f"{key}={env[key]}")]
    argv = [
        engine, "run", "--rm", "--interactive", "--name", name, "--pull", "never",
        *("--network", "none", "--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"),
        *("--user", f"{NOBODY}:{NOBODY}", "--pids-limit", str(limits.processes + 16), "--cpus", "1"),
        *("--memory", str(memory), "--memory-swap", str(memory), "--shm-size", str(limits.shared)),
        *("--tmpfs", f"/tmp:rw,nosuid,nodev,size={limits.scratch},mode=1777", "--workdir", "/tmp"),
        *("--ulimit", "core=0:0", "--log-driver", "none", *options),
        *("--volume", f"{PACKAGE / '__init__.py'}:/course/cnnlib/__init__.py:ro"),
        *("--volume", f"{PACKAGE / 'grading'}:/course/cnnlib/grading:ro"),
        *(IMAGE, "python", *CHILD),
    ]  # fmt: skip
    return Command(argv, dict(os.environ), afterwards=[engine, "rm", "--force", name])


def container_trouble(engine: str) -> str:
    """Why this engine cannot be used here, and what to do; "" if it can."""
    if not shutil.which(engine):
        return f"{engine} is not installed"
    for question, answer in (
        (["info"], "is not running: start it"),
        (["image", "inspect", IMAGE], f"has no image {IMAGE}: make it with `{engine} build -t {IMAGE} -f "
         "tools/grade.Dockerfile .` in a clone of the course"),
    ):  # fmt: skip
        try:
            done = subprocess.run([engine, *question], capture_output=True, timeout=30)
        except (OSError, subprocess.TimeoutExpired):
            return f"{engine} does not answer"
        if done.returncode:
            return f"{engine} {answer}"
    return ""


# The choice: the first kind that works here

UNSAFE = (
    "WARNING: --isolation none: student code runs WITHOUT ISOLATION. It can read, change and send every file "
    "that you can, also these grades. Use it only for code that you trust."
)
NO_JAIL = (
    "there is no jail for student code here ({reasons}); `cnnlib doctor` tells how to get one. Say "
    "--isolation none only if you trust the code of every notebook"
)
# Every jail by its name, the best first, with a function that says why it does not work here ("" if it does).
JAILS: dict[str, tuple[Jail, Callable[[], str]]] = {
    "bwrap": (bwrap, bwrap_trouble),
    "docker": (docker, partial(container_trouble, "docker")),
    "podman": (podman, partial(container_trouble, "podman")),
}
ISOLATION = ("auto", *JAILS, "none")


def name_of(jail: Jail) -> str:
    """The name by which a jail is chosen."""
    return next((name for name, (other, _) in JAILS.items() if other is jail), "none")


def choose(isolation: str) -> Jail:
    """The jail of this name; ``auto`` is the first that works and never ``none``.

    Raises ``ValueError`` if there is none to use.
    """
    if isolation not in ISOLATION:
        raise ValueError(f"isolation={isolation!r} must be one of {', '.join(ISOLATION)}")
    if isolation == "none":
        return no_jail
    reasons = []
    for name in JAILS if isolation == "auto" else (isolation,):
        jail, trouble = JAILS[name]
        if not (why := trouble()):
            return jail
        reasons.append(f"{name}: {why}")
    raise ValueError(NO_JAIL.format(reasons="; ".join(reasons)))
