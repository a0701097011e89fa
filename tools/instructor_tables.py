"""The tables of pages/instructors.md, made from the sheets and chapters themselves: python tools/instructor_tables.py

A sheet tells its title, its minutes and its exercises; the package, what brings points; a chapter, how long it
takes to read. Run it again when a sheet or a chapter has changed or come in; a test holds the page to it.
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # so that it describes this clone, whatever is installed

from cnnlib.grading import source  # noqa: E402

PAGE = ROOT / "pages" / "instructors.md"
CHAPTERS = ROOT / "chapters"
TITLE = re.compile(r"^# (?:Exercises: )?([^:\n]+)", re.M)
HEADING = re.compile(r"^## (?:Exercise|Question) \d+ · (.+) \(", re.M)
MINUTES = re.compile(r"^\*.* · about (\d+) min\b", re.M)
READING = re.compile(r"^\*.*reading (\d+) min\b", re.M)
PRACTICE = 2  # points that an exercise without points stands for when the minutes of a sheet are shared out

# Chapters of each week, and the sheets due at its end.
SIX_WEEKS = [
    (["intro", "cost"], []),
    (["measured", "lenet"], ["cost"]),
    (["alexnet", "zfnet"], ["lenet"]),
    (["vgg", "nin"], ["alexnet"]),
    (["googlenet", "batchnorm", "resnet"], ["vgg"]),
    (["complexity", "ensembles"], ["resnet"]),
]
TWELVE_WEEKS = [
    (["intro", "cost"], []),
    (["measured", "lenet"], ["cost"]),
    (["alexnet"], ["lenet"]),
    (["zfnet"], ["alexnet"]),
    (["vgg"], ["zfnet"]),
    (["nin"], ["vgg"]),
    (["googlenet"], ["nin"]),
    (["batchnorm"], ["googlenet"]),
    (["resnet"], ["batchnorm"]),
    (["complexity"], ["resnet"]),
    (["ensembles"], ["complexity"]),
    ([], ["ensembles"]),
]


def text_of(*parts):
    """The text of a chapter or sheet; "" if there is none."""
    path = CHAPTERS.joinpath(*parts[:-1], f"{parts[-1]}.md")
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def title(text):
    """The name of a chapter or sheet, without its question."""
    name = TITLE.search(text)[1].strip()
    return name[0].upper() + name[1:]


def sheets():
    """Names of the sheets, in the order of the book."""
    return re.findall(r"file: chapters/exercises/(\w+)", (ROOT / "_toc.yml").read_text(encoding="utf-8"))


def exercises(name):
    """Of a sheet: (function, title, kind, points) of everything that is asked; points are None for practice."""
    text = text_of("exercises", name)
    sheet = source.sheet_of(text)
    rows = [
        (
            e.name,
            "practice" if not e.probes else "graded, a design" if e.given else "graded",
            e.points or None,
        )
        for e in sheet.exercises
    ] + [(question, "question", points) for question, points in sheet.manual.items()]
    return [(name, heading, kind, points) for heading, (name, kind, points) in
            zip(HEADING.findall(text), rows, strict=True)]  # fmt: skip


def minutes(name):
    """What the sheet says of itself."""
    return int(MINUTES.search(text_of("exercises", name))[1])


def shared(name):
    """Minutes of each exercise: its share of the sheet's by points, to the nearest five."""
    weights = [points or PRACTICE for *_, points in exercises(name)]
    return [max(5, 5 * round(minutes(name) * weight / sum(weights) / 5)) for weight in weights]


def sheets_table():
    """A row a sheet."""
    lines = ["| sheet | functions | questions | points | minutes |", "|---|---:|---:|---:|---:|"]
    for name in sheets():
        rows = exercises(name)
        asked = [points or 0 for _, _, kind, points in rows if kind == "question"]
        graded = sum(points or 0 for *_, points in rows) - sum(asked)
        lines.append(
            f"| [{title(text_of('exercises', name))}](../chapters/exercises/{name}.ipynb) | {len(rows) - len(asked)} "
            f"| {len(asked)} | {graded} + {sum(asked)} | {minutes(name)} |"
        )
    return "\n".join(lines)


def exercises_table():
    """A row an exercise."""
    lines = ["| sheet | exercise | what | kind | points | minutes |", "|---|---|---|---|---:|---:|"]
    for name in sheets():
        for n, (row, share) in enumerate(zip(exercises(name), shared(name), strict=True)):
            function, what, kind, points = row
            sheet = title(text_of("exercises", name)) if n == 0 else ""
            lines.append(f"| {sheet} | `{function}` | {what} | {kind} | {points or ''} | {share} |")
    return "\n".join(lines)


def plan(weeks):
    """A row a week: chapters, what is due, hours of reading and exercises."""
    lines = ["| week | chapters | due | hours |", "|---:|---|---|---:|"]
    for number, (chapters, due) in enumerate(weeks, 1):
        links = (
            ", ".join(f"[{title(text_of(name))}](../chapters/{name}.ipynb)" for name in chapters)
            or "a report"
        )
        time, asked = sum(int(READING.search(text_of(name))[1]) for name in chapters), []
        for name in due:
            if name in sheets():
                asked.append(f"sheet *{title(text_of('exercises', name))}*")
                time += minutes(name)
            else:
                asked.append(f"the exercises on the page of *{title(text_of(name))}*")
        lines.append(f"| {number} | {links} | {', '.join(asked)} | {f'{time / 60:.1f}' if time else ''} |")
    return "\n".join(lines)


def made(page):
    """The page with its tables made anew, each between a line ``<!-- NAME -->`` and ``<!-- end of NAME -->``."""
    tables = {
        "sheets": sheets_table(),
        "exercises": exercises_table(),
        "six weeks": plan(SIX_WEEKS),
        "twelve weeks": plan(TWELVE_WEEKS),
    }
    for name, table in tables.items():
        between = re.compile(rf"(?<=<!-- {name} -->\n).*?(?=<!-- end of {name} -->)", re.S)
        if not between.search(page):
            raise ValueError(
                f"{PAGE.name} has no place <!-- {name} --> ... <!-- end of {name} --> for a table"
            )
        page = between.sub(lambda _, table=table: f"\n{table}\n\n", page)
    return page


if __name__ == "__main__":
    PAGE.write_text(made(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    print(f"wrote {PAGE.relative_to(ROOT)}")
