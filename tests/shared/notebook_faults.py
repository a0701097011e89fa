"""What a committed notebook must not have. `faults(notebook)` lists it in words."""

import re

from book import ROOT

TAGS = {"hide-cell", "hide-input", "hide-output", "remove-cell", "nbval-ignore-output", "nbval-skip"}
IGNORED = {"nbval-ignore-output", "nbval-skip"}
LONGEST_LINE, MOST_LINES = 76, 12
HOMES = r"(?<![\w.])/(?:home|root|Users|tmp|private|var/folders)/\w|[A-Z]:\\+Users"
PRIVATE_PATH = re.compile(f"{HOMES}|{re.escape(str(ROOT))}")
MYST = {
    "a MyST directive": re.compile(r"^\s*(?:`{3,}|~{3,}|:{3,})\{[\w:-]+\}", re.M),
    "a colon fence": re.compile(r"^:{3,}", re.M),
    "a MyST role": re.compile(r"\{[\w:-]+\}`[^`]+`"),
    "a MyST label": re.compile(r"^\([\w:-]+\)=\s*$", re.M),
    "a labelled formula": re.compile(r"\$\$[ ]*\([\w:-]+\)"),
    "a macro of its own": re.compile(r"\\(?:newcommand|renewcommand|def|DeclareMathOperator|require)\b"),
}
POOR_ALT = re.compile(r"\s*|image|figure|plot|\S+\.(?:png|svg|jpe?g|gif)|[0-9a-f]{16,}.*", re.I)


def poor_alt(alt):
    """Whether an alt text tells nothing: none, a file name, or only that there is an image."""
    return not isinstance(alt, str) or POOR_ALT.fullmatch(alt) is not None


def text_of(output):
    """All text of an output, of whatever kind."""
    values = [output.get("text", ""), *(v for v in output.get("data", {}).values() if isinstance(v, str))]
    return "\n".join([*values, *output.get("traceback", [])])


def compared(cell):
    """Whether nbval compares an output of this cell with a new one."""
    tags = set(cell.metadata.get("tags", []))
    kinds = {kind for o in cell.get("outputs", []) for kind in o.get("data", {"text": ""})}
    return bool(cell.get("execution_count") and not tags & IGNORED and kinds - {"image/png", "image/jpeg"})


def output_faults(cell, output):
    if output.output_type == "error":
        yield f"ended in {output.ename}"
    if output.get("name") == "stderr":
        yield "wrote to stderr"
    data = output.get("data", {})
    words = text_of(output)
    if PRIVATE_PATH.search(words):
        yield f"shows a folder of somebody's machine: {PRIVATE_PATH.search(words)[0]}"
    for kind in data:
        if kind.startswith("image/") and poor_alt(output.metadata.get(kind, {}).get("alt")):
            yield "has a picture without alt text (mystnb: {image: {alt: …}})"
    for tag in re.findall(r"<img\b[^>]*>", data.get("text/html", "")):
        alt = re.search(r'\balt="([^"]*)"', tag)
        if alt is None or poor_alt(alt[1]):
            yield "has an <img> without alt text"


def code_faults(cell, number):
    tags = set(cell.metadata.get("tags", []))
    lines = cell.source.splitlines()
    if cell.execution_count != number:
        yield f"has the count {cell.execution_count}: the notebook was not run from top to bottom"
    if tags - TAGS:
        yield f"has the unknown tag {', '.join(sorted(tags - TAGS))}"
    if len(lines) > MOST_LINES:
        yield f"has {len(lines)} lines, more than {MOST_LINES}"
    if any(len(line) > LONGEST_LINE for line in lines if "%pip" not in line):
        yield f"has a line of more than {LONGEST_LINE} columns"
    if "### BEGIN SOLUTION" in cell.source:
        yield "gives a solution away"
    if cell.source.rstrip().endswith(";"):
        yield "ends in a semicolon, which hides nothing when the outputs are compared"
    for output in cell.outputs:
        yield from output_faults(cell, output)


def markdown_faults(cell):
    prose = re.sub(r"^(`{3,})(?!\{).*?^\1", "", cell.source, flags=re.M | re.S)
    for what, pattern in MYST.items():
        if pattern.search(prose):
            yield f"has {what}, which other readers of notebooks show raw"
    for alt, target in re.findall(r"!\[([^\]]*)\]\(([^)\s]+)", prose):
        if not target.startswith(("attachment:", "https://")):
            yield f"has the relative image {target}"
        if poor_alt(alt):
            yield f"has no alt text for {target}"
    if re.search(r"<(?:img|script|style|iframe)\b", prose):
        yield "has raw HTML that not every reader shows"


def faults(notebook):
    """Each fault as one line that names the cell."""
    found, code = [], 0
    if notebook.metadata.get("kernelspec", {}).get("name") != "python3":
        found.append("the kernel is not python3")
    for index, cell in enumerate(notebook.cells, 1):
        if cell.cell_type == "code":
            code += 1
            problems = code_faults(cell, code)
        else:
            problems = markdown_faults(cell)
        found += [f"cell {index} {problem}" for problem in problems]
    if not any(map(compared, notebook.cells)):
        found.append("no cell has an output that is compared")
    return found
