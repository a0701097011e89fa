"""The built site, made once for all workers, and a small book in a temporary folder to plant faults in."""

import functools
import http.server
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from filelock import FileLock
from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parents[2]
FLAGS = [
    *("--no-sandbox", "--disable-background-networking", "--disable-component-update", "--disable-sync"),
    "--no-first-run",
]
HEADER = """---
jupytext:
  text_representation:
    extension: .md
    format_name: myst
kernelspec:
  display_name: Python 3 (ipykernel)
  language: python
  name: python3
---

"""
TINY = (
    HEADER
    + """# Tiny

See the [other page](../pages/other.md#a-part), [this](tiny.ipynb) and [its source](../cnnlib/shapes.py).

```{code-cell} ipython3
print(6 * 7)
```
"""
)


def build_site(source, target):
    """Run the same command as `make book`; returns the finished process."""
    program = shutil.which("jupyter-book", path=str(Path(sys.executable).parent))
    command = [program, "build", str(source), "--path-output", str(target), "-W", "--keep-going", "-n"]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="session")
def site(tmp_path_factory, worker_id):
    """Folder of the built site."""
    shared = tmp_path_factory.getbasetemp()
    if worker_id != "master":
        shared = shared.parent
    with FileLock(shared / "site.lock"):
        report = shared / "site.txt"
        if not report.exists():
            built = build_site(ROOT, shared / "site")
            report.write_text(f"{built.returncode}\n{built.stdout}{built.stderr}", encoding="utf8")
    code, _, text = report.read_text(encoding="utf8").partition("\n")
    assert code == "0", f"the book does not build:\n{text[-4000:]}"
    return shared / "site" / "_build" / "html"


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        pass


@pytest.fixture(scope="module")
def address_of_site(site):
    handler = functools.partial(QuietHandler, directory=str(site))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()


@pytest.fixture(scope="module")
def browser(chromium):
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield browser
        browser.close()


class SmallBook:
    """A book of two pages with the real configuration, extension and tools."""

    def __init__(self, root):
        self.root = root
        for name in ("_config.yml", "_ext", "_assets", "tools"):
            source = ROOT / name
            (shutil.copytree if source.is_dir() else shutil.copyfile)(source, root / name)
        self.write("_toc.yml", "format: jb-book\nroot: index\nparts:\n  - caption: All\n    chapters:\n"
                   "      - file: chapters/tiny\n      - file: pages/other\n")  # fmt: skip
        self.write("index.md", "# A small book\n\nWords.\n")
        self.write("pages/other.md", "# Other\n\n## A part\n\nWords.\n")
        self.write("cnnlib/shapes.py", "")
        self.write("chapters/tiny.md", TINY)
        self.text = root / "chapters" / "tiny.md"
        self.notebook = root / "chapters" / "tiny.ipynb"

    def write(self, name, text):
        (self.root / name).parent.mkdir(parents=True, exist_ok=True)
        (self.root / name).write_text(text, encoding="utf8")

    def sync(self, *arguments):
        command = [sys.executable, str(self.root / "tools" / "sync_notebooks.py"), *arguments]
        environment = os.environ | {"PYTHONWARNINGS": "default"}
        return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)

    def build(self):
        return build_site(self.root, self.root / "out")


@pytest.fixture
def small_book(tmp_path):
    return SmallBook(tmp_path)


@pytest.fixture(scope="module")
def notebook_of_small_book(tmp_path_factory):
    """The bytes of the notebook that the first run makes of the small book."""
    book = SmallBook(tmp_path_factory.mktemp("book"))
    made = book.sync()
    assert made.returncode == 0, made.stderr
    return book.notebook.read_bytes()


@pytest.fixture
def synced_book(small_book, notebook_of_small_book):
    """A small book after its first run."""
    small_book.notebook.write_bytes(notebook_of_small_book)
    return small_book
