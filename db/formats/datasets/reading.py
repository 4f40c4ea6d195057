"""Data sets in the formats of other tools, as their readers see them: a stream of images, with what the files say of
each.

A reader is a function of `Files` and `ReadOptions`. It holds one image at a time, and finds problems where others would
fail: what is wrong with one image or one label is a `Problem`, and the rest is read. Only files that are not of the
format at all, or that end in the middle, raise Invalid; then nothing that was read before may be used.

Labels are as the file has them: they were not compared with the rules for names.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from io import SEEK_END
from typing import BinaryIO, Final, Literal, Protocol

from db.errors import Invalid
from db.formats.annotations import ParsedAnnotation
from db.formats.shapes import Raster, clamped, scaled, to_stored, validated
from db.formats.sidecars.content import UNCLEAR

MAX_ANNOTATIONS: Final = 10_000  # of one image
EMPTY: Final = "{} is empty: there is nothing in it."
SLACK: Final = 0.5  # pixels by which a shape may reach beyond its image, since tools round; it is cut there

Usage = Literal["TRAIN", "EVAL", "TEST", "INFERENCE"]
OutOfBounds = Literal["REFUSE", "CLAMP"]


class Files(Protocol):
    """The files of a data set: of a folder, an archive or a prefix in a bucket. `names` are relative paths with `/`,
    in the order of their code points, and can be asked for again."""

    def names(self) -> Iterable[str]: ...

    def open(self, name: str) -> BinaryIO:
        """The file, seekable; the caller closes it."""

    def contents(self, names: Iterable[str], length: int) -> Iterator[tuple[str, bytes]]:
        """Each of these files with its first `length` bytes, in this order; they may be fetched ahead."""


@contextmanager
def opened(files: Files, name: str) -> Iterator[BinaryIO]:
    """A file, whose name begins what is wrong with it as a whole: there may be others."""
    with files.open(name) as file:
        try:
            yield file
        except Invalid as refused:
            if not file.closed and not file.seek(0, SEEK_END):
                refused.message = EMPTY.format(name)
            elif not refused.message.lstrip("`").startswith(name):
                refused.message = f"{name}: {refused.message}"
            raise


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """`kind`: the type of the dataset that the images are for. `boxes`: of an object with a box and a mask or polygon,
    the box is read; it is in a dataset of boxes alone. `max_image`: bytes of an image that a file contains."""

    kind: str
    boxes: bool = False
    max_image: int = 5 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Problem:
    """`location`: a file, with a line (`train.csv:7`), or within JSON a pointer (`instances.json#/annotations/7`).
    `is_usage`: of an image's usage, which is none that there is."""

    location: str
    message: str
    is_usage: bool = False


@dataclass(frozen=True, slots=True)
class Contained:
    """Where an image is that the files contain: it is `file`, or a `part` of it: of Parquet a group of rows and the row
    in it, of a tar file the position of the first byte and the number of bytes. `name`: of the image in that file."""

    file: str
    part: tuple[int, int] | None = None
    name: str = ""


@dataclass(frozen=True, slots=True)
class Place:
    """Where an image may be among the files, and the path that it gets if it is there; None: that of its file. Both are
    from the folder of the file that says it, or from the root. `is_last`: only if there is none at the image's path."""

    file: str
    path: str | None = None
    is_last: bool = False


@dataclass(frozen=True, slots=True)
class ImageRecord:
    """An image, and what the files say of it.

    `path` is as the files say it: relative to some folder, absolute, or a URL; it may contain `..`, but no NUL. Without
    `has_suffix` it is a path without suffix, of whichever image has that. `folder`: of the file that says it.
    `annotations` None: nothing that can be used; empty: there are none. `size`: the image's width and height according
    to the file. `is_relative`: shapes are in fractions of the width and height. `within`: before an annotation's
    `line`, its location. `content`: the image itself, where a file contains it, and `contained` where it is. `drawn`:
    on the image as it is stored, or as viewers show it, turned by its EXIF orientation; where `size` says, that counts.
    None: it is not known. `file`: where the image is among the files, if they say that in addition to its path;
    empty: they say it of others only. `places`: where it usually is in this format, the likeliest first.
    """

    path: str
    location: str
    annotations: tuple[ParsedAnnotation, ...] | None = ()
    size: tuple[int, int] | None = None
    usage: Usage | None = None
    hard: bool | None = None
    problems: tuple[Problem, ...] = field(default=(), compare=False)
    is_relative: bool = False
    has_suffix: bool = True
    folder: str = field(default="", compare=False)
    within: str = field(default="", compare=False)
    drawn: Literal["STORED", "UPRIGHT"] | None = field(default=None, compare=False)
    content: bytes | None = field(default=None, repr=False)
    contained: Contained | None = field(default=None, compare=False)
    file: str | None = field(default=None, compare=False)
    places: tuple[Place, ...] = field(default=(), compare=False)

    def on(self, raster: Raster, *, kind: str, beyond: OutOfBounds = "REFUSE") -> "ImageRecord":
        """With shapes in pixels of the stored image, as a dataset of this type can have them; others are problems."""
        if not self.annotations:
            return self
        if self.size not in (None, raster.size, raster.upright):
            said = "{} × {}".format(*self.size or ())
            message = f"The image has {raster.width} × {raster.height} pixels; the file says {said}. It was not used."
            problems = [*self.problems, Problem(self.location, message)]
            return replace(self, annotations=None, hard=None, problems=tuple(problems))
        is_known = self.size is not None and raster.size != raster.upright
        is_turned = raster.orientation > 1 and (self.size != raster.size if is_known else self.drawn == "UPRIGHT")
        problems, annotations = list(self.problems), list[ParsedAnnotation]()
        is_unclear = raster.orientation > 1 and not is_known and self.drawn is None
        if is_unclear and any(each.shape is not None for each in self.annotations):
            problems.append(Problem(self.location, UNCLEAR.format(raster.orientation)))
        frame = raster.upright if is_turned else raster.size
        for each in self.annotations:
            try:
                shape = each.shape
                if shape is not None:
                    shape = scaled(shape, *frame) if self.is_relative else shape
                    shape = clamped(shape, *frame, by=SLACK if beyond == "REFUSE" else None)
                    shape = to_stored(shape, raster) if is_turned else shape
                    shape = validated(shape, kind=kind, width=raster.width, height=raster.height)
                annotations.append(replace(each, shape=shape))
            except Invalid as refused:
                problems.append(Problem(f"{self.within}{each.line}", refused.message))
        found = tuple(annotations) or None
        hard = self.hard if found else None
        return replace(self, annotations=found, hard=hard, problems=tuple(problems), is_relative=False)


Reader = Callable[[Files, ReadOptions], Iterator[ImageRecord | Problem]]
