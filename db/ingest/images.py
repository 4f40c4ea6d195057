"""Images in storage: their first bytes, what these say, hashes of their content, and whether the files are whole.

The last bytes of nearly all files show that they are whole; the few others are read and, where there is no end in them
at all, decoded. No row is written here, and no lock is held.
"""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum, auto
from typing import Final, Self

from db.concurrency_limits import gather_or_cancel
from db.errors import StorageError
from db.formats import images
from db.formats.images import ImageFacts, ImageLimits, UnreadableImage
from db.storage import Head, ObjectExists, ObjectMissing, RootMissing, Store, StoredObject

MIB: Final = 1024 * 1024
NEVER: Final = datetime(1970, 1, 1, tzinfo=UTC)  # of a file that is not written yet, or not looked at
CHUNK: Final = 250  # images whose first bytes are in memory at once
ENDS_AT_ONCE: Final = 16  # files whose last bytes are read side by side
FILES_AT_ONCE: Final = 4  # files in memory at once
DAMAGED: Final = "The image file is truncated, so a part of the image is missing. Replace it with a complete file."


class Outcome(StrEnum):
    """What reading an image gave."""

    READ = auto()
    NOT_NEEDED = auto()
    UNREADABLE = auto()  # remembered: it is tried again when its content changes
    REFUSED = auto()  # not remembered: a limit or a permission may change while the content does not
    GONE = auto()


@dataclass(frozen=True, slots=True)
class InspectedImage:
    """An image as it is now. `problem` is the sentence for an image that was not read, or that is damaged; the hashes
    are those of a Head, None where they are not known."""

    outcome: Outcome
    size: int
    modified_at: datetime
    etag: str
    facts: ImageFacts | None = None
    problem: str = ""
    content: str | None = None
    pixels: str | None = None
    changed_at: datetime | None = None

    @classmethod
    def of(
        cls, found: StoredObject, facts: ImageFacts | None, outcome: Outcome = Outcome.READ, problem: str = ""
    ) -> Self:
        hashes = (found.content, found.pixels, found.changed_at)
        return cls(outcome, found.size, found.modified_at, found.stamp, facts, problem, *hashes)

    @property
    def content_hash(self) -> str | None:
        """The hash of the content as it is stored: not where the etag is that already."""
        return None if self.content == self.etag else self.content

    def as_damaged(self) -> "InspectedImage":
        assert self.facts is not None
        return replace(self, facts=replace(self.facts, damaged=True), problem=DAMAGED)

    @property
    def warnings(self) -> tuple[str, ...]:
        """The warnings about an image that is taken nevertheless."""
        return (self.problem,) if self.facts is not None and self.facts.damaged else ()


async def inspect_images(store: Store, files: Sequence[StoredObject], limits: ImageLimits) -> dict[str, InspectedImage]:
    """The images by their paths; `files` as they were listed. Raises RootMissing when the whole store is away."""
    inspected = {file.path: _too_large(file, limits) for file in files if file.size > limits.size}
    readable = [file for file in files if file.path not in inspected]
    for start in range(0, len(readable), CHUNK):
        inspected |= await _inspect_chunk(store, readable[start : start + CHUNK], limits)
    return inspected


async def _inspect_chunk(store: Store, files: Sequence[StoredObject], limits: ImageLimits) -> dict[str, InspectedImage]:
    heads = await store.heads([file.path for file in files], length=images.HEAD_SIZE)
    for head in heads:
        if isinstance(head, RootMissing):
            raise head
    pairs = list(zip(files, heads, strict=True))
    found = await asyncio.to_thread(lambda: {file.path: _judged(file, head, limits) for file, head in pairs})
    read = {file.path: head for file, head in pairs if isinstance(head, Head)}
    for file, head in pairs:
        if isinstance(head, Head) and not head.whole and found[file.path].outcome is Outcome.UNREADABLE:
            found[file.path] = await _read_further(store, file, head, limits)
            del read[file.path]
    found = await with_hashes(store, found)
    read = {path: head for path, head in read.items() if found[path].outcome is Outcome.READ}
    for path in await find_damaged(store, read, limits):
        found[path] = found[path].as_damaged()
    return found


async def with_hashes(store: Store, found: Mapping[str, InspectedImage]) -> dict[str, InspectedImage]:
    """The same images; those whose etags are no hashes of their contents get one, for a file that moves is known by
    its content. A file that cannot be read to its end just now gets none, and is read again by the next sync."""
    unknown = [path for path, image in found.items() if image.outcome is Outcome.READ and image.content is None]
    hashes = await store.content_hashes([(path, found[path].etag) for path in unknown]) if unknown else []
    contents = {path: content for path, content in zip(unknown, hashes, strict=True) if isinstance(content, str)}
    return dict(found) | {path: replace(found[path], content=content) for path, content in contents.items()}


def _judged(file: StoredObject, head: Head | StorageError, limits: ImageLimits) -> InspectedImage:
    match head:
        case StorageError():
            outcome = Outcome.GONE if isinstance(head, ObjectMissing) else Outcome.REFUSED
            return InspectedImage(outcome, file.size, file.modified_at, "", problem=head.message)
        case Head() if head.size > limits.size:
            return _too_large(head, limits)
        case Head():
            return _decoded(head, limits)


def _decoded(head: Head, limits: ImageLimits) -> InspectedImage:
    form = images.kind(head.data)
    if form is not None and form not in limits.formats:
        return InspectedImage.of(head, None, Outcome.REFUSED, images.not_taken(form, limits.formats))
    try:
        return InspectedImage.of(head, images.facts(head.data, limits.pixels, limits.side))
    except UnreadableImage as refused:
        return InspectedImage.of(head, None, Outcome.UNREADABLE, refused.message)


async def _read_further(store: Store, file: StoredObject, head: Head, limits: ImageLimits) -> InspectedImage:
    """Long metadata may push an image's facts beyond its first bytes, and a TIFF file may have them at its end: such a
    file is not cut."""
    position = images.rest_of_facts(head.data)
    try:
        if position is not None and position < head.size:
            rest = await store.read(file.path, start=position, length=images.HEAD_SIZE)
            with suppress(UnreadableImage):
                return InspectedImage.of(head, images.facts_of_parts(head.data, rest, limits.pixels, limits.side))
        data = await store.read(file.path, length=limits.size)
    except RootMissing:
        raise
    except StorageError as failed:
        return _judged(replace(file, size=head.size, modified=head.modified), failed, limits)
    image = await asyncio.to_thread(_decoded, replace(head, data=data), limits)
    return image.as_damaged() if image.outcome is Outcome.READ and await is_cut(data, limits) else image


def _too_large(file: StoredObject, limits: ImageLimits) -> InspectedImage:
    problem = f"The file has {file.size / MIB:.1f} MiB; images of at most {limits.size / MIB:g} MiB are accepted."
    return InspectedImage(Outcome.REFUSED, file.size, file.modified_at, "", problem=problem)


async def find_damaged(store: Store, heads: Mapping[str, Head], limits: ImageLimits) -> set[str]:
    """The paths of damaged images. What cannot be read again is not said to be damaged. Raises RootMissing."""
    ends, files = asyncio.Semaphore(ENDS_AT_ONCE), asyncio.Semaphore(FILES_AT_ONCE)

    async def is_damaged(path: str, head: Head) -> bool:
        try:
            async with ends:
                start = max(0, head.size - images.TAIL_SIZE)
                tail = head.data if head.whole else await store.read(path, start=start, length=images.TAIL_SIZE)
            if not images.may_be_truncated(head.data, tail[-images.TAIL_SIZE :], head.size):
                return False
            async with files:
                data = head.data if head.whole else await store.read(path, length=limits.size)
                return await is_cut(data, limits)
        except RootMissing:
            raise
        except StorageError:
            return False

    suspects = {path: head for path, head in heads.items() if not (head.whole and _has_end(head))}
    found = await gather_or_cancel(is_damaged(path, head) for path, head in suspects.items())
    return {path for path, damaged in zip(suspects, found, strict=True) if damaged}


def _has_end(head: Head) -> bool:
    """Of a head that is the whole file."""
    return not images.may_be_truncated(head.data, head.data[-images.TAIL_SIZE :], head.size)


async def is_cut(data: bytes, limits: ImageLimits) -> bool:
    """Whether this file ends before its image does. If finding its end takes too much, it has none."""
    if not images.may_be_truncated(data[: images.HEAD_SIZE], data[-images.TAIL_SIZE :], len(data)):
        return False
    try:
        return not await limits.is_complete(data)
    except UnreadableImage:
        return True


async def write_new(store: Store, path: str, data: bytes) -> StoredObject | None:
    """The object that has these bytes, written now or there before. None: another one is at the path."""
    try:
        return await store.write(path, data)
    except ObjectExists:
        return await object_with(store, path, data)


async def as_if_written(store: Store, path: str, data: bytes) -> StoredObject | None:
    """What `write_new` would give. Nothing is written."""
    found = await object_with(store, path, data)
    if found is None and await store.stat(path) is None:
        return StoredObject(path, len(data), 0, None)
    return found


async def object_with(store: Store, path: str, data: bytes) -> StoredObject | None:
    """The object at this path, if these are its bytes."""
    [head] = await store.heads([path], length=len(data) + 1)
    if isinstance(head, ObjectMissing):
        return None
    if isinstance(head, StorageError):
        raise head  # it may be the caller's own: under another name it would be there twice
    return head if head.data == data else None
