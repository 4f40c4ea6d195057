"""How an export's content becomes files: archives and shards that end when they are long enough. All of this blocks."""

import os
import shutil
import tempfile
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final, Protocol, cast

from db.errors import StorageError
from db.formats.archives import Archive, Entry, Spooled, Tar, Zip
from db.formats.datasets.format import Document, Format, Series, Shard
from db.formats.datasets.records import AnnotatedImage, Packing

OVERHEAD: Final = 1_024  # bytes that an entry of an archive takes in addition to its content, about
PIECE: Final = 1024**2  # bytes of a file that are made at once
IN_MEMORY: Final = 16 * 1024**2  # bytes of all unfinished documents that need not be on disk


@dataclass(frozen=True, slots=True)
class Group:
    """What is always in one archive: an image with its own files, or a file about all. `number`: the image's, and
    beyond those of all images where there is none."""

    series: int
    number: int
    entries: tuple[Entry, ...]
    image: AnnotatedImage | None = None
    data: bytes | None = None

    @property
    def size(self) -> int:
        return sum(entry.size + OVERHEAD for entry in self.entries) or len(self.data or b"")


class Packer(Protocol):
    @property
    def size(self) -> int:
        """Bytes that were made so far."""

    def add(self, group: Group) -> Iterator[bytes]: ...

    def finish(self) -> Iterator[bytes]: ...


@dataclass(frozen=True, slots=True)
class ArchivePacker:
    archive: Archive

    @property
    def size(self) -> int:
        return self.archive.size

    def add(self, group: Group) -> Iterator[bytes]:
        for entry in group.entries:
            yield from self.archive.add(entry)

    def finish(self) -> Iterator[bytes]:
        yield from self.archive.finish()


@dataclass(slots=True)
class ShardPacker:
    shard: Shard
    made: int = 0

    @property
    def size(self) -> int:
        return self.made + self.shard.pending

    def add(self, group: Group) -> Iterator[bytes]:
        assert group.image is not None
        made = self.shard.add(group.image, group.data)
        self.made += len(made)
        yield made

    def finish(self) -> Iterator[bytes]:
        yield self.shard.finish()


def packer(packing: Packing, format_: Format, series: Series, folder: Path, stack: ExitStack) -> Packer:
    if format_.shard_suffix is not None:
        return ShardPacker(format_.shard(series))
    if packing == "TAR":
        return ArchivePacker(Tar())
    return ArchivePacker(Zip(stack.enter_context(temporary_file(folder, PIECE))))


@dataclass(slots=True)
class File:
    """One file that is being made of the groups at the front of a queue. A group that does not fit any more, or is of
    another series, stays in the queue for the next file. `leading`: what each file has in front."""

    packer: Packer
    leading: Group
    queue: deque[Group]
    series: int
    max_bytes: int
    max_images: int | None = None
    last: int = 0  # number of the last group in it
    count: int = 0  # of groups in it

    def pieces(self) -> Iterator[bytes | None]:
        """The file. None: the queue is empty, and the file ends here unless something is put into it."""
        if self.leading.entries:
            yield from self.packer.add(self.leading)
        while True:
            if not self.queue:
                yield None
            if not self.queue or self._is_full(self.queue[0]):
                break
            yield from self.packer.add(self.queue[0])
            self.last = self.queue.popleft().number
            self.count += 1
        yield from self.packer.finish()

    def _is_full(self, group: Group) -> bool:
        if not self.count or group.series != self.series:
            return group.series != self.series
        return self.packer.size + group.size > self.max_bytes or self.count == self.max_images


def next_piece(pieces: Iterator[bytes | None]) -> tuple[bytes, bool]:
    """Some bytes, and whether there may be more behind them. Nothing, with more behind it: the queue is empty."""
    made = bytearray()
    with _disk_errors():
        for piece in pieces:
            if piece is None:
                return bytes(made), True
            made += piece
            if len(made) >= PIECE:
                return bytes(made), True
    return bytes(made), False


class Spools:
    """The documents of an export while they grow, section by section."""

    def __init__(self, documents: Sequence[Document], folder: Path) -> None:
        heads = [document.head() for document in documents]
        limit = min(PIECE, IN_MEMORY // max(1, sum(map(len, heads))))
        self.documents = documents
        self._stack = ExitStack()
        self._sections = [[self._stack.enter_context(temporary_file(folder, limit)) for _ in head] for head in heads]
        for files, head in zip(self._sections, heads, strict=True):
            self._write(files, head)

    def add(self, image: AnnotatedImage) -> None:
        for document, files in zip(self.documents, self._sections, strict=True):
            self._write(files, document.add(image))

    def finish(self) -> list[Entry]:
        with _disk_errors():
            return self._finished()

    def _finished(self) -> list[Entry]:
        entries = []
        for document, files in zip(self.documents, self._sections, strict=True):
            self._write(files, document.tail())
            whole, *others = files
            for file in others:
                file.seek(0)
                shutil.copyfileobj(file, whole)
                file.close()
            entries.append(Entry(document.path, Spooled(whole, whole.tell())))
        return entries

    def close(self) -> None:
        self._stack.close()

    @staticmethod
    def _write(files: Sequence[BinaryIO], parts: Sequence[bytes]) -> None:
        with _disk_errors():
            for file, part in zip(files, parts, strict=True):
                if part:
                    file.write(part)


def temporary_file(folder: Path, in_memory: int) -> BinaryIO:
    """A file without a name, which is gone with the process; in memory as long as it is small."""
    with _disk_errors():
        folder.mkdir(parents=True, exist_ok=True)
    return cast(BinaryIO, tempfile.SpooledTemporaryFile(in_memory, dir=str(folder)))


@contextmanager
def _disk_errors() -> Iterator[None]:
    """Of this machine's own disk."""
    try:
        yield
    except OSError as error:
        reason = os.strerror(error.errno or 0)
        raise StorageError(f"The server's own disk, which an export needs for a while: {reason}.") from error
