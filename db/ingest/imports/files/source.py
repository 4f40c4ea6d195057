"""What all sources of files have in common: the table of their files, which is in a temporary file, so that a million
names take no memory."""

import sqlite3
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Final, Protocol

from db.errors import Invalid
from db.formats.datasets.reading import Problem
from db.formats.images import SUFFIXES
from db.formats.names import excerpt
from db.formats.paths import suffix

MAX_FILES: Final = 2_000_000
MAX_NAME: Final = 1_024  # bytes
NAMES: Final = 1_000  # that are read at once
MAX_PROBLEMS: Final = 1_000  # that are reported of one source
TABLE: Final = """
    PRAGMA journal_mode = OFF;
    PRAGMA synchronous = OFF;
    CREATE TABLE file (name TEXT PRIMARY KEY, size INTEGER, start INTEGER, packed INTEGER, check_sum INTEGER)
        WITHOUT ROWID;
"""
HIDDEN: Final = ("__MACOSX", "@eaDir")


@dataclass(frozen=True, slots=True)
class Entry:
    """`start`: where its bytes begin in what contains them; None: they cannot be read. `packed`: of how many bytes it
    is made, if it is compressed. `check_sum`: CRC-32."""

    size: int
    start: int | None = 0
    packed: int | None = None
    check_sum: int | None = None


class Index:
    """The files by name. Names are relative, with `/`. Any thread may use it, and close it while another uses it, as a
    canceled import does; that one gets sqlite3.ProgrammingError then."""

    def __init__(self) -> None:
        # Of a file without a name, which SQLite makes where the system has temporary ones, and which is gone with it.
        self._connection = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._connection.executescript(TABLE)
        self._connection.execute("BEGIN")
        self._lock = threading.Lock()  # SQLite crashes the process where a connection is closed under a statement
        self.count = 0
        self.problems: list[Problem] = []

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    def rows(self, statement: str, *values: Any) -> list[Any]:
        """All rows of a short statement."""
        with self._lock:
            return self._connection.execute(statement, values).fetchall()

    def write(self, statement: str, rows: Sequence[Sequence[Any]]) -> int:
        """How many rows were written."""
        with self._lock:
            return self._connection.executemany(statement, rows).rowcount

    def add(self, name: str, entry: Entry, *, of: str = "") -> bool:
        """False: it was passed over. `of`: what contains it, in problems. Raises Invalid."""
        reason = wrong_name(name)
        if reason is not None:
            self.report(of, f"`{excerpt(name)}` {reason}; it was not read.")
            return False
        if any(part.startswith(".") or part in HIDDEN for part in name.split("/")):
            return False
        values = (name, entry.size, entry.start, entry.packed, entry.check_sum)
        if not self.write("INSERT OR IGNORE INTO file VALUES (?, ?, ?, ?, ?)", [values]):
            self.report(of, f"`{excerpt(name)}` is there twice; the first is read.")
            return False
        self.count += 1
        if self.count > MAX_FILES:
            raise Invalid(f"At most {MAX_FILES:,} files are imported at once.", code="FILE_TOO_LARGE")
        return True

    def report(self, location: str, message: str) -> None:
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(Problem(location, message))

    def names(self) -> Iterator[str]:
        """In the order of code points."""
        last = ""
        while rows := self.rows("SELECT name FROM file WHERE name > ? ORDER BY name LIMIT ?", last, NAMES):
            for (last,) in rows:
                yield last

    def entry(self, name: str) -> Entry:
        """Raises Invalid."""
        rows = self.rows("SELECT size, start, packed, check_sum FROM file WHERE name = ?", name)
        if not rows:
            raise Invalid(f"There is no file `{excerpt(name)}`.")
        return Entry(*rows[0])


def wrong_name(name: str) -> str | None:
    """Why a file of this name is passed over."""
    try:
        size = len(name.encode())
    except UnicodeEncodeError:
        return "has no name in Unicode"
    if not 1 <= size <= MAX_NAME:
        return f"has a name of more than {MAX_NAME} bytes"
    if any(ord(character) < 32 or character == "\x7f" for character in name):
        return "has control characters in its name"
    parts = name.split("/")
    if name.startswith("/") or name[1:2] == ":" or ".." in parts:
        return "leads out of its folder"
    if "" in parts or "." in parts:
        return "has an empty part in its path"
    return None


class SourceFiles(Protocol):
    """`Files` of readers. `folder`: the location that names are relative to, ending with a slash; `label`: how problems
    name the files as a whole; `total`: bytes that there are to be read, about."""

    folder: str
    label: str
    total: int
    index: Index

    def names(self) -> Iterable[str]: ...

    def open(self, name: str) -> BinaryIO: ...

    def contents(self, names: Iterable[str], length: int) -> Iterator[tuple[str, bytes]]: ...


@dataclass(slots=True)
class IndexedFiles(ABC):
    """Files of an index, each read by itself."""

    folder: str
    label: str
    total: int = 0
    index: Index = field(default_factory=Index)

    def close(self) -> None:
        self.index.close()

    def names(self) -> Iterable[str]:
        return self.index.names()

    @abstractmethod
    def open(self, name: str) -> BinaryIO: ...

    def contents(self, names: Iterable[str], length: int) -> Iterator[tuple[str, bytes]]:
        for name in names:
            with self.open(name) as file:
                yield name, file.read(length)


def is_image(name: str) -> bool:
    return suffix(name) in SUFFIXES
