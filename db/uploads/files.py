"""What a file must be to become a sample: by its name, by its content, and that the two say the same."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final, Literal

from db import images, names
from db.errors import Invalid
from db.images import Facts
from db.paths import stem, suffix

OnConflict = Literal["ERROR", "RENAME"]

NAME_BYTES: Final = 255  # as file systems take
REFUSED: Final = frozenset("/\\!<>=&\"'")
FORMATS: Final = {".jpg": "JPEG", ".jpeg": "JPEG", ".png": "PNG", ".bmp": "BMP"}
MOST_NAMES: Final = 1_000  # names that are tried for a file whose own is taken
MOST_BYTES: Final = 5 * 1024 * 1024  # of a file, inclusive, unless the settings say otherwise


Decode = Callable[[bytes], Awaitable[Facts]]  # an image to its end; raises Unreadable


async def decode_here(data: bytes) -> Facts:
    """In a thread of this process: for images that somebody vouches for. A server has decoders."""
    return await asyncio.to_thread(images.check, data)


@dataclass(frozen=True, slots=True)
class Checks:
    """How a process checks the files that it is sent. `room`: staged ones that may be in its memory at once."""

    decode: Decode = decode_here
    room: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(4))


def checked_name(name: str) -> str:
    """A name that says which format it is of is not demanded here: content is judged first where there is some."""
    if not names.storable(name) or not name.isprintable() or REFUSED & set(name) or name in ("", ".", ".."):
        shown = " ".join(sorted(REFUSED))
        raise Invalid(f"A file's name is one name, without control characters and {shown}.", code="INVALID_NAME")
    if len(name.encode()) > NAME_BYTES:
        raise Invalid(f"A file's name has at most {NAME_BYTES} bytes.", code="INVALID_NAME")
    return name


def check_size(size: int, most: int) -> None:
    if size > most:
        message = f"The file has {size} bytes; at most {most} are taken. Larger ones come in by a sync."
        raise Invalid(message, code="FILE_TOO_LARGE")
    if size < 1:
        raise images.Unreadable("The file is empty.")


def check_suffix(name: str) -> str:
    """The format that a name announces."""
    said = FORMATS.get(suffix(name))
    if said is None:
        raise Invalid("Only JPEG, PNG and BMP images are taken: .jpg, .jpeg, .png, .bmp.", code="UNSUPPORTED_FORMAT")
    return said


async def check(name: str, data: bytes, decode: Decode) -> Facts:
    """What the image is, decoded to its end."""
    said, kind = check_suffix(name), images.kind(data)
    if kind is None:
        raise Invalid("Only JPEG, PNG and BMP images are taken, and this file is none.", code="UNSUPPORTED_FORMAT")
    if said != kind:
        raise Invalid(f"The file is a {kind} image, but its name says {said}; rename it.", code="UNSUPPORTED_FORMAT")
    return await decode(data)


def numbered(name: str, number: int) -> str:
    """The name that is tried at last, after `number` others: `cat.jpg`, `cat-1.jpg`, …"""
    return name if number == 0 else f"{stem(name)}-{number}{name[len(stem(name)) :]}"
