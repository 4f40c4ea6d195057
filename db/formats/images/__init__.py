"""Images: their facts, read from their first bytes, thumbnails, and renditions. The only user of Pillow.

No file is trusted. Only the formats of `formats` are tried. What is no part of the image, such as profiles, texts and
what follows the image, is left out before Pillow gets the file. Sizes are checked before anything is decoded, only the
first frame is decoded, and a JPEG with so many scans that decoding takes long is refused.
"""

import re
import tarfile
from collections.abc import Awaitable, Callable, Collection
from contextlib import suppress
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

from db.formats.images import bmp, gif, jpeg, png, tiff, tiff_parts
from db.formats.images.content import UNKNOWN, Content, Format, UnreadableImage
from db.formats.images.formats import (
    FORMATS,
    MEDIA_TYPES,
    SHOWN_SIDE,
    SUFFIX_OF,
    SUFFIXES,
    USUAL,
    is_shown,
    kind,
    listed,
    not_taken,
    one,
    suffixes,
)
from db.formats.images.opening import MAX_PIXELS, MAX_SCANS, MAX_SIDE, opened, read, refuse_scans, size_of
from db.formats.images.shown import rendition, thumbnail
from db.formats.images.squares import difference_hash, fitting, resized

HEAD_SIZE: Final = 64 * 1024  # bytes that nearly always contain all facts
TAIL_SIZE: Final = 4 * 1024  # bytes that nearly always contain the image's end
FOREIGN_DATA: Final = re.compile(
    rb"PK\x03\x04[\0-\x3f]\0|PK\x05\x06\0{4}|This program (?:cannot|must) be run"
    rb"|(?i:%pdf-|<script|<html|<!doctype|<svg[\s/>]|<iframe|<\?php|javascript:)"
)
FOREIGN_SIZE: Final = 66_000  # bytes at the beginning and at the end of what is behind an image
ZIP_FILE, ZIP_ENTRY = b"PK\x03\x04", b"PK\x01\x02"
ZIP_END: Final = re.compile(rb"PK\x05\x06(?=.{8}(.{4})(.{4}))", re.DOTALL)  # size and position of the directory
MAX_ZIP_ENDS: Final = 1_000  # that are looked at; not even films have more than a few by chance
OTHER_ARCHIVES: Final = (b"Rar!\x1a\x07", b"7z\xbc\xaf\x27\x1c")
STARTS: Final = (b"MZ", b"\x7fELF", b"#!/", b"PK\x03\x04", b"PK\x05\x06")  # of programs and zips
PDF_START: Final = 1_024  # bytes within which programs look for the beginning of a PDF
# A dictionary that is an object or the trailer, as each PDF has one; in the second pattern with comments before it. All
# comments on a line end at the same place, so that of those that a search passes over nothing else would be found.
PDF_OBJECTS: Final = (
    re.compile(rb"(?:obj[0-9]*+|trailer)[\0\t\n\f\r ]*+<<"),
    re.compile(rb"(?:obj[0-9]*+|trailer)(?:[\0\t\n\f\r ]++|%[^\r\n]*+(?:[\r\n]|\Z))*+(<<)?"),
)
TAR_BLOCK: Final = 512
TAR_MAGIC, TAR_MAGIC_AT = b"ustar", 257
MAX_FRAMES: Final = 16  # images behind the first one that are passed over
CUT: Final = "The image file is truncated; send it again."
ROWS: Final = 256  # of pixels hashed at once


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """Width and height as stored, in pixels; `orientation` is that of EXIF, 1 to 8. `damaged`: the file ends before its
    image does."""

    format: Format
    width: int
    height: int
    orientation: int
    damaged: bool = False


def facts(data: bytes, pixels: int = MAX_PIXELS, side: int = MAX_SIDE) -> ImageFacts:
    """The facts of an image, from its first bytes. Nothing is decoded, so damage after them is not noticed."""
    content = read(data)
    return ImageFacts(content.format, *size_of(content, pixels, side), content.orientation)


def rest_of_facts(head: bytes) -> int | None:
    """The position of what the facts need besides a file's first bytes, where these say it (`facts_of_parts`)."""
    return tiff.directory_behind(head) if kind(head) == "TIFF" else None


def facts_of_parts(head: bytes, rest: bytes, pixels: int = MAX_PIXELS, side: int = MAX_SIDE) -> ImageFacts:
    return facts(tiff.with_directory(head, rest), pixels, side)


def check(data: bytes, pixels: int = MAX_PIXELS, side: int = MAX_SIDE) -> ImageFacts:
    """The facts of a whole image, decoded to its end: a truncated one is refused. Only decoders call it (`decoding`).

    Phones put a film, or zeros, behind an image. A web page, a script or an archive behind it could be taken for one:
    programs look for those at the beginning and at the end. In between, megabytes of a film contain any four bytes by
    chance. Pixels and metadata may contain anything but an archive or a PDF that opens wherever it is: a web page, a
    script or a program is one only from the first byte on, where the image begins."""
    content = read(data)
    if content.reach != UNKNOWN and not content.complete:
        raise UnreadableImage(CUT)
    with opened(content, pixels, side) as image:
        found = ImageFacts(content.format, image.width, image.height, content.orientation)
        refuse_scans(content)
        behind = _behind(content, data).lstrip(b"\0")
        if content.format == "JPEG" and content.complete:
            behind = _behind_frames(behind, pixels, side)
        has_film = content.complete and content.format != "TIFF"  # without an end, it is unknown what is behind it
        if _is_archive(data) or _is_pdf(data) or _is_foreign(behind, has_film=has_film):
            raise UnreadableImage("The file has other data in or after the image; send only the image.")
        if not _is_complete(content, pixels, side):
            raise UnreadableImage(CUT)
        image.load()
        return found


def _behind(content: Content, data: bytes) -> bytes:
    """What is in the file besides the image. A TIFF's parts may be anywhere in it."""
    if content.format == "TIFF":
        return tiff_parts.unclaimed(data)
    return data[content.end :] if content.complete else content.picture + data[content.end :]


def _is_foreign(behind: bytes, *, has_film: bool) -> bool:
    """Whether what is behind an image begins as something else, or has the beginning of that near one of its ends. A
    film may have the beginning of a zip by chance."""
    ends = behind[:FOREIGN_SIZE], behind[-FOREIGN_SIZE:]
    is_zip = not has_film and any(ZIP_FILE in each for each in ends)
    return behind.startswith(STARTS) or is_zip or any(map(FOREIGN_DATA.search, ends))


def _behind_frames(behind: bytes, pixels: int, side: int) -> bytes:
    """What is behind further images of a JPEG, such as MPF lists: they may have texts, as the first one may."""
    for _ in range(MAX_FRAMES):
        behind = behind.lstrip(b"\0")
        if not behind.startswith(b"\xff\xd8\xff"):
            break
        try:
            frame = jpeg.read(behind)
            size_of(frame, pixels, side)
        except UnreadableImage:
            break
        if not frame.complete:
            break
        behind = behind[frame.end :]
    return behind


def _is_archive(data: bytes) -> bool:
    """Whether programs find a zip file, the beginning of a RAR or 7z file, or a block of a tar file that begins with
    the image or in one of its blocks."""
    return any(start in data for start in OTHER_ARCHIVES) or _is_zip(data) or _is_tar(data)


def _is_zip(data: bytes) -> bool:
    """Whether there is a directory's end, wherever it is, for programs do not only look for it in the last bytes; and a
    directory where it says, or else a directory's entry and a file anywhere. 10 MB of a film have all three by chance
    once in 100 million times."""
    for number, end in enumerate(ZIP_END.finditer(data)):
        size, position = (int.from_bytes(each, "little") for each in end.groups())
        starts = (end.start() - size, position)
        if number >= MAX_ZIP_ENDS or any(start >= 0 and data.startswith(ZIP_ENTRY, start) for start in starts):
            return True
        if number == 0 and ZIP_ENTRY in data and ZIP_FILE in data:
            return True
    return False


def _is_tar(data: bytes) -> bool:
    """Old files have no magic number, and only the first block is looked at for these. What is no block has another
    checksum."""
    starts = (found.start() - TAR_MAGIC_AT for found in re.finditer(TAR_MAGIC, data))
    for start in (0, *(start for start in starts if start >= 0 and start % TAR_BLOCK == 0)):
        with suppress(tarfile.HeaderError):
            tarfile.TarInfo.frombuf(data[start : start + TAR_BLOCK], "utf-8", "surrogateescape")
            return True
    return False


def _is_pdf(data: bytes) -> bool:
    """Whether programs find the beginning of a PDF, and an object behind it."""
    start = data.find(b"%PDF-", 0, PDF_START)
    if start < 0:
        return False
    direct, commented = PDF_OBJECTS
    return direct.search(data, start) is not None or any(found[1] for found in commented.finditer(data, start))


def may_be_truncated(head: bytes, tail: bytes, size: int) -> bool:
    """Whether a file of `size` bytes may end before its image does, by its first and last bytes. That is also so for an
    image with much behind it: only the whole file shows it (`is_complete`)."""
    match kind(head):
        case "JPEG":
            return jpeg.END not in tail
        case "PNG":
            return png.END not in tail
        case "GIF":
            return gif.may_end_early(tail)
        case "WEBP" | "TIFF" | "AVIF":
            try:
                return read(head).reach > size
            except UnreadableImage:
                return True
        case _:
            return bmp.length(head) > size


def is_complete(data: bytes, pixels: int = MAX_PIXELS, side: int = MAX_SIDE) -> bool:
    """Whether all of the image is in its file; only an end marker may be missing. Decodes where no end is found.
    Only decoders call it (`decoding`).

    A JPEG decoder does not report missing image data. But if some are missing, the image depends on what follows."""
    return _is_complete(read(data), pixels, side)


def _is_complete(content: Content, pixels: int, side: int) -> bool:
    if content.complete or content.reach != UNKNOWN:
        return content.complete
    try:
        refuse_scans(content)
        if content.format == "JPEG":
            pictures = content.picture, jpeg.continued(content)
            return content.scans > 0 and len({_digest(picture, pixels, side) for picture in pictures}) == 1
        with opened(content, pixels, side) as image:
            image.load()
    except UnreadableImage:
        return False
    return True


def _digest(picture: bytes, pixels: int, side: int) -> bytes:
    """Of all pixels."""
    digest = blake2b()
    with opened(Content("JPEG", picture, len(picture)), pixels, side) as image:
        image.load()
        for top in range(0, image.height, ROWS):
            digest.update(image.crop((0, top, image.width, min(top + ROWS, image.height))).tobytes())
    return digest.digest()


async def check_here(data: bytes) -> ImageFacts:
    """In a thread of this process, for trusted images. Servers and workers have decoders."""
    import asyncio  # which decoders do not need: their start would take twice as long

    return await asyncio.to_thread(check, data)


async def is_complete_here(data: bytes) -> bool:
    """In a thread of this process, for trusted images. A worker has decoders."""
    import asyncio

    return await asyncio.to_thread(is_complete, data)


@dataclass(frozen=True, slots=True)
class ImageLimits:
    """What the server's owner allows an image to have, and how it is decoded; and the formats that a dataset takes.
    `size` is in bytes, inclusive; `side` in pixels. `is_complete` says whether all of an image is in its file; it
    raises UnreadableImage when that is unknown. `check` decodes a whole image to its end, as `check` here does."""

    size: int = 25 * 1024 * 1024
    pixels: int = MAX_PIXELS
    side: int = MAX_SIDE
    formats: Collection[Format] = USUAL
    is_complete: Callable[[bytes], Awaitable[bool]] = is_complete_here
    check: Callable[[bytes], Awaitable[ImageFacts]] = check_here


DEFAULT_LIMITS: Final = ImageLimits()
