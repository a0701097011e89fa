"""The walls around student code, tried from inside: what it can see, reach, fill up and leave behind."""

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from cnnlib.grading import jail, source, supervise
from cnnlib.grading.jail import PACKAGE, Command, Limits

SMALL = Limits(cpu=2, memory=0.25)


@pytest.fixture(scope="module", autouse=True)
def walls():
    if why := jail.bwrap_trouble():
        pytest.skip(f"no jail here: {why}")


def spied(sheet, code, limits=SMALL, door=jail.bwrap):
    """What `spy()`, written by a student in place of `stem`, says in an error, and its outcome."""
    cells = [(1, f"{code}\ndef stem():\n    raise ValueError(spy())")]
    run = supervise.run(sheet.sheet, cells, [supervise.Question("stem", [constants(sheet)])], limits, door)
    return run.outcomes[0]


def constants(sheet):
    return source.constants(sheet.text)


def shown(sheet, code, **options):
    outcome = spied(sheet, code, **options)
    assert outcome.status == "error" and outcome.message.startswith("ValueError: "), outcome
    return outcome.message.removeprefix("ValueError: ").rsplit(", cell", 1)[0]


# What is there


def test_nothing_of_the_course_is_inside_but_the_grading_part(sheet):
    code = """
import os, importlib
def spy():
    found = []
    for name in ("cnnlib.models", "cnnlib.shapes", "cnnlib_data.facts", "torchvision.models", "timm.models"):
        try:
            importlib.import_module(name)
            found.append(name)
        except ImportError:
            pass
    for here, _, names in os.walk("/course"):
        found += [n for n in names if n.endswith((".md", ".json", ".csv", ".ipynb"))]
    return found, sorted(os.listdir("/course/cnnlib"))"""
    assert shown(sheet, code) == "([], ['__init__.py', 'grading'])"


def test_no_file_of_the_machine_s_people_is_inside(sheet, tmp_path):
    (tmp_path / "grades.csv").write_text("secret")
    wanted = [
        tmp_path / "grades.csv",
        Path(__file__),
        "/etc/passwd",
        "/home",
        "/var",
        "/run",
        Path.home() / ".bashrc",
    ]
    code = f"import os\ndef spy(): return [p for p in {list(map(str, wanted))} if os.path.exists(p)]"
    assert shown(sheet, code) == "[]"


def test_only_its_own_folders_can_be_written_to(sheet):
    code = """
import os
def spy():
    wrote = []
    for folder in ("/", "/dev", "/course", "/course/cnnlib/grading", "/usr/lib", os.__file__[:-5], "/proc", "/tmp",
                   "/dev/shm"):
        try:
            open(folder + "/x", "w").close()
            wrote.append(folder)
        except OSError:
            pass
    return wrote"""
    assert shown(sheet, code) == "['/tmp', '/dev/shm']"


def test_no_variable_of_the_grader_is_inside(sheet, monkeypatch):
    monkeypatch.setenv("SECRET_TOKEN", "x")
    code = """
import os
def spy():
    everywhere = [open(f"/proc/{p}/environ").read() for p in os.listdir("/proc") if p.isdecimal()
                  and os.access(f"/proc/{p}/environ", os.R_OK)]
    return "SECRET_TOKEN" in "".join(everywhere) + str(os.environ), os.environ["HOME"]"""
    assert shown(sheet, code) == "(False, '/tmp')"


def test_there_is_no_network(sheet):
    code = """
import socket
def spy():
    said = []
    for family, address in ((socket.AF_INET, ("127.0.0.1", 9)), (socket.AF_INET, ("192.0.2.1", 80))):
        with socket.socket(family, socket.SOCK_STREAM) as s:
            s.settimeout(1)
            try:
                s.connect(address)
                said.append("connected")
            except OSError as error:
                said.append(error.errno in (101, 111))
    return said, [name for _, name in socket.if_nameindex()]"""
    assert shown(sheet, code) == "([True, True], ['lo'])"


def test_it_has_no_rights_and_another_user(sheet):
    code = """
import os
def spy():
    status = open("/proc/self/status").read()
    caps = [line.split()[1] for line in status.splitlines() if line.startswith("Cap")]
    return set(caps), "NoNewPrivs:\\t1" in status, os.getuid() == 0"""
    assert shown(sheet, code) == "({'0000000000000000'}, True, False)"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give every submission a user of its own")
def test_every_submission_has_a_user_of_its_own(sheet):
    code = "import os\ndef spy(): return os.getuid()"
    assert len({shown(sheet, code) for _ in range(3)}) == 3


def test_it_sees_no_process_but_its_own(sheet):
    code = """
import os
def spy():
    return sorted(int(p) for p in os.listdir("/proc") if p.isdecimal())[-1] < 20"""
    assert shown(sheet, code) == "True"


def test_neither_memory_nor_files_of_the_process_in_between_can_be_read(sheet):
    code = """
import os
def spy():
    read = []
    for what in ("mem", "environ", "fd/0", "fd/1", "fd/3", "maps"):
        try:
            open(f"/proc/{os.getppid()}/{what}", "rb").read(1)
            read.append(what)
        except OSError:
            pass
    return read"""
    assert shown(sheet, code) == "[]"


# What it can use up


def test_files_and_shared_memory_end_before_the_machine_s_do(sheet):
    code = """
def fill(folder, most):
    for n in range(most):
        try:
            with open(f"{folder}/{n}", "wb") as file:
                file.write(bytes(2**24))
        except OSError:
            return True
    return False
def spy():
    return fill("/tmp", 17), fill("/dev/shm", 5)"""
    assert shown(sheet, code, limits=Limits(cpu=20, memory=1)) == "(True, True)"


FORKS = """
import os, time
def spy():
    made = 0
    while True:
        try:
            if os.fork() == 0:
                time.sleep(30)
                os._exit(0)
            made += 1
        except OSError:
            return made"""


def test_a_fork_bomb_meets_its_limit(sheet):
    assert int(shown(sheet, FORKS)) < Limits.processes


def test_many_processes_share_one_memory_limit(sheet):
    code = """
import os, time
def spy():
    for _ in range(8):
        if os.fork() == 0:
            x = bytearray(b"x" * 100 * 2**20)
            time.sleep(30)
    time.sleep(30)"""
    outcome = spied(sheet, code)
    assert (outcome.status, outcome.message) == ("memory", "more memory than allowed")


def test_open_files_are_few(sheet):
    code = """
def spy():
    kept = []
    try:
        while True: kept.append(open("/dev/null"))
    except OSError:
        return len(kept) < 64"""
    assert shown(sheet, code) == "True"


# What it can leave behind


def marked(mark):
    """The jail, with an option in its command that tells its processes from those of other tests."""

    def door(*given):
        command = jail.bwrap(*given)
        at = command.argv.index("-m")
        return replace(command, argv=[*command.argv[:at], "-X", f"mark={mark}", *command.argv[at:]])

    return door


def processes(mark):
    found = {}
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            found[path.parent.name] = path.read_bytes()
    return {pid for pid, line in found.items() if f"mark={mark}\0".encode() in line}


def gone(mark, seconds=10):
    """Whether no such process is left after a while."""
    end = time.monotonic() + seconds
    while processes(mark) and time.monotonic() < end:
        time.sleep(0.05)
    return not processes(mark)


DAEMON = """
import os, time
def spy():
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            while True: time.sleep(1)
        os._exit(0)
    return [1]"""


def test_no_daemon_outlives_its_probe_or_its_jail(sheet):
    outcome = spied(sheet, DAEMON, door=marked("daemon"))
    assert (outcome.status, "[1]" in outcome.message) == ("error", True), "it was not waited for"
    assert gone("daemon")
    code = f"""{DAEMON}
def stem():
    spy()
    return len([p for p in os.listdir('/proc') if p.isdecimal()])"""
    question = supervise.Question("stem", [constants(sheet)])
    run = supervise.run(sheet.sheet, [(1, code)], [question] * 3, SMALL, jail.bwrap)
    counts = [outcome.value[0] for outcome in run.outcomes]
    assert counts[0] == counts[1] == counts[2], "the daemon of the first probe is seen by the second"


def test_no_file_passes_from_one_student_to_the_next(sheet):
    code = "import os\ndef spy():\n    open('/tmp/left', 'w').close()\n    return os.listdir('/tmp')"
    assert [shown(sheet, code) for _ in range(2)] == ["['left']"] * 2


KILLER = """
import os, signal
def stem():
    os.kill(os.getppid(), signal.SIGSTOP)
    os.kill(os.getppid(), signal.SIGKILL)
    try:
        os.kill(-1, signal.SIGKILL)
    except ProcessLookupError:
        return os.getppid()
def conv_macs(*a): return 5
"""


def test_the_process_in_between_can_be_neither_killed_nor_stopped(sheet):
    """It is the first of its namespace, whom no signal from inside reaches: it would hold the class for hours."""
    asked = [
        supervise.Question("conv_macs", [{"x": 1}]),
        supervise.Question("stem", [constants(sheet)]),
        supervise.Question("conv_macs", [{"x": 1}]),
    ]
    start = time.monotonic()
    run = supervise.run(sheet.sheet, [(1, KILLER)], asked, SMALL, jail.bwrap)
    assert [(o.status, o.value) for o in run.outcomes] == [("value", [5]), ("value", [1]), ("value", [5])]
    assert time.monotonic() - start < 60


def test_no_channel_of_the_first_process_can_be_reached(sheet):
    """Through it a student's code could write to the grader whatever the process in between would."""
    code = """
import os
def spy():
    found = []
    for pid in [p for p in os.listdir("/proc") if p.isdecimal() and int(p) != os.getpid()]:
        try:
            found.append(os.listdir(f"/proc/{pid}/fd"))
        except OSError:
            pass
    return found, os.getppid()"""
    assert shown(sheet, code) == "([], 1)"


KEYS = "import ctypes\nkey = ctypes.CDLL(None).syscall(250, 0, -3, 0)\n"  # the number of the session keyring


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="the number of the system call is another one")
def test_the_session_keyring_is_not_the_grader_s(sheet):
    own = int(
        subprocess.run([sys.executable, "-c", KEYS + "print(key)"], capture_output=True, text=True).stdout
    )
    if own < 0:
        pytest.skip("this machine lets nobody have keys")
    assert int(shown(sheet, f"{KEYS}def spy(): return key")) != own


def test_memory_is_looked_at_while_a_pipe_drips(sheet):
    """Something to read on every turn kept the grader from looking at what many processes use together."""
    code = """
import os, time
def stem():
    for _ in range(8):
        if os.fork() == 0:
            x = bytearray(b"x" * 60 * 2**20)
            time.sleep(30)
    channels = [int(fd) for fd in os.listdir("/proc/self/fd") if int(fd) > 2]
    end = time.monotonic() + 6
    while time.monotonic() < end:
        for channel in channels:
            try:
                os.write(channel, b" ")
            except OSError:
                pass
        time.sleep(0.01)
    return []"""
    question = supervise.Question("stem", [constants(sheet)])
    run = supervise.run(sheet.sheet, [(1, code)], [question], SMALL, jail.bwrap)
    assert run.outcomes[0].status == "memory"


def test_one_student_s_time_ends_however_often_the_process_starts_again(sheet, monkeypatch):
    monkeypatch.setattr(Limits, "wall", 1)
    clock = [0.0]

    def dies(*_):
        clock[0] += 1.2
        return SURVEY, []

    monkeypatch.setattr(supervise, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    monkeypatch.setattr(supervise, "ask_process", dies)
    asked = [supervise.Question("conv_macs", [{"x": 1}])] * 6
    run = supervise.run(sheet.sheet, [], asked, SMALL, jail.bwrap)
    assert (
        clock[0] <= 8 and len(run.outcomes) == 6 and run.recheck
    )  # a second for each question, and two more
    assert run.outcomes[-1].status == "timeout"


SURVEY = {"notes": [], "missing": {}, "shortcuts": [], "sheet_id": ""}


def test_a_process_that_says_nothing_is_ended_before_its_time_is_over(tmp_path):
    command = Command(["sh", "-c", "head -n 1 > /dev/null; echo 1; exec sleep 60"], dict(os.environ))
    start = time.monotonic()
    assert supervise.exchange(command, tmp_path, [b"x\n", b"y\n"], seconds=50, silence=1) == [b"1\n"]
    assert time.monotonic() - start < 20


def test_student_code_stops_with_a_grader_that_is_killed(sheet):
    code = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from test_jail import marked
from cnnlib.grading import jail, source, supervise
text = open({str(sheet.path)!r}, encoding="utf-8").read()
cells = [(1, "def stem():\\n    while True: pass")]
question = supervise.Question("stem", [source.constants(text)])
supervise.run(source.sheet_of(text), cells, [question], jail.Limits(100), marked("killed"))
"""
    grader = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    end = time.monotonic() + 60
    while len(seen := processes("killed")) < 3 and time.monotonic() < end:
        time.sleep(0.05)
    assert len(seen) >= 3  # bubblewrap, the process in between, and one that it forked
    grader.kill()
    grader.wait()
    assert gone("killed")


# As a plain user


@pytest.mark.skipif(os.geteuid() != 0, reason="the other tests have shown it")
def test_a_plain_user_has_the_same_walls(sheet, tmp_path):
    """Python of the system, since a plain user may not see root's; the sheet needs no package."""
    python = shutil.which("python3", path="/usr/bin:/bin")
    if not python:
        pytest.skip("no Python that a plain user can run")
    for folder in (tmp_path, *tmp_path.parents[:3]):
        folder.chmod(0o755)
    shutil.copytree(Path(PACKAGE), tmp_path / "cnnlib", ignore=shutil.ignore_patterns("__pycache__"))
    code = """
import json, os
from cnnlib.grading import jail, supervise
from cnnlib.grading.sheet import load
why = jail.bwrap_trouble()
spy = '''
import os
def conv_macs(*a):
    status = open("/proc/self/status").read()
    wrote = [f for f in ("/", "/dev", "/tmp", "/course") if not fails(f)]
    caps = {line.split()[1] for line in status.splitlines() if line.startswith("Cap")}
    return [os.getuid(), wrote, sorted(caps), os.path.exists("/home"), forks()]
def fails(folder):
    try:
        open(folder + "/x", "w").close()
    except OSError:
        return True
def forks():
    import time
    made = 0
    while True:
        try:
            if os.fork() == 0:
                time.sleep(30)
            made += 1
        except OSError:
            return made < 64
'''
question = supervise.Question("conv_macs", [{"x": 1}])
run = supervise.run(load("cost"), [(1, spy)], [question], jail.Limits(2, 0.25), jail.bwrap)
print(json.dumps([why, run.outcomes[0].status, run.outcomes[0].value]))
"""
    done = subprocess.run(
        ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", python, "-c", code],
        capture_output=True,
        text=True,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(tmp_path)},
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    why, status, value = json.loads(done.stdout)
    if "uid map" in why or "userns" in why:
        pytest.skip(f"user namespaces are closed here: {why.splitlines()[0]}")
    assert (why, status) == ("", "value")
    assert value == [[65534, ["/tmp"], ["0000000000000000"], False, True]]


# Choosing


def test_auto_takes_the_first_that_works_and_never_none(monkeypatch):
    def doors(**why):
        return {name: (name, lambda reason=reason: reason) for name, reason in why.items()}

    monkeypatch.setattr(jail, "JAILS", doors(bwrap="", docker="", podman=""))
    assert jail.choose("auto") == "bwrap"
    monkeypatch.setattr(jail, "JAILS", doors(bwrap="broken", docker="absent", podman=""))
    assert jail.choose("auto") == "podman"
    with pytest.raises(ValueError, match="bwrap: broken"):
        jail.choose("bwrap")
    monkeypatch.setattr(jail, "JAILS", doors(bwrap="broken", docker="absent", podman="absent"))
    with pytest.raises(ValueError, match="no jail .*bwrap: broken; docker: absent.*cnnlib doctor"):
        jail.choose("auto")


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("echo 'bwrap: setting up uid map: Permission denied' >&2; exit 1", "sudo tee /etc/apparmor.d/bwrap"),
        ("echo 'bwrap: Unknown option --disable-userns' >&2; exit 1", "bubblewrap 0.8 or later"),
        ("echo 'bwrap: something else' >&2; exit 1", "^bwrap: something else$"),
        ("exit 0", "^$"),
    ],
)
def test_what_bubblewrap_lacks_is_told_with_its_cure(tmp_path, monkeypatch, script, said):
    (tmp_path / "bwrap").write_text(f"#!/bin/sh\n{script}\n")
    (tmp_path / "bwrap").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert re.search(said, jail.bwrap_trouble(), re.S)


def test_without_bubblewrap_the_way_to_get_it_is_told(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    assert "apt install bubblewrap" in jail.bwrap_trouble()
    assert jail.container_trouble("docker") == "docker is not installed"


# Containers: the command line; no engine runs here


@pytest.mark.parametrize("engine", ["docker", "podman"])
def test_the_container_s_command_line_has_the_same_walls(engine, monkeypatch):
    monkeypatch.setenv("SECRET_TOKEN", "x")
    made = {"docker": jail.docker, "podman": jail.podman}[engine](Path("/x"), (), Limits(10, 1.5))
    line = " ".join(made.argv)
    assert made.argv[:2] == [engine, "run"] and "SECRET_TOKEN" not in line and made.walls
    for piece in (
        "--network none", "--read-only", "--cap-drop ALL", "--security-opt no-new-privileges", "--pids-limit 80",
        f"--memory {int(1.5 * 2**30) + 2**31 + 2**28} --memory-swap {int(1.5 * 2**30) + 2**31 + 2**28}",
        "--shm-size 67108864", "--user 65534:65534", "size=268435456", "--rm --interactive", "--pull never",
        f"{jail.IMAGE} python -m cnnlib.grading.child",
    ):  # fmt: skip
        assert piece in line, piece
    volumes = [made.argv[i + 1] for i, word in enumerate(made.argv) if word == "--volume"]
    assert all(volume.endswith(":ro") for volume in volumes)
    assert [volume.split(":")[1] for volume in volumes] == [
        "/course/cnnlib/__init__.py",
        "/course/cnnlib/grading",
    ]
    name = made.argv[made.argv.index("--name") + 1]
    assert made.afterwards == [engine, "rm", "--force", name]
    assert jail.docker(Path("/x"), (), Limits()).afterwards[-1] != name


def test_a_container_that_the_clock_stops_is_removed(sheet, tmp_path):
    """The engine's client may die and leave it; whatever stands in `afterwards` is run at the end."""
    mark = tmp_path / "removed"
    with pytest.raises(supervise.Infra):
        supervise.run(
            sheet.sheet,
            [],
            [],
            SMALL,
            lambda *_: Command(["true"], {}, afterwards=["touch", str(mark)]),
        )
    assert mark.exists()


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("exit 1", "docker is not running: start it"),
        ('[ "$1" = info ]', "has no image cnnlib-grade.*docker build -t cnnlib-grade"),
        ("exit 0", "^$"),
    ],
)
def test_what_an_engine_lacks_is_told_with_its_cure(tmp_path, monkeypatch, script, said):
    (tmp_path / "docker").write_text(f"#!/bin/sh\n{script}\n")
    (tmp_path / "docker").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert re.search(said, jail.container_trouble("docker"))


def test_the_doctor_calls_it_bad_where_no_wall_holds(monkeypatch, capsys):
    """It printed "ok" before whatever bubblewrap had said."""
    from cnnlib.cli import commands
    from cnnlib.grading import jail

    for faults, said in (
        (("", "no engine"), "ok  jail docker: no engine"),
        (("broken", "no engine"), "BAD jail bwrap: broken"),
    ):
        jails = {
            name: (None, lambda fault=fault: fault)
            for name, fault in zip(("bwrap", "docker"), faults, strict=True)
        }
        monkeypatch.setattr(jail, "JAILS", jails)
        assert commands.main(["doctor"]) == int(said.startswith("BAD"))
        assert said in capsys.readouterr().out
