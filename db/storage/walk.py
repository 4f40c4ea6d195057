"""Walking a directory tree, links included.

A link to a file is an object. A link to a directory is entered as if the directory were there, once: a tree that is
part of the walk anyway, or holds it, is not entered, so no circle of links goes on for ever and no file is listed twice
through directories.
"""

import os
import re
import stat as modes
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from db.formats.paths import LENGTH
from db.storage.objects import Page, StoredObject

DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
OLDEST, NEWEST = -62_135_596_800_000_000, 253_402_300_799_000_000  # microseconds that a datetime can hold
PART: Final = re.compile(r"\.[0-9a-f]{16}\.part")  # files in the making, which no one else names so
LEFT: Final = 3_600.0  # seconds since the last write to one, after which nobody is at it any more
MAX_FOLLOWED: Final = 100_000  # linked directories


@dataclass(frozen=True, slots=True)
class Directory:
    """A directory to be read: the prefix of its files' paths, and where it lies below the root it is opened from."""

    prefix: str
    root: str
    below: str

    @property
    def real(self) -> str:
        return f"{self.root.rstrip('/')}/{self.below}"

    def child(self, name: str) -> "Directory":
        return Directory(f"{self.prefix}{name}/", self.root, f"{self.below}{name}/")


class Walk:
    """The files below an open root directory. Each directory is opened anew from its root, and one at a time, so no
    depth is too deep. What was met since the last page is in the lists."""

    def __init__(self, descriptor: int, root: Path, roots: Sequence[Path]) -> None:
        self.descriptor = descriptor
        self.root = os.path.realpath(root)
        self.roots = [str(allowed) for allowed in roots]
        self.pending = [Directory("", self.root, "")]
        self.followed = {self.root}
        self.found: list[StoredObject] = []
        self.unreadable: list[str] = []
        self.too_long: list[str] = []
        self.ignored: list[tuple[str, str]] = []

    def page(self) -> Page:
        page = Page(tuple(self.found), tuple(self.unreadable), tuple(self.too_long), tuple(self.ignored))
        self.found, self.unreadable, self.too_long, self.ignored = [], [], [], []
        return page

    def files(self) -> Iterator[StoredObject]:
        while self.pending:
            directory = self.pending.pop()
            try:
                descriptor = self._open(directory)
            except FileNotFoundError:
                continue  # gone since: a listing need not know
            except OSError:
                self.unreadable.append(directory.prefix[:-1])
                continue
            try:
                yield from self._entries(descriptor, directory)
            finally:
                os.close(descriptor)

    def _open(self, directory: Directory) -> int:
        """Step by step, through no link."""
        is_ours = directory.root == self.root
        current = os.dup(self.descriptor) if is_ours else os.open(directory.root, DIRECTORY)
        for name in directory.below.split("/")[:-1]:
            try:
                below = os.open(name, DIRECTORY, dir_fd=current)
            finally:
                os.close(current)
            current = below
        return current

    def _entries(self, descriptor: int, directory: Directory) -> Iterator[StoredObject]:
        with os.scandir(descriptor) as entries:
            for entry in entries:
                path = directory.prefix + entry.name
                with suppress(FileNotFoundError):
                    if directory.root == self.root and PART.fullmatch(entry.name):
                        _remove_if_left(descriptor, entry)
                    elif entry.is_symlink():
                        yield from self._link(path, os.path.realpath(directory.real + entry.name))
                    elif entry.is_file(follow_symlinks=False):
                        yield described(path, entry.stat(follow_symlinks=False))
                    elif entry.is_dir(follow_symlinks=False):
                        self._enter(directory, entry.name)
                    else:
                        self.ignored.append((path, "NOT_A_FILE"))

    def _enter(self, above: Directory, name: str) -> None:
        """Also where paths are just too long, so that the first such files are listed, and reported by their paths."""
        directory = above.child(name)
        if len(above.prefix) > LENGTH:
            self.too_long.append(directory.prefix[:-1])
        elif directory.real.rstrip("/") in self.followed:
            self.ignored.append((directory.prefix[:-1], "LINK_REPEATED"))
        else:
            self.pending.append(directory)

    def _link(self, path: str, real: str) -> Iterator[StoredObject]:
        root = next((root for root in self.roots if path_below(real, root) is not None), None)
        if root is None:
            self.ignored.append((path, "LINK_NOT_ALLOWED"))
            return
        try:
            facts = os.lstat(real)
        except OSError:
            self.ignored.append((path, "LINK_BROKEN"))
            return
        if modes.S_ISREG(facts.st_mode):
            yield replace(described(path, facts), link_to=path_below(real, self.root))
        elif modes.S_ISDIR(facts.st_mode):
            self._follow(path, real, root)
        else:  # a link is left over where links lead in a circle
            self.ignored.append((path, "LINK_BROKEN" if modes.S_ISLNK(facts.st_mode) else "NOT_A_FILE"))

    def _follow(self, path: str, real: str, root: str) -> None:
        if self._is_walked(real):
            self.ignored.append((path, "LINK_REPEATED"))
        elif len(self.followed) >= MAX_FOLLOWED:
            self.ignored.append((path, "LINK_NOT_ALLOWED"))
        else:
            self.followed.add(real)
            below = path_below(real, root)
            self.pending.append(Directory(f"{path}/", root, f"{below}/" if below else ""))

    def _is_walked(self, real: str) -> bool:
        """Whether a directory is part of a tree that is walked anyway, or holds the root."""
        if path_below(self.root, real) is not None:
            return True
        return any(str(above) in self.followed for above in (Path(real), *Path(real).parents))


def _remove_if_left(directory: int, entry: os.DirEntry[str]) -> None:
    """A file in the making whose writer was killed stays: no listing tells of it, and one that is old is removed."""
    age = time.time() - entry.stat(follow_symlinks=False).st_mtime
    if age > LEFT and entry.is_file(follow_symlinks=False):
        with suppress(OSError):
            os.unlink(entry.name, dir_fd=directory)


def path_below(path: str, root: str) -> str | None:
    """The part of a real path below a directory, '' for the directory itself; None if it lies elsewhere."""
    if path == root:
        return ""
    start = root.rstrip("/") + "/"
    return path[len(start) :] if path.startswith(start) else None


def described(path: str, facts: os.stat_result) -> StoredObject:
    moment = min(max(facts.st_mtime_ns // 1000, OLDEST), NEWEST)
    return StoredObject(path, facts.st_size, EPOCH + timedelta(microseconds=moment), None, _changed_at(facts))


def _changed_at(facts: os.stat_result) -> datetime | None:
    """None where the file system tells nonsense."""
    try:
        return datetime.fromtimestamp(facts.st_ctime, UTC)
    except (ValueError, OverflowError, OSError):
        return None
