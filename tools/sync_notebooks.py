"""chapters/**/*.md (the files people edit) -> chapters/**/*.ipynb with outputs.

    python tools/sync_notebooks.py                   execute what changed; keep outputs where only prose did
    python tools/sync_notebooks.py chapters/vgg.md   the same for some files
    python tools/sync_notebooks.py --force           execute everything again
    python tools/sync_notebooks.py --check           exit 1, and say which, if one is not what its text says

The direction is always text to notebook, and what counts is the content, never the time of a file. A notebook
gets a first code cell that installs the package where it is missing, and its links lead to the published
site, so that one notebook file alone can be opened and run anywhere.
"""

import argparse
import hashlib
import os
import re
import sys
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path, PurePosixPath
from posixpath import normpath

import jupytext
import nbformat
from book import BRANCH, REPOSITORY, ROOT, SITE, address, sources, texts_of_notebooks
from run_notebook import Broken, execute, tidy_output

from cnnlib.grading.source import student_notebook

KERNEL = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
INSTALL = f"try:\n    import cnnlib\nexcept ImportError:\n    %pip install -q git+{REPOSITORY}"


# What the text says


def install_cell():
    prompt = {"code_prompt_show": "Set-up: installs cnnlib where it is missing"}
    return nbformat.v4.new_code_cell(INSTALL, metadata={"tags": ["hide-input"], "mystnb": prompt})


def absolute(target, folder):
    """Where a link of a notebook in `folder` (of the repository) leads once the notebook stands alone."""
    path, hash_sign, anchor = target.partition("#")
    if not path or re.match(r"[\w+.-]+:|/", path):  # an anchor of this page, a full address, an attachment
        return target
    path = normpath((PurePosixPath(folder) / path).as_posix())
    page, dot, suffix = path.rpartition(".")
    if suffix in ("ipynb", "md") and (page == "index" or page.startswith(("chapters/", "pages/"))):
        return f"{SITE}{page}.html{hash_sign}{anchor}"
    return address.view(REPOSITORY, BRANCH, path) + hash_sign + anchor


CODE_OR_LINK = re.compile(
    r"(?P<code>^(?P<fence>`{3,}|~{3,}).*?^(?P=fence)|(?P<tick>`+)(?!`).+?(?P=tick)(?!`))"
    r"|(?P<before>(?<!\\)\]\(<?|^ {0,3}\[[^\]\n]+\]: *<?)(?P<target>[^\s<>)]+)",
    re.M | re.S,
)


def with_absolute_links(markdown, folder):
    def change(found):
        return found["code"] or found["before"] + absolute(found["target"], folder)

    return CODE_OR_LINK.sub(change, markdown)


def described(source):
    """The notebook that a text describes: install cell, absolute links, stable ids, no outputs.

    An exercise sheet is described in the form that students get, without its solutions.
    """
    text = source.read_text(encoding="utf8")
    is_sheet = source.parent.name == "exercises"
    nb = student_notebook(text) if is_sheet else jupytext.reads(text, fmt="md:myst")
    nb.metadata = {"kernelspec": dict(KERNEL), "language_info": {"name": "python"}}
    nb.nbformat, nb.nbformat_minor = 4, 5
    folder = source.parent.relative_to(ROOT).as_posix()
    first_text = next((i for i, cell in enumerate(nb.cells) if cell.cell_type == "markdown"), -1)
    nb.cells.insert(first_text + 1, install_cell())
    seen = {}
    for cell in nb.cells:
        cell.metadata.pop("trusted", None)
        if cell.cell_type == "markdown":
            cell.source = with_absolute_links(cell.source, folder)
        digest = hashlib.sha1(f"{cell.cell_type}\0{cell.source}".encode()).hexdigest()[:12]
        seen[digest] = seen.get(digest, 0) + 1
        cell.id = f"{digest}-{seen[digest]}"
    return nb


def code_digest(nb):
    """Changes when a code cell or its tags change: then the outputs are no longer those of this code."""
    cells = [(c.source, sorted(c.metadata.get("tags", []))) for c in nb.cells if c.cell_type == "code"]
    return hashlib.sha1(repr(cells).encode()).hexdigest()


def package_digest():
    digest = hashlib.sha1()
    for file in sorted((ROOT / "cnnlib").rglob("*.py")):
        text = file.read_text(encoding="utf8")
        digest.update(f"{file.relative_to(ROOT).as_posix()}\0{text}\0".encode())
    return digest.hexdigest()


# Text and notebook in step


def stored(source):
    """The notebook beside `source`, or None."""
    path = source.with_suffix(".ipynb")
    return nbformat.read(path, as_version=4) if path.exists() else None


def faults(source):
    """Why the notebook beside `source` is not the one its text describes; empty if it is."""
    old, new = stored(source), described(source)
    if old is None:
        return ["there is no notebook"]
    found = []
    if old.metadata.get("cnnlib", {}).get("code") != code_digest(new):
        found.append("it was run from other code")
    old_cells = [(c.cell_type, c.get("id"), c.source, dict(c.metadata)) for c in old.cells]
    new_cells = [(c.cell_type, c.id, c.source, dict(c.metadata)) for c in new.cells]
    if old_cells != new_cells:
        pairs = enumerate(zip(old_cells, new_cells, strict=False), 1)
        at = next((number for number, (a, b) in pairs if a != b), "at the end")
        found.append(f"cell {at} is not what the text says")
    return found


def build(source, force):
    """Make the notebook of one text; returns what was done."""
    name = source.with_suffix(".ipynb").relative_to(ROOT).as_posix()
    old, new = stored(source), described(source)
    code, package = code_digest(new), package_digest()
    made_from = {} if old is None else old.metadata.get("cnnlib", {})
    if not force and made_from.get("code") == code == code_digest(old):
        outputs = iter([cell for cell in old.cells if cell.cell_type == "code"])
        for cell in (cell for cell in new.cells if cell.cell_type == "code"):
            before = next(outputs)
            cell.outputs, cell.execution_count = before.outputs, before.execution_count
            for output in cell.outputs:
                tidy_output(cell, output)
        package, done = made_from.get("package"), "outputs kept"
    else:
        execute(new, source)
        done = "executed"
    new.metadata["cnnlib"] = {"code": code, "package": package}
    nbformat.validate(new)
    write(source.with_suffix(".ipynb"), nbformat.writes(new).rstrip("\n") + "\n")
    return f"{name}: {done}"


def write(path, text):
    """Write all or nothing: a stop half way leaves the old file."""
    half = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        half.write_text(text, encoding="utf8", newline="\n")
        half.replace(path)
    finally:
        half.unlink(missing_ok=True)


def check(files):
    """Exit status of --check: 1 if a notebook is out of step with its text."""
    wrong = {file: faults(file) if file.exists() else ["there is no text"] for file in files}
    for file, reasons in wrong.items():
        for reason in reasons:
            print(f"OUT OF STEP {file.with_suffix('.ipynb').relative_to(ROOT).as_posix()}: {reason}")
    now = package_digest()
    older = [f.stem for f in files if not wrong[f] and stored(f).metadata["cnnlib"].get("package") != now]
    if older:
        print(f"warning: cnnlib has changed since these were executed: {', '.join(older)}")
    bad = sum(map(bool, wrong.values()))
    print(f"{len(files) - bad} of {len(files)} notebooks are what their texts say")
    return int(bool(bad))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="*", type=Path, help="texts (.md); all of them if none is named")
    parser.add_argument("--check", action="store_true", help="only compare, by content")
    parser.add_argument("--force", action="store_true", help="execute again even where the code is unchanged")
    parser.add_argument("-j", type=int, default=2, metavar="N", help="notebooks at once (default 2)")
    asked = parser.parse_args()
    files = [file.resolve().with_suffix(".md") for file in asked.files] or sources()
    if missing := [file for file in map(Path, asked.files) if not file.with_suffix(".md").exists()]:
        parser.error(f"there is no text {', '.join(map(str, missing))}")
    if asked.check:
        return check(files if asked.files else sorted({*files, *texts_of_notebooks()}))
    failed = 0
    with ProcessPoolExecutor(asked.j) as pool:
        for work in as_completed([pool.submit(build, file, asked.force) for file in files]):
            try:
                print(work.result(), flush=True)
            except Broken as error:
                failed += 1
                print(f"FAILED {error}", file=sys.stderr, flush=True)
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
