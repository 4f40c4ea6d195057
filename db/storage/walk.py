"""Walking a directory tree, following links.

A link to a file is an object. A link to a directory is entered as if the directory were there, once: a tree that is
part of the walk anyway, or contains it, is not entered, so circles of links end and no file is listed twice through
linked directories.
"""

import os
import re
import stat as modes
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from math import modf
from pathlib import Path
from typing import Final

from db.formats.paths import LENGTH
from db.formats.timestamps import FIRST, LAST, microseconds
from db.storage.objects import ALL, Page, StoredObject

DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
OLDEST, NEWEST = map(microseconds, (FIRST, LAST))
PART: Final = re.compile(r"\.[0-9a-f]{16}\.part")  # temporary files of writers
MAX_PART_AGE: Final = 3_600.0  # seconds since the last write to one, after which its writer was killed
MAX_FOLLOWED: Final = 100_000  # linked directories


@dataclass(frozen=True, slots=True)
class Directory:
    """A directory to be read: the prefix of its files' paths, and its path below the root it is opened from."""

    prefix: str
    root: str
    below: str

    @property
    def real(self) -> str:
        return f"{self.root.rstrip('/')}/{self.below}"

    def child(self, name: str) -> "Directory":
        return Directory(f"{self.prefix}{name}/", self.root, f"{self.below}{name}/")


class Walk:
    """The files below an open root directory. Each directory is opened from its root, and only one at a time, so
    no depth is too deep. The lists contain what was met since the last page."""

    def __init__(
        self,
        descriptor: int,
        root: Path,
        roots: Sequence[Path],
        skips: Callable[[str], bool] = ALL.skips,
    ) -> None:
        self.descriptor = descriptor
        self.skips = skips
        self.root = os.path.realpath(root)
        self.roots = [str(allowed) for allowed in roots]
        self.pending = [Directory("", self.root, "")]
        self.followed = {self.root}
        self.found: list[StoredObject] = []
        self.unreadable: list[str] = []
        self.too_long: list[str] = []
        self.ignored: list[tuple[str, str]] = []
        self.skipped: list[str] = []

    def page(self) -> Page:
        lists = (self.found, self.unreadable, self.too_long, self.ignored, self.skipped)
        page = Page(*map(tuple, lists))  # type: ignore[arg-type]
        self.found, self.unreadable, self.too_long, self.ignored, self.skipped = [], [], [], [], []
        return page

    def files(self) -> Iterator[StoredObject]:
        while self.pending:
            directory = self.pending.pop()
            try:
                is_ours = directory.root == self.root
                root = os.dup(self.descriptor) if is_ours else os.open(directory.root, DIRECTORY)
                descriptor = enter(root, directory.below.split("/")[:-1])
            except FileNotFoundError:
                continue  # removed in between
            except OSError:
                self.unreadable.append(directory.prefix[:-1])
                continue
            try:
                yield from self._entries(descriptor, directory)
            finally:
                os.close(descriptor)

    def _entries(self, descriptor: int, directory: Directory) -> Iterator[StoredObject]:
        may_have_parts = directory.root == self.root
        with os.scandir(descriptor) as entries:
            for entry in entries:
                path = directory.prefix + entry.name
                try:
                    if may_have_parts and PART.fullmatch(entry.name):
                        _remove_old_part(descriptor, entry)
                    elif entry.is_file(follow_symlinks=False):
                        yield described(path, entry.stat(follow_symlinks=False))
                    elif entry.is_symlink():
                        yield from self._link(path, os.path.realpath(directory.real + entry.name))
                    elif entry.is_dir(follow_symlinks=False):
                        self._directory(directory, entry.name)
                    else:
                        self.ignored.append((path, "NOT_A_FILE"))
                except FileNotFoundError:
                    continue  # removed in between

    def _directory(self, parent: Directory, name: str) -> None:
        """Also one whose paths are just too long, so that the first such files are listed, and reported by path."""
        directory = parent.child(name)
        if self.skips(directory.prefix):
            self.skipped.append(directory.prefix)
        elif len(parent.prefix) > LENGTH:
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
            return
        contains_root = path_below(self.root, real) is not None
        if modes.S_ISLNK(facts.st_mode):  # a real path that is a link: links lead in a circle
            self.ignored.append((path, "LINK_BROKEN"))
        elif not modes.S_ISDIR(facts.st_mode):
            self.ignored.append((path, "NOT_A_FILE"))
        elif contains_root or any(str(parent) in self.followed for parent in (Path(real), *Path(real).parents)):
            self.ignored.append((path, "LINK_REPEATED"))
        elif len(self.followed) >= MAX_FOLLOWED:
            self.ignored.append((path, "LINK_NOT_ALLOWED"))
        elif self.skips(f"{path}/"):
            self.skipped.append(f"{path}/")
        else:
            self.followed.add(real)
            below = path_below(real, root)
            self.pending.append(Directory(f"{path}/", root, f"{below}/" if below else ""))


def enter(descriptor: int, names: Iterable[str], *, make: bool = False) -> int:
    """The directory below an open one, reached name by name and through no link; with `make`, missing ones are made.
    The descriptor that was passed is closed."""
    for name in names:
        try:
            if make:
                with suppress(FileExistsError):
                    os.mkdir(name, dir_fd=descriptor)
            below = os.open(name, DIRECTORY, dir_fd=descriptor)
        finally:
            os.close(descriptor)
        descriptor = below
    return descriptor


def _remove_old_part(directory: int, entry: os.DirEntry[str]) -> None:
    """The temporary file of a killed writer: it is never listed, and an old one is removed."""
    age = time.time() - entry.stat(follow_symlinks=False).st_mtime
    if age > MAX_PART_AGE and entry.is_file(follow_symlinks=False):
        with suppress(OSError):
            os.unlink(entry.name, dir_fd=directory)


def path_below(path: str, root: str) -> str | None:
    """The part of a real path below a directory, '' for the directory itself; None if it is elsewhere."""
    if path == root:
        return ""
    start = root.rstrip("/") + "/"
    return path[len(start) :] if path.startswith(start) else None


def described(path: str, facts: os.stat_result) -> StoredObject:
    modified = min(max(facts.st_mtime_ns // 1_000, OLDEST), NEWEST)
    fraction, seconds = modf(facts.st_ctime)
    changed = int(seconds) * 1_000_000 + round(fraction * 1_000_000)
    makes_sense = OLDEST <= changed <= NEWEST  # not on every file system
    return StoredObject(path, facts.st_size, modified, None, changed if makes_sense else None)
