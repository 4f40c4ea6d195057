"""Zip archives: the directory at their end is read piece by piece, so that a million files take no memory, and nothing
is read before it was compared with the limits."""

import stat
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import BinaryIO, Final, NamedTuple

from db.errors import Invalid
from db.formats.names import excerpt
from db.formats.unpacking import ArchiveRefused, expect_ratio
from db.ingest.imports.files.packed import head, size_of, unpacked
from db.ingest.imports.files.source import Entry, IndexedFiles, is_image

END: Final = struct.Struct("<4s4H2LH")  # of the archive
END_64: Final = struct.Struct("<4sQ2H2L4Q")
LOCATOR_64: Final = struct.Struct("<4sLQL")
MEMBER: Final = struct.Struct("<4s6H3L5H2L")  # in the directory
LOCAL: Final = struct.Struct("<4s5H3L2H")  # before a file's bytes
MAX_COMMENT: Final = 65_535
FULL: Final = 0xFFFFFFFF  # in place of a number that is in the extra field
ENCRYPTED, UTF_8 = 0x1, 0x800  # flags
STORED, DEFLATED = 0, 8
NO_ZIP: Final = "The file is no zip archive, or not whole."


class Directory(NamedTuple):
    start: int
    size: int


class Member(NamedTuple):
    name: str
    flags: int
    method: int
    check_sum: int
    packed: int
    size: int
    attributes: int
    start: int  # of what is before its bytes


@dataclass(slots=True)
class ZipFiles(IndexedFiles):
    """`with_images`: they are read as well, and count."""

    file: BinaryIO = field(kw_only=True)
    with_images: bool = field(default=False, kw_only=True)

    def read_directory(self) -> None:
        """Raises Invalid."""
        length = size_of(self.file)
        size = with_images = packed = 0
        for member in members(self.file, directory(self.file, length)):
            packed += member.packed
            if packed > length:  # files that share their bytes would unpack to any size
                raise ArchiveRefused("The files of the archive overlap.")
            if not self._add(member):
                continue
            if not is_image(member.name):
                size += member.size
                self.total += member.packed
                expect_ratio(size, packed)
            with_images += member.size
            if self.with_images:
                expect_ratio(with_images, packed, is_kept=False)

    def _add(self, member: Member) -> bool:
        mode = member.attributes >> 16
        if member.name.endswith("/") or stat.S_ISDIR(mode):
            return False
        if stat.S_ISLNK(mode):
            self.index.report(self.label, f"`{excerpt(member.name)}` is a link; it was not read.")
            return False
        if member.method not in (STORED, DEFLATED):
            message = f"`{excerpt(member.name)}` is compressed in a way that is not read; use `deflate`."
            self.index.report(self.label, message)
            return False
        if member.flags & ENCRYPTED:
            raise ArchiveRefused("The archive is encrypted.")
        if not is_image(member.name):
            expect_ratio(member.size, member.packed)
        packed = member.packed if member.method == DEFLATED else None
        if packed is None and member.packed != member.size:
            raise ArchiveRefused(NO_ZIP)
        return self.index.add(member.name, Entry(member.size, member.start, packed, member.check_sum), of=self.label)

    def open(self, name: str) -> BinaryIO:
        return unpacked(self.file, name, self._entry(name))

    def contents(self, names: Iterable[str], length: int) -> Iterator[tuple[str, bytes]]:
        for name in names:
            yield name, head(self.file, name, self._entry(name), length)

    def _entry(self, name: str) -> Entry:
        """With the place of the file's bytes. Raises Invalid."""
        entry = self.index.entry(name)
        self.file.seek(entry.start or 0)
        local = self.file.read(LOCAL.size)
        if len(local) < LOCAL.size or local[:4] != b"PK\x03\x04":
            raise ArchiveRefused(NO_ZIP)
        *_, name_length, extra_length = LOCAL.unpack(local)
        start = (entry.start or 0) + LOCAL.size + name_length + extra_length
        return Entry(entry.size, start, entry.packed, entry.check_sum)


def directory(file: BinaryIO, length: int) -> Directory:
    tail_start = max(0, length - END.size - MAX_COMMENT)
    file.seek(tail_start)
    tail = file.read()
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or len(tail) - at < END.size:
        raise ArchiveRefused(NO_ZIP)
    _, _, _, _, count, size, start, _ = END.unpack_from(tail, at)
    end = tail_start + at
    if FULL in (size, start) or count == 0xFFFF:
        file.seek(max(0, end - LOCATOR_64.size))
        locator = file.read(LOCATOR_64.size)
        if locator[:4] == b"PK\x06\x07" and len(locator) == LOCATOR_64.size:
            file.seek(LOCATOR_64.unpack(locator)[2])
            record = file.read(END_64.size)
            if len(record) < END_64.size or record[:4] != b"PK\x06\x06":
                raise ArchiveRefused(NO_ZIP)
            *_, size, start = END_64.unpack(record)
    if start + size > end:
        raise ArchiveRefused(NO_ZIP)
    return Directory(start, size)


def members(file: BinaryIO, place: Directory) -> Iterator[Member]:
    position, end = place.start, place.start + place.size
    while position < end:
        file.seek(position)
        fixed = file.read(MEMBER.size)
        if len(fixed) < MEMBER.size or fixed[:4] != b"PK\x01\x02":
            raise ArchiveRefused(NO_ZIP)
        _, _, _, flags, method, _, _, check_sum, packed, size, *lengths, _, _, attributes, start = MEMBER.unpack(fixed)
        name_length, extra_length, comment_length = lengths
        name, extra = file.read(name_length), file.read(extra_length)
        values = _full(extra, [size, packed, start])
        text = _text(name, utf_8=bool(flags & UTF_8))
        yield Member(text, flags, method, check_sum, values[1], values[0], attributes, values[2])
        position += MEMBER.size + name_length + extra_length + comment_length


def _full(extra: bytes, values: list[int]) -> list[int]:
    """Sizes and positions of more than 4 GiB are in the extra field, in this order."""
    if FULL not in values:
        return values
    while len(extra) >= 4:
        kind, length = struct.unpack_from("<2H", extra)
        if kind == 1:
            numbers = iter(struct.unpack_from(f"<{min(length, len(extra) - 4) // 8}Q", extra, 4))
            try:
                return [next(numbers) if value == FULL else value for value in values]
            except (StopIteration, RuntimeError):
                break
        extra = extra[4 + length :]
    raise ArchiveRefused(NO_ZIP)


def _text(name: bytes, *, utf_8: bool) -> str:
    """Names without the flag are UTF-8, too, if they can be; else those of DOS. Windows writes backslashes."""
    try:
        text = name.decode()
    except UnicodeDecodeError:
        if utf_8:
            raise Invalid("A name in the archive is not UTF-8.") from None
        text = name.decode("cp437")
    return text.replace("\\", "/").removeprefix("./")
