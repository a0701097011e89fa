"""Execute one notebook with this Python, and keep out of it what readers must not see."""

import base64
import io
import os
import re
import sys
import textwrap
from pathlib import Path

from book import ROOT
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from PIL import Image

from cnnlib.resources import pinned

SECONDS_PER_CELL = 600
ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",  # the same rounding everywhere, and two notebooks at once do not fight for cores
    "OMP_WAIT_POLICY": "PASSIVE",
    "PYTHONHASHSEED": "0",
    "TQDM_DISABLE": "1",  # no progress bars in stored outputs
    "MPLBACKEND": "module://matplotlib_inline.backend_inline",
    **pinned(),  # and the same rounding on every x86 processor
}


class Broken(Exception):
    """A notebook that cannot be made; the message names the file and the cell."""


class ThisPython(KernelSpecManager):
    """Finds one kernel, the Python that runs this file, whatever else is installed for the user."""

    def get_kernel_spec(self, kernel_name):
        argv = [sys.executable, "-m", "ipykernel_launcher", "--log-level=40", "-f", "{connection_file}"]
        return KernelSpec(argv=argv, display_name="Python 3 (ipykernel)", language="python")


class Client(NotebookClient):
    def create_kernel_manager(self):
        self.km = AsyncKernelManager(kernel_spec_manager=ThisPython())
        return self.km


def without_private_paths(text):
    text = text.replace(str(ROOT) + os.sep, "").replace(str(ROOT), ".")
    text = re.sub(r"/tmp/ipykernel_\d+/\d+\.py", "<cell>", text)
    home = str(Path.home())
    return text.replace(home + os.sep, "~" + os.sep) if len(home) > 3 else text


def light(png):
    """A picture in 256 colours, which takes half of the bytes; as it was if it has them already or is smaller."""
    before, out = base64.b64decode(png), io.BytesIO()
    with Image.open(io.BytesIO(before)) as image:
        if image.mode == "P":
            return png
        image.convert("RGB").quantize(256).save(out, "PNG", optimize=True)
    return png if len(before) <= out.tell() else base64.b64encode(out.getvalue()).decode("ascii")


def tidy_output(cell, output):
    """Take the machine's folders out of an output, and give a picture few bytes and the alt text of its cell."""
    if "text" in output:
        output.text = without_private_paths(output.text)
    data = output.get("data", {})
    for mime, value in data.items():
        if mime.startswith(("text/", "image/svg")) and isinstance(value, str):
            data[mime] = without_private_paths(value)
    alt = cell.metadata.get("mystnb", {}).get("image", {}).get("alt")
    if "image/png" in data:
        data["image/png"] = light(data["image/png"])
    for mime in data:
        if mime.startswith("image/"):
            output.metadata[mime] = {**output.metadata.get(mime, {}), "alt": alt or ""}


def execute(nb, source):
    """Run all cells of `nb` in the folder of `source`; raises Broken with the file and the cell."""
    os.environ.update(ENVIRONMENT)
    name = source.relative_to(ROOT).as_posix()
    client = Client(
        nb,
        timeout=SECONDS_PER_CELL,
        record_timing=False,
        coalesce_streams=True,
        allow_errors=False,
        force_raise_errors=True,
        resources={"metadata": {"path": str(source.parent)}},
    )
    code = [cell for cell in nb.cells if cell.cell_type == "code"]
    started = []
    client.on_cell_execute = lambda cell, cell_index: started.append(cell)
    try:
        client.execute()
    except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
        number = next((n for n, cell in enumerate(code, 1) if started and cell is started[-1]), 1)
        reason = re.sub(r"\x1b\[[0-9;]*m", "", str(error)).strip()
        source = textwrap.indent(code[number - 1].source, "    ")
        told = f"{name}: code cell {number} failed; the notebook is left as it was.\n{source}\n{reason}"
        raise Broken(told) from None
    for number, cell in enumerate(code, 1):
        for output in cell.outputs:
            tidy_output(cell, output)
            if output.get("name") == "stderr":
                raise Broken(f"{name}: code cell {number} wrote to stderr:\n{output.text}")
    nb.metadata.language_info = {"name": "python"}  # without the patch version of Python, which is only noise
