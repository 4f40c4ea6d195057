"""Files of archives: views of parts of another file, and what is unpacked of it, with limits."""

import io
import os
import tempfile
import zlib
from collections.abc import Iterator
from typing import Any, BinaryIO, Final

from db.formats.names import excerpt
from db.formats.unpacking import ArchiveRefused
from db.ingest.imports.files.source import Entry

PIECE: Final = 256 * 1024  # bytes that are unpacked at once
DAMAGED: Final = "`{}` is damaged in the archive."
IN_MEMORY: Final = 4 * 1024 * 1024  # bytes of an unpacked file, beyond which it is on disk


class Range(io.RawIOBase):
    """So many bytes of something, from `start` on, as a file that can seek. A subclass reads them."""

    def __init__(self, start: int, size: int) -> None:
        self.start = start
        self.size = size
        self.position = 0  # in this file

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self.position, io.SEEK_END: self.size}[whence]
        self.position = max(0, base + offset)
        return self.position

    def tell(self) -> int:
        return self.position


class Part(Range):
    """Bytes of another file. The other file belongs to whoever made this one."""

    def __init__(self, file: BinaryIO, start: int, size: int) -> None:
        super().__init__(start, size)
        self.file = file

    def readinto(self, buffer: Any) -> int:
        length = max(0, min(len(buffer), self.size - self.position))
        self.file.seek(self.start + self.position)
        data = self.file.read(length)
        if len(data) < length:
            raise ArchiveRefused("The archive ends in the middle: it is not whole.")
        buffer[: len(data)] = data
        self.position += len(data)
        return len(data)


def unpacked(file: BinaryIO, name: str, entry: Entry) -> BinaryIO:
    """The file that is deflated at `entry` of an archive. Raises Invalid."""
    out = tempfile.SpooledTemporaryFile(IN_MEMORY)  # noqa: SIM115
    try:
        for data in pieces(file, name, entry):
            out.write(data)
        out.seek(0)
    except BaseException:
        out.close()
        raise
    return out  # type: ignore[return-value]


def head(file: BinaryIO, name: str, entry: Entry, length: int) -> bytes:
    """The first bytes of the file that is at `entry` of an archive. Raises Invalid."""
    data = b""
    for piece in pieces(file, name, entry):
        data += piece
        if len(data) >= length:
            return data[:length]
    return data


def pieces(file: BinaryIO, name: str, entry: Entry) -> Iterator[bytes]:
    """What is deflated, or only stored, at `entry`. Never more than it says."""
    assert entry.start is not None
    found = size = 0
    for data in _inflated(file, name, entry):
        size += len(data)
        if size > entry.size:
            raise ArchiveRefused(f"`{excerpt(name)}` unpacks to more than the archive says.")
        found = zlib.crc32(data, found)
        yield data
    if size != entry.size or (entry.check_sum is not None and found != entry.check_sum):
        raise ArchiveRefused(DAMAGED.format(excerpt(name)))


def _inflated(file: BinaryIO, name: str, entry: Entry) -> Iterator[bytes]:
    part = Part(file, entry.start or 0, entry.size if entry.packed is None else entry.packed)
    if entry.packed is None:
        while data := part.read(PIECE):
            yield data
        return
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        while not inflater.eof and (data := inflater.unconsumed_tail or part.read(PIECE)):
            yield inflater.decompress(data, PIECE)
    except zlib.error:
        raise ArchiveRefused(DAMAGED.format(excerpt(name))) from None


def spool() -> BinaryIO:
    """A file without a name: it is gone with the process, however that ends."""
    return tempfile.TemporaryFile()


def size_of(file: BinaryIO) -> int:
    return file.seek(0, os.SEEK_END)
