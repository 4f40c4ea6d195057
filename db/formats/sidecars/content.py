"""What sidecars say, whatever their format, and how their bytes are text.

Nobody says reliably how a file is encoded. A byte order mark decides; then strict UTF-8; then what the file itself
names, where it can; then GB18030, which Chinese editors write. What is none of these is refused rather than guessed:
every file is valid Latin-1, and none that is silent about it means it.
"""

import codecs
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from operator import attrgetter
from typing import Any, Final

from db.errors import Invalid
from db.formats.shapes import Raster, Shape, checked, stored

MAX_REPORTED: Final = 100  # problems of one file
MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong with a sidecar. `line` counts from 1; 0 is the file as a whole. `name`: of a label, if that is
    what is wrong: then it is said once of the name, not of every place where it stands."""

    line: int
    message: str
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Attributes:
    """What a VOC file says of an object beside its shape. `pose` None: unspecified."""

    difficult: bool = False
    truncated: bool = False
    occluded: bool = False
    pose: str | None = None

    def to_json(self) -> dict[str, Any] | None:
        """As it is stored: what is said of few objects only. None: nothing is."""
        values = ((name, getattr(self, name)) for name in self.__slots__)
        return {name: value for name, value in values if value} or None

    @classmethod
    def from_json(cls, given: Mapping[str, Any] | None) -> "Attributes":
        return cls(**(given or {}))


@dataclass(frozen=True, slots=True)
class ParsedAnnotation:
    """A label on an image. Without a shape it holds for the whole."""

    label: str
    shape: Shape | None = None
    confidence: float | None = None
    attributes: Attributes = Attributes()
    line: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Sidecar:
    """Marks in the file's order. None: it says nothing that can be used, and labels stay as they are.

    `size`: the width and height that the file gives the image. `hard`: whether the image is a hard example; None where
    the format cannot say.
    """

    marks: tuple[ParsedAnnotation, ...] | None
    problems: tuple[Problem, ...] = ()
    size: tuple[int, int] | None = None
    hard: bool | None = None

    @property
    def told(self) -> tuple[Problem, ...]:
        """The problems, of which a file full of mistakes has more than anybody reads."""
        told = tuple(problem for problem in self.problems if problem.name is None)
        more = len(told) - MAX_REPORTED
        return told if more <= 0 else (*told[:MAX_REPORTED], Problem(0, f"And {more:,} more problems."))

    @property
    def refused_names(self) -> dict[str, tuple[Problem, int]]:
        """Names that no label of the dataset can have: the first problem of each, and how many there are."""
        found: dict[str, tuple[Problem, int]] = {}
        for problem in self.problems:
            if problem.name is not None:
                first, count = found.get(problem.name, (problem, 0))
                found[problem.name] = first, count + 1
        return found

    @property
    def labels(self) -> tuple[str, ...] | None:
        """The labels' names, each once."""
        return None if self.marks is None else tuple(dict.fromkeys(mark.label for mark in self.marks))

    def on(self, *, kind: str, raster: Raster) -> "Sidecar":
        """What it says of this image in a dataset of this type. Shapes that cannot be there are problems."""
        if self.marks is None:
            return self
        if not self._fits(raster):
            said = "{} × {}".format(*self.size or ())
            message = (
                f"The image has {raster.width} × {raster.height} pixels; `size` says {said}. Nothing in the file was "
                "taken: correct its `size`, or remove it."
            )
            return replace(self, marks=None, problems=(*self.problems, Problem(0, message)), hard=None)
        is_turned = self.size not in (None, raster.size)
        marks, problems = list[ParsedAnnotation](), list(self.problems)
        if raster.orientation > 1 and any(mark.shape is not None for mark in self.marks):
            problems += _doubts(self.size, raster, is_turned=is_turned)
        for mark in self.marks:
            try:
                marks.append(_placed(mark, kind, raster, is_turned=is_turned))
            except Invalid as refused:
                problems.append(Problem(mark.line, refused.message))
        found = tuple(marks) if marks or not self.marks else None
        hard = None if self.hard is None or found is None else any(mark.attributes.difficult for mark in found)
        return replace(self, marks=found, problems=tuple(sorted(problems, key=attrgetter("line"))), hard=hard)

    def _fits(self, raster: Raster) -> bool:
        return self.size is None or self.size in (raster.size, raster.upright)


def _doubts(size: tuple[int, int] | None, raster: Raster, *, is_turned: bool) -> list[Problem]:
    """What there is to say of shapes on an image that viewers turn."""
    if is_turned:
        message = "The shapes were drawn on the upright picture, as `size` tells; they were turned into stored pixels."
    elif size is None or raster.size == raster.upright:
        message = (
            f"Viewers turn this image (EXIF orientation {raster.orientation}), and `size` does not tell whether the "
            "shapes were drawn on the stored or on the upright picture; they were taken as they are, in stored pixels."
        )
    else:
        return []
    return [Problem(0, message)]


def _placed(mark: ParsedAnnotation, kind: str, raster: Raster, *, is_turned: bool) -> ParsedAnnotation:
    if mark.shape is None:
        return mark
    shape = stored(mark.shape, raster) if is_turned else mark.shape
    return replace(mark, shape=checked(shape, kind=kind, width=raster.width, height=raster.height))


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
