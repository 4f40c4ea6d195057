"""The checks of an uploaded file: its name, its content, and whether the two agree; and its outcome."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, field
from typing import Final, Literal

from db.defaults import STAGED
from db.errors import DomainError, Invalid
from db.formats import images
from db.formats.images import Format, ImageFacts
from db.formats.names import nfc
from db.formats.paths import stem, suffix


class InvalidName(Invalid):
    code = "INVALID_NAME"


OnConflict = Literal["ERROR", "RENAME"]

STAGING: Final = ".labelgraph/uploads/"  # below the input path; without a suffix its objects are images for nobody
NAME_BYTES: Final = 255  # as file systems take
FAMILY_BYTES: Final = 200  # of a stem that no number shortens
# The characters that no file name may have, and why. All others are taken as they are.
REFUSED: Final = (
    (re.compile(r"[/\\]"), "it divides directories"),
    (re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]"), "it is a control character"),
    (re.compile(r"[\u202a-\u202e\u2066-\u2069]"), "it reverses what is shown"),
    (re.compile(r"[\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]"), "it is no character"),
    (re.compile("\ufffd"), "it stands for bytes that are not UTF-8"),
)
MAX_NAMES: Final = 1_000  # names that are tried for a file whose own is taken
MAX_BYTES: Final = 5 * 1024 * 1024  # of a file, inclusive, unless the settings say otherwise
MAX_STAGED: Final = STAGED  # bytes of all files that a dataset waits for, likewise

Decode = Callable[[bytes], Awaitable[ImageFacts]]  # an image to its end; raises UnreadableImage


@dataclass(frozen=True, slots=True)
class Checks:
    """How a process checks the files that it is sent. `room`: staged ones that may be in its memory at once."""

    decode: Decode = images.check_here
    room: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(4))


@dataclass(frozen=True, slots=True)
class Result:
    """The outcome of a file: a sample, or a refusal. `key`: of an upload that was requested. `ended`: doing the same
    again could do nothing more."""

    file_name: str | None
    sample: int | None = None
    code: str | None = None
    message: str = ""
    key: str = ""
    ended: bool = True

    @classmethod
    def refused(cls, error: DomainError, file_name: str | None, key: str = "", *, ended: bool = True) -> "Result":
        return cls(file_name, None, error.code, error.message, key, ended)


@dataclass(frozen=True, slots=True)
class Uploaded:
    """`staged`: paths below `input_path` that nobody needs any more."""

    dataset_id: int
    results: tuple[Result, ...]
    change: int | None = None
    input_path: str = ""
    staged: tuple[str, ...] = ()

    @property
    def is_final(self) -> bool:
        return all(one.ended for one in self.results)


def checked_name(name: str) -> str:
    """The one form of a file's name (NFC). One that says which format it is of is not demanded here: content is judged
    first where there is some."""
    for pattern, reason in REFUSED:
        if found := pattern.search(name):
            position = found.start() + 1
            raise InvalidName(f"A file's name cannot have U+{ord(found[0]):04X}, its character {position}: {reason}.")
    if not name:
        raise InvalidName("A file's name is empty.")
    if name.startswith("."):
        raise InvalidName(
            "A file's name cannot begin with U+002E, a dot: such files are hidden, and a sync ignores them."
        )
    composed = nfc(name)
    if len(composed.encode()) > NAME_BYTES:
        raise InvalidName(f"A file's name has at most {NAME_BYTES} bytes, and this one {len(composed.encode())}.")
    return composed


def check_size(size: int, max_bytes: int) -> None:
    if size > max_bytes:
        message = f"The file has {size} bytes; at most {max_bytes} are accepted. Add larger files with a sync."
        raise Invalid(message, code="FILE_TOO_LARGE")
    if size < 1:
        raise images.UnreadableImage("The file is empty.")


def check_suffix(name: str, formats: Collection[Format]) -> Format:
    """The format that a name announces, one of these."""
    announced = images.SUFFIXES.get(suffix(name))
    if announced is None or announced not in formats:
        raise Invalid(
            f"Only {images.listed(formats)} images are accepted: {images.suffixes(formats)}.", code="UNSUPPORTED_FORMAT"
        )
    return announced


async def check(name: str, data: bytes, formats: Collection[Format], decode: Decode) -> ImageFacts:
    """What the image is, decoded to its end."""
    announced, kind = check_suffix(name, formats), images.kind(data)
    if kind is None or kind not in formats:
        raise Invalid(
            f"Only {images.listed(formats)} images are accepted, and this file is not one.", code="UNSUPPORTED_FORMAT"
        )
    if announced != kind:
        raise Invalid(
            f"The file is {images.one(kind)} image, but its name says {images.listed([announced])}; rename it.",
            code="UNSUPPORTED_FORMAT",
        )
    return await decode(data)


def numbered(name: str, number: int) -> str:
    """The name that is tried at last, after `number` others: `cat.jpg`, `cat-1.jpg`, … A stem that is too long for its
    number is cut, between characters."""
    if number == 0:
        return name
    front, end = stem(name), f"-{number}{name[len(stem(name)) :]}"
    return front.encode()[: NAME_BYTES - len(end.encode())].decode(errors="ignore") + end


def family(name: str) -> str:
    """The same for all names that numbering one of them may lead to."""
    front = re.sub(r"(-\d+)+$", "", stem(name)).encode()[:FAMILY_BYTES]
    return front.decode(errors="ignore") + name[len(stem(name)) :]
