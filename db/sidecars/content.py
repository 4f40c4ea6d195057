"""What sidecars say, whatever their format, and how their bytes are text.

Nobody says reliably how a file is encoded. A byte order mark decides; then strict UTF-8; then what the file itself
names, where it can; then GB18030, which Chinese editors write. What is none of these is refused rather than guessed:
every file is valid Latin-1, and none that is silent about it means it.
"""

import codecs
from dataclasses import dataclass, field, replace
from operator import attrgetter
from typing import Final

from db.errors import Invalid
from db.shapes import Shape, checked

MAX_TOLD: Final = 100  # problems of one file
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
class Mark:
    """A label on an image. Without a shape it holds for the whole; `hard`: difficult to make out."""

    label: str
    shape: Shape | None = None
    confidence: float | None = None
    hard: bool = False
    line: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Sidecar:
    """Marks in the file's order. None: it says nothing that can be used, and labels stay as they are.

    `size`: the width and height that the file gives the image. `hard`: whether the image is a hard example; None where
    the format cannot say.
    """

    marks: tuple[Mark, ...] | None
    problems: tuple[Problem, ...] = ()
    size: tuple[int, int] | None = None
    hard: bool | None = None

    @property
    def told(self) -> tuple[Problem, ...]:
        """The problems, of which a file full of mistakes has more than anybody reads."""
        more = len(self.problems) - MAX_TOLD
        return self.problems if more <= 0 else (*self.problems[:MAX_TOLD], Problem(0, f"And {more:,} more problems."))

    @property
    def labels(self) -> tuple[str, ...] | None:
        """The labels' names, each once."""
        return None if self.marks is None else tuple(dict.fromkeys(mark.label for mark in self.marks))

    def on(self, *, kind: str, width: int, height: int) -> "Sidecar":
        """What it says of an image of this size in a dataset of this type; shapes that cannot be there are problems."""
        if self.marks is None:
            return self
        marks, problems = list[Mark](), list(self.problems)
        if self.size not in (None, (width, height)):
            told = "{} × {}".format(*self.size or ())
            problems.append(Problem(0, f"The image has {width} × {height} pixels; `size` says {told}."))
        for mark in self.marks:
            try:
                marks.append(_placed(mark, kind, width, height))
            except Invalid as refused:
                problems.append(Problem(mark.line, refused.message))
        said = tuple(marks) if marks or not self.marks else None
        hard = None if self.hard is None or said is None else any(mark.hard for mark in said)
        return replace(self, marks=said, problems=tuple(sorted(problems, key=attrgetter("line"))), hard=hard)


def _placed(mark: Mark, kind: str, width: int, height: int) -> Mark:
    if mark.shape is None:
        return mark
    return replace(mark, shape=checked(mark.shape, kind=kind, width=width, height=height))


def useless(message: str, line: int = 0) -> Sidecar:
    return Sidecar(None, (Problem(line, message),))


def decoded(data: bytes, *, named: str | None = None) -> str | None:
    """The text of a file, or None. `named`: the encoding that it claims for itself."""
    for mark, encoding in MARKS:
        if data.startswith(mark):
            return _strictly(data[len(mark) :], encoding)
    if b"\0" in data:  # UTF-16 without a mark, which GB18030 would read as rubbish
        return None
    tried = ("utf-8", named, "gb18030")
    return next((text for each in tried if each is not None and (text := _strictly(data, each)) is not None), None)


def _strictly(data: bytes, encoding: str) -> str | None:
    try:
        return data.decode(encoding)
    except UnicodeDecodeError:
        return None
