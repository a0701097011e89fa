"""Who handed in what: student ids out of file names, the newest file of each, and the roster."""

from __future__ import annotations

import contextlib
import csv
import hashlib
import io
import math
import os
import re
import stat
import unicodedata
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path, PurePosixPath

from cnnlib.grading import notebook
from cnnlib.grading.notebook import SubmittedFile, decode

# How learning platforms name files; every pattern has a group `id` and may have one `name`.
NAME_PATTERNS = {
    "file": r"(?:.*/)?(?P<id>[^/]+?)(\.ipynb)?(\.\w+)?$",
    "folder": r"(?P<id>[^/]+)/.+$",
    "moodle": r"(?P<name>[^/]+?)_(?P<id>\d+)_assign\w*?_(?:file|onlinetext)_?/?.*$",
    "canvas": r"(?:.*/)?(?P<name>[^/_]+)(?:_LATE_|_)(?P<id>\d+)_\d+_.*$",
    "gradescope": r"(?:.*/)?submission_(?P<id>\d+)/.+$",
}
LONGEST = 1000  # characters of a path
COPY = re.compile(r"^(?:copy of |copie de |kopie von |copia de )+|(?: ?\(\d+\)| - copy| copy)+$", re.I)


@dataclass(frozen=True)
class Submission:
    """One student: id, name if known, file if any, and what an instructor should know.

    ``original`` is the file's path as the platform named it; ``fault`` says why the file cannot be read.
    """

    id: str
    name: str = ""
    file: Path | None = None
    review: tuple[str, ...] = ()
    original: str = ""
    fault: str = ""

    @property
    def handed_in(self) -> float:
        """When its file was handed in, or last changed, in seconds; 0 without one."""
        return self.file.lstat().st_mtime if self.file else 0.0

    def late_days(self, due: datetime) -> int:
        """Days begun after the date when it was due."""
        return max(0, math.ceil((self.handed_in - due.timestamp()) / 86_400))


def collect(folder: Path, names: str | None, roster: Path | None, scratch: Path) -> list[Submission]:
    """One for each student found in the folder, or zip archive, or in the roster; sorted by id.

    Archives are unpacked into ``scratch``.

    ``names``: a key of NAME_PATTERNS or a regular expression with a group ``id``, for paths relative to the folder;
    None is "file", where nothing speaks against it. Raises ``ValueError`` for a pattern without such a group, or one
    that fits no file, and a roster without a column ``id``.
    """
    pattern = compile_pattern(names or "file")
    handed_in = submitted_files(folder, scratch)
    if names is None or names in NAME_PATTERNS:
        handed_in = without_common_folder(handed_in)
    if names is None and (better := likely_names([file.name for file in handed_in])):
        raise ValueError(
            f"these files are named as for --names {better}: say so, or --names file if they are not"
        )
    people = gradescope_people(notebook.metadata_of(folder)) if names == "gradescope" else {}
    found: dict[str, list[Submission]] = {}
    for file in handed_in:
        submission = identify(file, pattern)
        if submission.id in people:
            student, name = people[submission.id]
            submission = replace(submission, id=student, name=name)
        found.setdefault(submission.id, []).append(submission)
    if handed_in and not any(pattern.match(normalized(file.name)) for file in handed_in):
        raise ValueError(
            f"--names {names} fits no file; the first of them is {normalized(handed_in[0].name)!r}"
        )
    students = {student: newest(handed_in) for student, handed_in in found.items()}
    if roster is not None:
        listed = read_roster(roster)
        for student, submission in students.items():
            if student in listed:
                students[student] = replace(submission, name=listed[student] or submission.name)
            else:
                students[student] = replace(submission, review=(*submission.review, "not in the roster"))
        students = {student: Submission(student, name) for student, name in listed.items()} | students
    return [students[student] for student in sorted(students)]


def likely_names(files: list[str]) -> str:
    """The platform whose pattern fits nearly all file names, or the one by which there are more students; else ""."""
    fits = {
        platform: [found["id"] for name in files if (found := re.match(pattern, name, re.S))]
        for platform, pattern in NAME_PATTERNS.items()
    }
    for platform in ("moodle", "canvas", "gradescope"):
        if files and len(fits[platform]) >= 0.9 * len(files):
            return platform
    return "folder" if len(set(fits["folder"])) > len(set(fits["file"])) else ""


def gradescope_people(metadata: bytes) -> dict[str, tuple[str, str]]:
    """The student's own id and name for each number of a submission, out of the list in an export of Gradescope."""
    import yaml  # jupytext brings it

    people = {}
    with contextlib.suppress(
        yaml.YAMLError, AttributeError, LookupError, TypeError
    ):  # then the numbers stand
        for submission, about in yaml.safe_load(metadata).items():
            first = about[":submitters"][0]
            if student := first.get(":sid") or first.get(":email"):
                people[submission.removeprefix("submission_")] = (
                    clean_id(str(student)),
                    str(first.get(":name") or ""),
                )
    return people


def compile_pattern(names: str) -> re.Pattern:
    """The pattern of a learning platform, or one that the user wrote."""
    try:
        pattern = re.compile(NAME_PATTERNS.get(names, names), re.S)
    except re.error as error:
        raise ValueError(
            f"names={names!r} is no regular expression ({error}) and none of {', '.join(NAME_PATTERNS)}"
        ) from None
    if "id" not in pattern.groupindex:
        raise ValueError(
            f"names={names!r} needs a group (?P<id>...) or must be one of {', '.join(NAME_PATTERNS)}"
        )
    return pattern


def submitted_files(folder: Path, scratch: Path) -> list[SubmittedFile]:
    """Every file below the folder, or in the archive, but hidden ones."""
    if folder.is_dir():
        found = []
        for here, folders, names in os.walk(folder):
            folders[:] = sorted(name for name in folders if not notebook.is_hidden(name))
            found += [Path(here, name) for name in sorted(names) if not notebook.is_hidden(name)]
        handed_in = [SubmittedFile(normalized(path.relative_to(folder).as_posix()), path) for path in found]
    else:
        handed_in = notebook.unpack(folder, scratch / "all")
    return [
        notebook.unpack_single(file, scratch / str(n))
        if file.path.suffix.lower() == ".zip" and not file.fault and stat.S_ISREG(file.path.lstat().st_mode)
        else file
        for n, file in enumerate(handed_in)
    ]


def without_common_folder(handed_in: list[SubmittedFile]) -> list[SubmittedFile]:
    """Names without the one folder that holds the folders of all students, as in a zipped folder."""
    paths = [PurePosixPath(file.name).parts for file in handed_in]
    folders = {parts[1] for parts in paths if len(parts) > 2}
    if len({parts[:1] for parts in paths}) > 1 or len(folders) < 2:
        return handed_in
    return [replace(file, name=file.name.partition("/")[2]) for file in handed_in]


def normalized(name: str) -> str:
    """A file name as text that every file can hold, in one Unicode form, of bearable length."""
    name = unicodedata.normalize("NFC", name.encode("utf-8", "surrogateescape").decode("utf-8", "replace"))
    if len(name) <= LONGEST:
        return name
    return (
        f"{name[: LONGEST // 2]}-{hashlib.sha256(name.encode()).hexdigest()[:16]}{notebook.suffix_of(name)}"
    )


def identify(file: SubmittedFile, pattern: re.Pattern) -> Submission:
    """The student whose file this is; a name that does not fit the pattern is the id itself."""
    name = normalized(file.name)
    submission = Submission(clean_id(name), file=file.path, original=name, fault=file.fault)
    found = pattern.match(name)
    if not found:
        return replace(submission, review=("file name does not fit --names",))
    late = ("handed in late, says Canvas",) if "_LATE_" in name and "_LATE_" in pattern.pattern else ()
    name = (found.groupdict().get("name") or "").strip()
    return replace(submission, id=clean_id(found["id"]), name=name, review=late)


def clean_id(student: str) -> str:
    """An id without what copying puts around it, control characters and double spaces."""
    printable = "".join(c if c.isprintable() else " " for c in student)
    return COPY.sub("", " ".join(printable.split())).strip() or "unnamed"


def newest(handed_in: list[Submission]) -> Submission:
    """The newest notebook of one student, else the newest of what there is; the others are named."""

    def rank(submission: Submission) -> tuple:
        return (
            -1 if submission.fault else notebook.suffix_rank(submission.file.name),
            submission.file.lstat().st_mtime,
            submission.original,
        )

    *rest, last = sorted(handed_in, key=rank)
    if not rest:
        return last
    others = ", ".join(PurePosixPath(submission.original).name for submission in reversed(rest))
    counts = PurePosixPath(last.original).name
    return replace(last, review=(*last.review, f"several files: {counts} counts, not {others}"))


def read_rows(path: Path) -> tuple[list[str], list[dict[str, str]]]:
    """Columns and rows of a CSV file as people have them: from Excel, with commas, semicolons or tabs."""
    text = decode(path.read_bytes())
    reader = csv.DictReader(io.StringIO(text), delimiter=max(",;\t", key=text.partition("\n")[0].count))
    rows = [
        {column: value or "" for column, value in row.items() if isinstance(column, str)} for row in reader
    ]
    return list(reader.fieldnames or ()), rows


def read_roster(path: Path) -> dict[str, str]:
    """Ids and names of a CSV file with columns ``id`` and, if there is one, ``name``."""
    columns, rows = read_rows(path)
    if not rows or "id" not in columns:
        raise ValueError(
            f"roster={str(path)!r}: the file needs a first line with a column named id, and students below it"
        )
    return {
        clean_id(unicodedata.normalize("NFC", row["id"])): row.get("name", "").strip()
        for row in rows
        if row["id"]
    }
