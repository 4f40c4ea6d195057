"""What a file says of images and, elsewhere in it, of their annotations, brought together with flat memory: in a
temporary file, which is gone when it is closed."""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from itertools import groupby
from operator import itemgetter
from typing import Final, NamedTuple

Key = int | str
MAX_WEIGHT: Final = 32 * 1024 * 1024  # bytes of the annotations of one image
TABLES: Final = """
    PRAGMA journal_mode = OFF;
    PRAGMA synchronous = OFF;
    CREATE TABLE image (position INTEGER PRIMARY KEY, key UNIQUE, data BLOB);
    CREATE TABLE annotation (position INTEGER PRIMARY KEY, key, data BLOB);
"""
JOINED: Final = """
    SELECT image.position, image.data, annotation.position, annotation.data
    FROM image LEFT JOIN annotation ON annotation.key = image.key
    ORDER BY image.position, annotation.position
"""
ORPHANS: Final = """
    SELECT position FROM annotation WHERE NOT EXISTS (SELECT 1 FROM image WHERE image.key = annotation.key)
    ORDER BY position
"""


class Grouped(NamedTuple):
    """An image, the first of its annotations, and whether it has more; each with its position in the file."""

    position: int
    data: bytes
    annotations: list[tuple[int, bytes]]
    has_more: bool


class Grouping:
    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def add_image(self, position: int, key: Key, data: bytes = b"") -> bool:
        """Whether the image is new: the first of a key counts."""
        row = self._connection.execute("INSERT OR IGNORE INTO image VALUES (?, ?, ?)", (position, _storable(key), data))
        return row.rowcount > 0

    def add(self, position: int, key: Key, data: bytes) -> None:
        self._connection.execute("INSERT INTO annotation VALUES (?, ?, ?)", (position, _storable(key), data))

    def images(self, *, most: int) -> Iterator[Grouped]:
        self._connection.execute("CREATE INDEX IF NOT EXISTS of_image ON annotation (key)")
        for (position, data), rows in groupby(self._connection.execute(JOINED), key=itemgetter(0, 1)):
            annotations, weight = list[tuple[int, bytes]](), 0
            for row in rows:
                if row[2] is not None:
                    annotations.append((row[2], row[3]))
                    weight += len(row[3])
                if len(annotations) > most or weight > MAX_WEIGHT:
                    break
            has_more = len(annotations) > most or weight > MAX_WEIGHT
            yield Grouped(position, data, annotations[:-1] if has_more else annotations, has_more)

    def orphans(self) -> Iterable[int]:
        """The positions of annotations without an image."""
        return (row[0] for row in self._connection.execute(ORPHANS))


@contextmanager
def grouping() -> Iterator[Grouping]:
    """Without a name SQLite makes its file where the system has temporary ones, with a few MiB of it in memory."""
    with closing(sqlite3.connect("", isolation_level=None, check_same_thread=False)) as connection:
        connection.executescript(TABLES)
        connection.execute("BEGIN")
        yield Grouping(connection)


def _storable(key: Key) -> Key:
    return key if isinstance(key, str) or abs(key) < 2**63 else str(key)
