"""The formats of images: their names, their suffixes, how a file's first bytes show them, and what a browser shows."""

import re
from collections.abc import Collection
from typing import Final

from db.formats.images.avif import is_avif
from db.formats.images.content import Format

SUFFIXES: Final[dict[str, Format]] = {
    ".jpg": "JPEG", ".jpeg": "JPEG", ".jfif": "JPEG", ".jpe": "JPEG", ".png": "PNG", ".bmp": "BMP",
    ".webp": "WEBP", ".tif": "TIFF", ".tiff": "TIFF", ".gif": "GIF", ".avif": "AVIF",
}  # fmt: skip
FORMATS: Final[tuple[Format, ...]] = tuple(dict.fromkeys(SUFFIXES.values()))
SUFFIX_OF: Final = {form: next(each for each in SUFFIXES if SUFFIXES[each] == form) for form in FORMATS}
MEDIA_TYPES: Final[dict[Format, str]] = {form: f"image/{form.lower()}" for form in FORMATS}
USUAL: Final[tuple[Format, ...]] = ("JPEG", "PNG", "BMP")  # of a dataset that says nothing else
SHOWN_SIDE: Final = 16_384  # pixels a side that every browser shows
SIGNATURES: Final[tuple[tuple[Format, re.Pattern[bytes]], ...]] = (
    ("JPEG", re.compile(rb"\xff\xd8\xff")),
    ("PNG", re.compile(rb"\x89PNG\r\n\x1a\n")),
    ("BMP", re.compile(rb"BM")),
    ("WEBP", re.compile(rb"RIFF.{4}WEBP", re.DOTALL)),
    ("TIFF", re.compile(rb"II[*+]\0|MM\0[*+]")),
    ("GIF", re.compile(rb"GIF8[79]a")),
)


def kind(data: bytes | bytearray) -> Format | None:
    """The format, by a file's first bytes."""
    found = next((form for form, signature in SIGNATURES if signature.match(data)), None)
    return found or ("AVIF" if is_avif(data) else None)


def is_shown(form: Format, width: int | None, height: int | None) -> bool:
    """Whether browsers show such an image. Where its size is not known it is none of the largest."""
    return form != "TIFF" and max(width or 0, height or 0) <= SHOWN_SIDE


def listed(forms: Collection[Format]) -> str:
    """For messages, in one order: `JPEG, PNG and BMP`."""
    return _joined(["WebP" if form == "WEBP" else form for form in FORMATS if form in forms], "and")


def one(form: Format) -> str:
    """For messages, in front of a noun: `a PNG`, `an AVIF`."""
    return f"{'an' if form == 'AVIF' else 'a'} {listed([form])}"


def not_taken(form: Format, taken: Collection[Format]) -> str:
    """Why a dataset that takes others refuses an image."""
    return f"This is {one(form)} image; the dataset takes {listed(taken)} images."


def suffixes(forms: Collection[Format]) -> str:
    """For messages: `.jpg`, `.jpeg` …"""
    return _joined([f"`{suffix}`" for suffix, form in SUFFIXES.items() if form in forms], "or")


def _joined(words: list[str], conjunction: str) -> str:
    return f" {conjunction} ".join(filter(None, (", ".join(words[:-1]), words[-1])))
