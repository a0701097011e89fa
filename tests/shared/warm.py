"""A jail without walls that starts warm: its processes are forked from one that has torch, and need not import it.

For tests that put one question after the other to code of ours; that a process starts cold, too, is tested with jails.
"""

import atexit
import functools
import os
import subprocess
import sys

from cnnlib.grading import jail

ADDRESS = f"@cnnlib-tests-{os.getpid()}"  # of a socket that is no file: @ stands for a null
CLIENT = """
import os, socket, sys
with socket.socket(socket.AF_UNIX) as server:
    server.connect(sys.argv[1].replace("@", "\\0"))
    socket.send_fds(server, [os.getcwd().encode()], [0, 1, 2])
    server.recv(1)  # nothing comes; it ends when the process has ended
"""
SERVER = """
import os, signal, socket, sys
import torch
from cnnlib.grading import child, confine
confine.die_with_parent()
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
with socket.socket(socket.AF_UNIX) as server:
    server.bind(sys.argv[1].replace("@", "\\0"))
    server.listen()
    print("ready", flush=True)
    while True:
        client, _ = server.accept()
        folder, channels, _, _ = socket.recv_fds(client, 4096, 3)
        if os.fork() == 0:
            try:
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                os.setsid()
                os.chdir(folder)
                os.environ.update(HOME=os.fsdecode(folder), TMPDIR=os.fsdecode(folder))
                for place, channel in enumerate(channels):
                    os.dup2(channel, place)
                    os.close(channel)
                server.close()
                child.main()
            finally:
                os._exit(0)
        for channel in channels:
            os.close(channel)
        client.close()
"""


@functools.cache
def start():
    """The process that has torch; it ends with this one."""
    env = jail.variables(os.getcwd(), str(jail.PACKAGE.parent))
    server = subprocess.Popen([sys.executable, "-c", SERVER, ADDRESS], env=env, stdout=subprocess.PIPE)
    atexit.register(server.communicate)
    atexit.register(server.kill)  # first
    assert server.stdout.readline() == b"ready\n"
    return server


def warm_jail(work, absent, limits):
    """As `jail.no_jail`, forked; on other systems than Linux, which have no sockets of this kind, as cold as it is."""
    if sys.platform != "linux":
        return jail.no_jail(work, absent, limits)
    start()
    return jail.Command([sys.executable, "-S", "-E", "-c", CLIENT, ADDRESS], os.environ | {}, walls=False)
