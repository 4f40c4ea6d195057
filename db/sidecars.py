"""Sidecars: the `.txt` beside an image that names its labels, one on a line. Pure functions over bytes.

Nobody says how the file is encoded. A byte order mark decides; then strict UTF-8; then GB18030, which Chinese editors
write. What is neither is refused rather than guessed: every file is valid Latin-1, and none means it.
"""

import codecs
from dataclasses import dataclass
from typing import Final

from db.errors import Invalid
from db.names import label_name

MAX_BYTES: Final = 64 * 1024
MAX_LABELS: Final = 1_000  # lines that name a label
BLANKS: Final = " \t\r\f\v\u00a0\u3000\ufeff"  # what an editor leaves at the ends of a line
MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong with a sidecar. `line` counts from 1; 0 is the file as a whole."""

    line: int
    message: str


@dataclass(frozen=True, slots=True)
class Sidecar:
    """Labels in the file's order, each once. None: it says nothing that can be used, and labels stay as they are."""

    labels: tuple[str, ...] | None
    problems: tuple[Problem, ...] = ()


def parse(data: bytes) -> Sidecar:
    """Read a label file. An empty one says "no labels"; one with nothing but mistakes says nothing."""
    if len(data) > MAX_BYTES:
        return _useless(f"A label file has at most {MAX_BYTES // 1024} KiB; it was not read.")
    text = _decoded(data)
    if text is None:
        return _useless("The text is neither UTF-8 nor GB18030; it was not read.")
    labels: dict[str, None] = {}
    problems: list[Problem] = []
    for number, line in enumerate(text.split("\n"), start=1):
        name = line.strip(BLANKS)
        if not name:
            continue
        if len(labels) + len(problems) >= MAX_LABELS:
            problems.append(Problem(number, f"A label file has at most {MAX_LABELS} labels; the rest was not read."))
            break
        try:
            labels[label_name(name)] = None
        except Invalid as refused:
            problems.append(Problem(number, refused.message))
    return Sidecar(tuple(labels) if labels or not problems else None, tuple(problems))


def _decoded(data: bytes) -> str | None:
    for mark, encoding in MARKS:
        if data.startswith(mark):
            return _strictly(data[len(mark) :], encoding)
    if b"\0" in data:  # UTF-16 without a mark, which GB18030 would read as rubbish
        return None
    utf8 = _strictly(data, "utf-8")
    return utf8 if utf8 is not None else _strictly(data, "gb18030")


def _strictly(data: bytes, encoding: str) -> str | None:
    try:
        return data.decode(encoding)
    except UnicodeDecodeError:
        return None


def _useless(message: str) -> Sidecar:
    return Sidecar(None, (Problem(0, message),))
