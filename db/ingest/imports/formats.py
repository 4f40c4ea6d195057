"""Which format files have, and what reads it."""

from typing import Final

from db.errors import Invalid
from db.formats.datasets.readers import READERS, detect
from db.formats.datasets.reading import Files, Reader

HEAD: Final = 64 * 1024  # bytes of a file by which its format is known


def reader_of(name: str) -> Reader:
    """Raises Invalid."""
    try:
        return READERS[name]
    except KeyError:
        raise Invalid(f"The format {name} is not imported.") from None


def format_of(files: Files, *, images: bool) -> str:
    """`images`: these alone are a data set, too. Raises Invalid."""

    def head(name: str) -> bytes:
        return next((data for _, data in files.contents([name], HEAD)), b"")

    return detect(files.names(), head, images=images)
