"""What sidecars say, whatever their format, and how their bytes are text.

Nobody says reliably how a file is encoded. A byte order mark decides; then what the file itself names, where it can;
then strict UTF-8; then, of label files next to images that name nothing else, GB18030, which Chinese editors write,
with a warning. What is none of these is refused rather than guessed: every file is valid Latin-1, and no file is meant
as that without saying so.
"""

import codecs
import re
from dataclasses import dataclass, replace
from encodings import normalize_encoding
from encodings.aliases import aliases
from operator import attrgetter
from typing import Final

from db.errors import Invalid
from db.formats.annotations import ParsedAnnotation
from db.formats.shapes import Raster, to_stored, validated

MAX_REPORTED: Final = 100  # problems of one file
TURNED: Final = (
    "According to `size`, the shapes were drawn on the rotated image; they were converted to pixels of the stored "
    "image."
)
UNCLEAR: Final = (
    "Viewers rotate this image (EXIF orientation {}), and `size` does not say whether the shapes were drawn on the "
    "stored or on the rotated image; they were read as pixels of the stored image."
)
GUESSED: Final = "The file is not UTF-8; it was read as GB18030. If its labels look odd, save it as UTF-8."
IN_UTF_8_TOO: Final = (
    "The file was read in `{}`, the encoding that it names, but it is text in UTF-8, too. If its labels look odd, "
    "correct what it names."
)
DECLARATION: Final = re.compile(rb"""\s*<\?xml\s[^>]{0,80}?encoding\s*=\s*["']([A-Za-z0-9._-]{1,40})["']""")
# Of Python's encodings those with another name, and so neither `punycode` nor `unicode_escape`. It keeps each name that
# it was ever asked for, so it is only asked for these. UTF-7 is left out, as browsers do.
ENCODINGS: Final = frozenset({*aliases, *aliases.values(), "cp737", "cp874", "koi8_t", "koi8_u"})
LARGER: Final = {"gb2312": "gb18030", "gbk": "gb18030"}  # what is called so is often in the other one, which has it all
UTF_32_MARKS: Final = (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)  # of which the first begins as that of UTF-16
BYTE_ORDER_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong with a sidecar. `line` counts from 1; 0 is the file as a whole. `name`: of a label, if that is
    what is wrong: then it is reported once for the name, not for each occurrence."""

    line: int
    message: str
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Sidecar:
    """Annotations in the file's order. None: it says nothing that can be used, and labels stay as they are.

    `size`: the image's width and height according to the file. `hard`: whether the image is a hard example; None where
    the format cannot say.
    """

    annotations: tuple[ParsedAnnotation, ...] | None
    problems: tuple[Problem, ...] = ()
    size: tuple[int, int] | None = None
    hard: bool | None = None

    @property
    def reported(self) -> tuple[Problem, ...]:
        """The problems, of which a file full of mistakes has more than anybody reads."""
        reported = tuple(problem for problem in self.problems if problem.name is None)
        more = len(reported) - MAX_REPORTED
        return reported if more <= 0 else (*reported[:MAX_REPORTED], Problem(0, f"And {more:,} more problems."))

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
        return None if self.annotations is None else tuple(dict.fromkeys(each.label for each in self.annotations))

    def on(self, *, kind: str, raster: Raster) -> "Sidecar":
        """What it says of this image in a dataset of this type. Shapes that cannot be there are problems."""
        if self.annotations is None:
            return self
        if self.size not in (None, raster.size, raster.upright):
            said = "{} × {}".format(*self.size or ())
            message = (
                f"The image has {raster.width} × {raster.height} pixels; `size` says {said}. The file was not used: "
                "correct its `size`, or remove it."
            )
            return replace(self, annotations=None, problems=(*self.problems, Problem(0, message)), hard=None)
        is_turned = self.size not in (None, raster.size)
        valid, problems = list[ParsedAnnotation](), list(self.problems)
        if raster.orientation > 1 and any(each.shape is not None for each in self.annotations):
            if is_turned:
                problems.append(Problem(0, TURNED))
            elif self.size is None or raster.size == raster.upright:
                problems.append(Problem(0, UNCLEAR.format(raster.orientation)))
        for annotation in self.annotations:
            try:
                shape = annotation.shape
                if shape is not None:
                    shape = to_stored(shape, raster) if is_turned else shape
                    shape = validated(shape, kind=kind, width=raster.width, height=raster.height)
                valid.append(replace(annotation, shape=shape))
            except Invalid as refused:
                problems.append(Problem(annotation.line, refused.message))
        found = tuple(valid) if valid or not self.annotations else None
        hard = None if self.hard is None or found is None else any(each.attributes.difficult for each in found)
        return replace(self, annotations=found, problems=tuple(sorted(problems, key=attrgetter("line"))), hard=hard)


def useless(message: str, line: int = 0) -> Sidecar:
    return Sidecar(None, (Problem(line, message),))


def declared_encoding(head: bytes) -> str | None:
    """The encoding that a file of XML without a byte order mark names, by Python's name. None: it names none, or one in
    which the bytes that name it would be others. Raises Invalid for one that is not known."""
    found = DECLARATION.match(head)
    if found is None:
        return None
    name = found[1].decode("ascii")
    try:
        codec = codecs.lookup(name) if normalize_encoding(name).lower() in ENCODINGS else None
    except LookupError:  # of another operating system
        codec = None
    if codec is None or not codec._is_text_encoding or codec.name == "utf-7":
        raise Invalid(f"The file names the encoding `{name}`, which is not read; save it as UTF-8.")
    encoding = LARGER.get(codec.name, codec.name)
    return encoding if found[0].decode(encoding, "replace") == found[0].decode("ascii") else None


def decoded(data: bytes, *, named: str | None = None, guesses: list[Problem] | None = None) -> str | None:
    """The text of a file, or None. `named`: the encoding that the file names for itself. Where `guesses` are taken,
    what is in no encoding that it may be in may be GB18030, which is noted in them."""
    if data.startswith(UTF_32_MARKS):
        return None
    for mark, encoding in BYTE_ORDER_MARKS:
        if data.startswith(mark):
            return _decoded_strictly(data[len(mark) :], encoding)
    if b"\0" in data:  # UTF-16 without a mark, which GB18030 would read as rubbish
        return None
    text = _decoded_strictly(data, "utf-8")
    if named not in (None, "utf-8") and (other := _decoded_strictly(data, named)) is not None:
        if text is not None and text != other and guesses is not None:
            guesses.append(Problem(0, IN_UTF_8_TOO.format(named)))
        return other
    if text is None and named in (None, "utf-8") and guesses is not None:
        text = _decoded_strictly(data, "gb18030")
        if text is not None:
            guesses.append(Problem(0, GUESSED))
    return text


def _decoded_strictly(data: bytes, encoding: str) -> str | None:
    try:
        return data.decode(encoding)
    except UnicodeDecodeError:
        return None
