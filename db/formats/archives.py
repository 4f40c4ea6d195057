"""Writing zip and tar archives as streams: each entry when it comes, nothing of it twice.

Equal entries make equal bytes: no time of the day, no owner. Names are relative; whoever reads them finds no `..`. What
a zip file ends with, its directory, is kept in a file of the caller's until then: memory does not grow with the number
of entries.
"""

import struct
import tarfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final, Protocol

from db.errors import Invalid
from db.formats.names import is_storable

LEVEL: Final = 6
TIME: Final = 315_532_800  # 1980-01-01, the first day that zip knows
DOS_DATE: Final = 0x21  # the same
MODE: Final = 0o644
CHUNK: Final = 256 * 1024
NAME_BYTES: Final = 4_096
FOUR_GIB: Final = 2**32 - 1  # from which on sizes and positions need zip64
MANY: Final = 2**16 - 1  # so do as many entries
MAY_GROW: Final = 2**31  # bytes from which on what is deflated as a stream is prepared for zip64
UTF8, STREAMED = 0x800, 0x8
STORED, DEFLATED = 0, 8
PLAIN, ZIP64 = 20, 45  # versions of the format that a reader needs
TAR_BLOCK: Final = 512


@dataclass(frozen=True, slots=True)
class Spooled:
    """A file on disk, of which the archive reads `size` bytes from its beginning."""

    file: BinaryIO
    size: int

    def pieces(self) -> Iterator[bytes]:
        self.file.seek(0)
        left = self.size
        while left and (piece := self.file.read(min(CHUNK, left))):
            left -= len(piece)
            yield piece


@dataclass(frozen=True, slots=True)
class Entry:
    """A file of an archive. `is_compressed`: its bytes are already, as those of an image."""

    path: str
    data: bytes | Spooled
    is_compressed: bool = False

    @property
    def size(self) -> int:
        return len(self.data) if isinstance(self.data, bytes) else self.data.size


class Archive(Protocol):
    size: int  # bytes that were made so far

    def add(self, entry: Entry) -> Iterator[bytes]:
        """An entry's bytes, which must be taken to their end."""

    def finish(self) -> Iterator[bytes]:
        """How the archive ends."""


class Tar:
    """A POSIX tar (pax) without compression."""

    def __init__(self) -> None:
        self.size = 0

    def add(self, entry: Entry) -> Iterator[bytes]:
        info = tarfile.TarInfo(_checked(entry.path))
        info.size, info.mtime, info.mode = entry.size, TIME, MODE
        yield from self._counted([info.tobuf(tarfile.PAX_FORMAT)])
        yield from self._counted([entry.data] if isinstance(entry.data, bytes) else entry.data.pieces())
        if rest := -entry.size % TAR_BLOCK:
            yield from self._counted([bytes(rest)])

    def finish(self) -> Iterator[bytes]:
        yield from self._counted([bytes(2 * TAR_BLOCK)])

    def _counted(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            self.size += len(piece)
            yield piece


class Zip:
    """A zip file, zip64 where it must be. Its directory is kept in `directory`, a new file."""

    def __init__(self, directory: BinaryIO) -> None:
        self.size, self.count, self.directory = 0, 0, directory

    def add(self, entry: Entry) -> Iterator[bytes]:
        name = _checked(entry.path).encode()
        if isinstance(entry.data, bytes):
            yield from self._add_whole(name, entry.data, is_compressed=entry.is_compressed)
        else:
            yield from self._add_stream(name, entry.data)

    def finish(self) -> Iterator[bytes]:
        start, length = self.size, self.directory.tell()
        yield from self._counted(Spooled(self.directory, length).pieces())
        end = self.size
        if self.count >= MANY or start >= FOUR_GIB or length >= FOUR_GIB:
            sizes = (self.count, self.count, length, start)
            yield from self._counted([struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, ZIP64, ZIP64, 0, 0, *sizes)])
            yield from self._counted([struct.pack("<4sLQL", b"PK\6\7", 0, end, 1)])
        count = min(self.count, MANY)
        tail = (count, count, min(length, FOUR_GIB), min(start, FOUR_GIB), 0)
        yield from self._counted([struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, *tail)])

    def _add_whole(self, name: bytes, data: bytes, *, is_compressed: bool) -> Iterator[bytes]:
        method, body = STORED, data
        if not is_compressed and len(deflated := _deflated(data)) < len(data):
            method, body = DEFLATED, deflated
        facts = (zlib.crc32(data), len(body), len(data))
        self._note(name, method, UTF8, facts)
        header = struct.pack("<4s5H3L2H", b"PK\3\4", PLAIN, UTF8, method, 0, DOS_DATE, *facts, len(name), 0)
        yield from self._counted([header + name, body])

    def _add_stream(self, name: bytes, spooled: Spooled) -> Iterator[bytes]:
        """The sizes follow what was deflated."""
        is_large, flags = spooled.size >= MAY_GROW, UTF8 | STREAMED
        extra = struct.pack("<2H2Q", 1, 16, 0, 0) if is_large else b""
        sizes, version = (FOUR_GIB, ZIP64) if is_large else (0, PLAIN)
        header = (version, flags, DEFLATED, 0, DOS_DATE, 0, sizes, sizes, len(name), len(extra))
        start = self.size
        yield from self._counted([struct.pack("<4s5H3L2H", b"PK\3\4", *header) + name + extra])
        begin, crc, size = self.size, 0, 0
        deflate = zlib.compressobj(LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
        for piece in spooled.pieces():
            crc, size = zlib.crc32(piece, crc), size + len(piece)
            yield from self._counted([deflate.compress(piece)])
        yield from self._counted([deflate.flush()])
        facts = (crc, self.size - begin, size)
        self._note(name, DEFLATED, flags, facts, start=start)
        yield from self._counted([struct.pack("<4sL2Q" if is_large else "<4s3L", b"PK\7\x08", *facts)])

    def _note(
        self, name: bytes, method: int, flags: int, facts: tuple[int, int, int], *, start: int | None = None
    ) -> None:
        """Write an entry of the directory. What does not fit into its field is in `extra`, in this order."""
        crc, packed, size = facts
        start = self.size if start is None else start
        large = [each for each in (size, packed, start) if each >= FOUR_GIB]
        extra = struct.pack(f"<2H{len(large)}Q", 1, 8 * len(large), *large) if large else b""
        version = ZIP64 if large else PLAIN
        head = (3 << 8 | version, version, flags, method, 0, DOS_DATE, crc, min(packed, FOUR_GIB), min(size, FOUR_GIB))
        rest = (len(name), len(extra), 0, 0, 0, MODE << 16 | 0x8000_0000, min(start, FOUR_GIB))
        self.directory.write(struct.pack("<4s6H3L5H2L", b"PK\1\2", *head, *rest) + name + extra)
        self.count += 1

    def _counted(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            self.size += len(piece)
            if piece:
                yield piece


def _deflated(data: bytes) -> bytes:
    deflate = zlib.compressobj(LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
    return deflate.compress(data) + deflate.flush()


def _checked(path: str) -> str:
    """A name that leads nowhere else when it is unpacked. Raises Invalid."""
    parts = path.split("/")
    if not is_storable(path) or "\\" in path or len(path.encode()) > NAME_BYTES or {"", ".", ".."} & set(parts):
        raise Invalid("This cannot be a name in an archive.")
    return path
