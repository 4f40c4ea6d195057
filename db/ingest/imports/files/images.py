"""The images among the files of an import, found by what label files say, and read."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import islice, takewhile
from typing import Final, NamedTuple

from db.errors import Invalid
from db.formats.datasets.readers.parquet_files import ParquetImages
from db.formats.datasets.readers.web_dataset import TarImages
from db.formats.datasets.reading import Contained, Place
from db.formats.names import nfc
from db.formats.paths import normalized, stem
from db.ingest.decide import path_end
from db.ingest.entry import NoticeKind
from db.ingest.images import MIB
from db.ingest.imports.files.source import IndexedFiles, is_image

MAX_ALIKE: Final = 1_000  # images of one name, beyond which none of them is meant by it
ROWS: Final = 1_000  # that are written at once
TABLE: Final = (
    "CREATE TABLE image (last TEXT, path TEXT, said TEXT, name TEXT)",
    "CREATE INDEX image_of_path ON image (path)",
    "CREATE INDEX image_of_name ON image (last)",
    "CREATE TABLE taken (path TEXT PRIMARY KEY, name TEXT)",
)
STATED, EXACT, ALIKE = 1, 2, 3  # how an image is found, the surest first


class NotStored(Invalid):
    """Of an image that the files contain, and that is not stored."""

    def __init__(self, message: str, kind: NoticeKind) -> None:
        super().__init__(message)
        self.kind = kind


class FoundImage(NamedTuple):
    """A file, and how: `STATED` where it is, or its very path, and nothing else is stated; by its very path, but it is
    not where it is stated to be (`EXACT`); or by the end of its path. `path`: the one that its place gives it."""

    name: str
    how: int
    path: str | None = None


class ImageNames:
    """The names of all images of an import, in the temporary file of its index; with and without suffix, and in NFC. Of
    names that are the same in NFC one is found by itself alone."""

    def __init__(self, files: IndexedFiles) -> None:
        self.index = files.index
        for statement in TABLE:
            self.index.rows(statement)
        rows = _rows(files)
        while some := list(islice(rows, ROWS)):
            self.index.write("INSERT INTO image VALUES (?, ?, ?, ?)", some)

    def find(self, path: str, folder: str, places: Sequence[Place] = ()) -> FoundImage | None:
        """The file at the first of these places, or else at this path, from a folder or from the root; else the only
        one whose path has the longest end in common with it. The path may lack the suffix. At the first place the file
        is stated to be; others are usual. Raises NotStored."""
        starts = (f"{folder}/", "") if folder else ("",)
        usual = [place for place in places if not place.is_last]
        for number, place in enumerate(usual):
            if (found := self._at_place(place, starts, EXACT if number else STATED)) is not None:
                return found
        for exact in dict.fromkeys((f"{folder}/{path}" if folder else path, path)):
            names = self._at(exact)
            if len(names) == 1:
                return FoundImage(names[0], EXACT if usual else STATED)
            if names:  # of the same stem
                return None
        for place in places:
            if place.is_last and (found := self._at_place(place, starts, ALIKE)) is not None:
                return found
        composed = nfc(path)
        query = "SELECT path, said, name FROM image WHERE last = ? LIMIT ?"
        alike = self.index.rows(query, composed.rpartition("/")[2], MAX_ALIKE + 1)
        common = sorted(((_common_end(composed, at), _common_end(path, said)), name) for at, said, name in alike)
        if not common or len(common) > MAX_ALIKE or [length for length, _ in common[-2:-1]] == [common[-1][0]]:
            return None
        return FoundImage(common[-1][1], ALIKE)

    def take(self, path: str, name: str, *, is_said: bool) -> bool:
        """Whether this file may get this path: no other file of the import has taken it, or stays there. Where the
        files say of this one that it belongs there (`is_said`), none stays; and of a folder for images none does."""
        path = normalized(nfc(path))
        stay = "SELECT 1 FROM image WHERE path = ? AND said = name AND name <> ?"
        if not is_said and "images" not in path.split("/")[:-1] and self.index.rows(stay, path, name):
            return False
        self.index.write("INSERT OR IGNORE INTO taken VALUES (?, ?)", [(path, name)])
        return bool(self.index.rows("SELECT 1 FROM taken WHERE path = ? AND name = ?", path, name))

    def _at_place(self, place: Place, starts: Sequence[str], how: int) -> FoundImage | None:
        for start in starts:
            if names := self._at(normalized(f"{start}{place.file}"), is_whole=True):
                path = None if place.path is None else normalized(f"{start}{nfc(place.path)}")
                return FoundImage(names[0], how, path)
        return None

    def _at(self, path: str, *, is_whole: bool = False) -> list[str]:
        """The file at a path, or else those, up to two, that are there but for the suffix. Raises NotStored."""
        query = "SELECT said = name, said = ?, name FROM image WHERE path = ? ORDER BY 1 DESC, 2 DESC, 3 LIMIT 2"
        rows = self.index.rows(query, path, nfc(path))
        found = [name for *how, name in rows if how == [*rows[0][:2]]]
        if rows and rows[0][0] and len(found) > 1:
            message = f"Several files have the name `{path_end(path)}`, composed of other characters."
            raise NotStored(message, "IMAGE_AMBIGUOUS")
        return found if rows and (rows[0][0] or not is_whole) else []


def _rows(files: IndexedFiles) -> Iterator[tuple[str, str, str, str]]:
    for name in files.names():
        if is_image(name):
            for said in (name, stem(name)):
                path = nfc(said)
                yield path.rpartition("/")[2], path, said, name


def _common_end(path: str, other: str) -> int:
    pairs = zip(reversed(path.split("/")), reversed(other.split("/")), strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


@dataclass(slots=True)
class ImageContents:
    """Reads images of an import one after the other, in threads. What some of them are parts of stays open for the
    next. `most`: bytes of an image."""

    files: IndexedFiles
    most: int
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    container: str | None = None  # the file that is open
    opened: ParquetImages | TarImages | None = None
    stack: ExitStack = field(default_factory=ExitStack)

    async def read(self, image: Contained) -> bytes:
        """Raises StorageError; Invalid, for what is wrong with this image."""
        async with self.lock:
            return await asyncio.to_thread(self._read, image)

    def close(self) -> None:
        self.stack.close()

    def _read(self, image: Contained) -> bytes:
        if image.part is not None:
            data = self._container(image.file).read(*image.part)
            self._expect_size(len(data))
            return data
        self._expect_size(self.files.index.entry(image.file).size)
        with self.files.open(image.file) as file:
            return file.read()

    def _expect_size(self, size: int) -> None:
        if size > self.most:
            message = f"The file has {size / MIB:.1f} MiB; images of at most {self.most / MIB:g} MiB are accepted."
            raise Invalid(message, code="FILE_TOO_LARGE")

    def _container(self, name: str) -> ParquetImages | TarImages:
        if self.container != name or self.opened is None:
            self.stack.close()
            file = self.stack.enter_context(self.files.open(name))
            self.opened = ParquetImages(file) if name.lower().endswith(".parquet") else TarImages(file)
            self.container = name
        return self.opened
