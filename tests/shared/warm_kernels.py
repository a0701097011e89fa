"""Kernels that start at once: forked from a process that has imported PyTorch and its like, but not cnnlib.

Each notebook still gets a process and a namespace of its own and imports what it uses; only the time of those imports,
most of what a short notebook costs, is spent once.
"""

import functools
import multiprocessing
import os
import signal
import subprocess
import sys

from jupyter_client.provisioning import KernelProvisionerFactory, LocalProvisioner

PRELOADED = ["torch", "torchvision", "matplotlib.pyplot", "ipykernel.kernelapp"]
LAUNCHER = [sys.executable, "-m", "ipykernel_launcher"]
INLINE = "module://matplotlib_inline.backend_inline"  # which a kernel chooses


@functools.cache
def own_path():
    """Where this Python looks for modules before a test adds to it."""
    code = "import sys; print(*sys.path[1:], sep='\\n')"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return told.stdout.splitlines()


def run_kernel(arguments, environment, folder, path, quiet):
    """What ``python -m ipykernel_launcher`` does, in a session of its own."""
    import matplotlib
    from ipykernel import kernelapp

    os.setsid()
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    # As if it were imported only now
    matplotlib.rcParams["backend"] = environment.get("MPLBACKEND") or INLINE
    if quiet:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    sys.path[:] = path
    sys.argv = ["ipykernel_launcher", *arguments]
    kernelapp.launch_new_instance()


class Forked:
    """A forked process with the methods of `subprocess.Popen` that jupyter_client calls."""

    stdin = stdout = stderr = None

    def __init__(self, *arguments):
        self.process = multiprocessing.get_context("forkserver").Process(target=run_kernel, args=arguments)
        self.process.start()
        self.pid = self.process.pid

    def poll(self):
        return self.process.exitcode

    def wait(self):
        self.process.join()
        return self.process.exitcode

    def send_signal(self, number):
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self):
        self.send_signal(signal.SIGKILL)

    def terminate(self):
        self.send_signal(signal.SIGTERM)


class WarmProvisioner(LocalProvisioner):
    """Forks a kernel of this Python, and starts that of another as usual."""

    async def launch_kernel(self, cmd, **options):
        if cmd[:3] != LAUNCHER:
            return await super().launch_kernel(cmd, **options)
        folder = options.get("cwd") or os.getcwd()
        quiet = options.get("stderr") is not None
        self.process = Forked(cmd[3:], dict(options["env"]), folder, own_path(), quiet)
        self.pid = self.pgid = self.process.pid  # of the session that it opens
        self.cwd = folder
        return self.connection_info


class _Entry:
    name = "warm"

    @staticmethod
    def load():
        return WarmProvisioner


def use():
    """From now on, kernels that this process starts are forked; on Linux, where that does no harm to libraries."""
    if sys.platform == "linux":
        multiprocessing.get_context("forkserver").set_forkserver_preload(PRELOADED)
        factory = KernelProvisionerFactory.instance()
        factory.provisioners["warm"] = _Entry
        factory.default_provisioner_name = "warm"
