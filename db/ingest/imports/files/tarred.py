"""Tar archives, and those compressed by gzip. Of the latter, which can only be read from the start, what is no image is
kept in a file without a name."""

import gzip
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Final

from db.formats.names import excerpt
from db.formats.unpacking import ArchiveRefused, expect_ratio
from db.ingest.imports.files.bridge import buffered
from db.ingest.imports.files.packed import PIECE, Part, spool
from db.ingest.imports.files.source import Entry, IndexedFiles, is_image
from db.ingest.imports.files.space import is_out_of_space

MAX_HEADER: Final = 1024 * 1024  # bytes of a file's name and attributes
NO_TAR: Final = "The file is no tar archive, or not whole."


class Forward:
    """What gzip unpacks, as `tarfile` reads it: always forward, and now and then one byte back. Going further back
    would unpack all of it again."""

    def __init__(self, packed: BinaryIO) -> None:
        self.packed = packed
        self.file = gzip.GzipFile(fileobj=packed)
        self.position = 0
        self.last = b""
        self.returned = b""

    def read(self, size: int) -> bytes:
        data, self.returned = self.returned[:size], self.returned[size:]
        if len(data) < size:
            data += self.file.read(size - len(data))
        self.position += len(data)
        self.last = data[-1:] or self.last
        expect_ratio(self.position, self.packed.tell())
        return data

    def seek(self, position: int, _whence: int = 0) -> int:
        if position == self.position - 1 and not self.returned:
            self.returned, self.position = self.last, position
        while self.position < position and self.read(min(position - self.position, PIECE)):
            pass
        if position < self.position:
            raise ArchiveRefused(NO_TAR)
        return self.position

    def tell(self) -> int:
        return self.position


class Headers:
    """What `tarfile` reads headers from: one that asks for a long one would get all of it into memory."""

    def __init__(self, file: BinaryIO | Forward) -> None:
        self.file = file

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= MAX_HEADER:
            raise ArchiveRefused("A name in the archive is too long.")
        return self.file.read(size)

    def seek(self, position: int, whence: int = 0) -> int:
        return self.file.seek(position, whence)

    def tell(self) -> int:
        return self.file.tell()


@dataclass(slots=True)
class TarFiles(IndexedFiles):
    """`file`: the archive; `kept`: the bytes of its files, where the archive itself cannot be read at any place; those
    of images only `with_images`."""

    file: BinaryIO = field(kw_only=True)
    with_images: bool = field(default=False, kw_only=True)
    kept: BinaryIO | None = None

    def close(self) -> None:
        self.index.close()
        if self.kept is not None:
            self.kept.close()

    def read_headers(self) -> None:
        """Raises Invalid."""
        with refusing():
            for member in members(self.file):
                if self._is_file(member) and self._add(member, member.offset_data):
                    self.total += 0 if is_image(member.name) else member.size

    def unpack(self) -> None:
        """What is compressed by gzip. Raises Invalid."""
        self.kept, inflated = spool(), Forward(self.file)
        with refusing():
            for member in members(inflated):
                start = None if is_image(member.name) and not self.with_images else self.total
                if self._is_file(member) and self._add(member, start) and start is not None:
                    self._keep(inflated, member)
                    self.total += member.size

    def _keep(self, inflated: Forward, member: tarfile.TarInfo) -> None:
        assert self.kept is not None
        inflated.seek(member.offset_data)
        left = member.size
        while left:
            data = inflated.read(min(left, PIECE))
            if not data:
                raise ArchiveRefused(NO_TAR)
            left -= len(data)
            self.kept.write(data)

    def _is_file(self, member: tarfile.TarInfo) -> bool:
        if member.isdir():
            return False
        if not member.isreg() or member.issparse():
            self.index.report(self.label, f"`{excerpt(member.name)}` is no plain file; it was not read.")
            return False
        return True

    def _add(self, member: tarfile.TarInfo, start: int | None) -> bool:
        return self.index.add(member.name.removeprefix("./"), Entry(member.size, start), of=self.label)

    def open(self, name: str) -> BinaryIO:
        entry = self.index.entry(name)
        if entry.start is None:
            raise ArchiveRefused(f"`{excerpt(name)}` is not read from a compressed archive.")
        return buffered(Part(self.kept or self.file, entry.start, entry.size))


def members(file: BinaryIO | Forward) -> Iterator[tarfile.TarInfo]:
    headers: Any = Headers(file)
    with tarfile.TarFile(fileobj=headers, mode="r", errors="strict") as archive:
        while (member := archive.next()) is not None:
            archive.members = []  # type: ignore[attr-defined]  # it would keep them all
            yield member


@contextmanager
def refusing() -> Iterator[None]:
    try:
        yield
    except (tarfile.TarError, EOFError, OSError, zlib.error, UnicodeError, ValueError, OverflowError) as broken:
        if is_out_of_space(broken):
            raise
        raise ArchiveRefused(NO_TAR) from None
