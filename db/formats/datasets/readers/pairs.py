"""Images and their label files, paired by their paths as sidecars are, with flat memory; and lists of images."""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from itertools import islice
from typing import Final, NamedTuple

from db.formats.datasets.reading import Files, Usage
from db.formats.paths import stem, suffix
from db.formats.sidecars.pairing import LABEL_DIRECTORIES, OTHERWISE, image_keys, sidecar_keys

AT_ONCE: Final = 64  # label files in memory
IMAGES: Final = frozenset({".jpg", ".jpeg", ".jfif", ".jpe", ".png", ".bmp", ".webp", ".gif", ".tif", ".tiff", ".avif"})
TABLES: Final = """
    PRAGMA journal_mode = OFF;
    PRAGMA synchronous = OFF;
    CREATE TABLE label (position INTEGER PRIMARY KEY, path TEXT, used INTEGER DEFAULT 0);
    CREATE TABLE key (key TEXT, exact TEXT, position INTEGER, PRIMARY KEY (key, exact));
    CREATE TABLE other (image TEXT, exact TEXT, position INTEGER);
    CREATE TABLE listed (name TEXT, path TEXT, usage TEXT);
    CREATE INDEX of_name ON listed (name);
"""
LABEL: Final = """
    SELECT position, path, exact = ?, count(*) OVER () FROM label JOIN key USING (position) WHERE key = ?
    ORDER BY 3 DESC, 1 LIMIT 1
"""
OTHERS: Final = """
    UPDATE label SET used = 2 WHERE used = 0
        AND position IN (SELECT position FROM other GROUP BY position HAVING min(exact) = max(exact))
"""
OF_OTHERS: Final = """
    SELECT image, CASE WHEN used = 2 THEN path END FROM other JOIN label USING (position) ORDER BY other.rowid
"""
UNUSED: Final = "SELECT path FROM label WHERE used = 0 ORDER BY position"


class Pair(NamedTuple):
    """An image's path, its label file's, and that file's first bytes; None for what there is not."""

    image: str | None
    label: str | None = None
    data: bytes | None = None


def is_image(name: str) -> bool:
    return suffix(name) in IMAGES


class Pairing:
    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def add_label(self, path: str) -> None:
        """The first file of a key counts; one that has no key of its own is left out."""
        row = self._connection.execute("INSERT INTO label (path) VALUES (?)", (path,))
        keys = [(key.partition(OTHERWISE)[0], key, row.lastrowid) for key in sidecar_keys(path)]
        if not self._connection.executemany("INSERT OR IGNORE INTO key VALUES (?, ?, ?)", keys).rowcount:
            self._connection.execute("DELETE FROM label WHERE position = ?", (row.lastrowid,))

    def pairs(self, images: Iterable[str]) -> Iterator[Pair]:
        """Each image with its label file; then those whose names are composed otherwise, unless it is another's or may
        be, and label files without an image."""
        for image in images:
            position, label, other = self._label_of(image)
            if other is None:
                self._connection.execute("UPDATE label SET used = 1 WHERE position = ?", (position,))
                yield Pair(image, label)
            else:
                self._connection.execute("INSERT INTO other VALUES (?, ?, ?)", (image, other, position))
        self._connection.execute(OTHERS)
        yield from (Pair(image, label) for image, label in self._connection.execute(OF_OTHERS))
        yield from (Pair(None, label) for (label,) in self._connection.execute(UNUSED))

    def _label_of(self, image: str) -> tuple[int | None, str | None, str | None]:
        """The position of its label file and its path; and the image's key, if both names are composed otherwise. Of
        several such files none is the image's."""
        for key in image_keys(image):
            found = self._connection.execute(LABEL, (key, key.partition(OTHERWISE)[0])).fetchone()
            position, path, is_exact, count = found or (None,) * 4
            if is_exact or count == 1:
                return position, path, None if is_exact else key
        return None, None, None

    def add_usage(self, path: str, usage: Usage) -> None:
        """What a list of images says of one, by its path or only the end of that, with or without the suffix."""
        path = path.replace("\\", "/").lstrip("./")
        self._connection.execute("INSERT INTO listed VALUES (?, ?, ?)", (_name(path), _front(path), usage))

    def usage(self, path: str) -> Usage | None:
        """The last that a list says of this image."""
        front = f"/{_front(path)}"
        rows = self._connection.execute("SELECT path, usage FROM listed WHERE name = ?", (_name(path),)).fetchall()
        fits = (use for said, use in reversed(rows) if f"/{said}".endswith(front) or front.endswith(f"/{said}"))
        return next(fits, None)


@contextmanager
def pairing() -> Iterator[Pairing]:
    """Without a name SQLite makes its file where the system has temporary ones, with a few MiB of it in memory."""
    with closing(sqlite3.connect("", isolation_level=None, check_same_thread=False)) as connection:
        connection.executescript(TABLES)
        connection.execute("BEGIN")
        yield Pairing(connection)


def with_contents(files: Files, pairs: Iterable[Pair], length: int) -> Iterator[Pair]:
    """Some label files at a time are asked for together."""
    iterator = iter(pairs)
    while some := list(islice(iterator, AT_ONCE)):
        contents = files.contents([pair.label for pair in some if pair.label is not None], length)
        for pair in some:
            yield pair if pair.label is None else pair._replace(data=next(contents)[1])


def image_of(label: str, folder: str) -> str:
    """Where the image of a label file would be, without its suffix; `folder` is that of images."""
    *parts, name = stem(label).split("/")
    index = next((n for n in reversed(range(len(parts))) if parts[n] in LABEL_DIRECTORIES), None)
    if index is not None:
        parts[index] = folder
    return "/".join([*parts, name])


def _front(path: str) -> str:
    return path.removesuffix(suffix(path)) if is_image(path) else path


def _name(path: str) -> str:
    return _front(path).rpartition("/")[2]
