"""Thumbnails of files of this machine: decoders read them where the system has them in memory, and wait for no disk."""

import asyncio
import io
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from PIL import Image

from api.files.thumbnails import Thumbnails, thumbnails
from db.errors import DomainError
from db.formats import cached_files, decoding, images
from db.formats.cached_files import CachedFile
from db.formats.decoding import Decoders, Limits, NotCached
from db.formats.images import UnreadableImage
from db.storage import LocalStore
from tests.waiting import TIMEOUT

SIZE = 64


def image_bytes(size: tuple[int, int], form: str = "JPEG", **options: object) -> bytes:
    out = io.BytesIO()
    Image.linear_gradient("L").resize(size).convert("RGB").save(out, form, **options)
    return out.getvalue()


OLD, NEW = image_bytes((400, 300)), image_bytes((200, 300))


def small(data: bytes) -> bytes:
    return images.thumbnail(data, SIZE)[0]


def in_memory(path: Path) -> bool:
    """As the system says, which it can not of every file system."""
    with path.open("rb") as file:
        try:
            return os.preadv(file.fileno(), [bytearray(1)], 0, os.RWF_NOWAIT) == 1
        except OSError:
            return False


def opened(path: Path) -> CachedFile:
    with path.open("rb") as file:
        return CachedFile(os.dup(file.fileno()), path.stat().st_size)


class Store(LocalStore):
    """`between` happens between opening a file and decoding it. `reads` counts the files that the server reads."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.reads = 0
        self.between: Callable[[], object] = bool

    async def read(self, path: str, *, start: int = 0, length: int | None = None) -> bytes:
        self.reads += 1
        return await super().read(path, start=start, length=length)

    async def read_or_open(self, path: str, *, length: int) -> bytes | CachedFile:
        found = await super().read_or_open(path, length=length)
        self.reads += isinstance(found, bytes)
        self.between()
        return found


@pytest.fixture
async def decoders() -> AsyncIterator[Decoders]:
    async with decoding.decoders(Limits(seconds=TIMEOUT, processes=1)) as made:
        yield made


@pytest.fixture
async def made(decoders: Decoders, tmp_path: Path) -> AsyncIterator[Thumbnails]:
    async with thumbnails(tmp_path / "cache", cache_bytes=0, decoders=decoders, max_bytes=len(OLD)) as opened:
        yield opened


@pytest.fixture
def store(tmp_path: Path) -> Store:
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a").write_bytes(OLD)
    return Store(tmp_path / "images")


async def test_a_file_in_memory_is_read_by_its_decoder_alone(made: Thumbnails, store: Store) -> None:
    assert await made.get(store, "a", "etag", SIZE) == small(OLD)
    assert store.reads == (0 if in_memory(store.root / "a") else 1)


async def test_where_no_system_says_what_is_in_memory_the_server_reads(
    made: Thumbnails, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cached_files, "NOWAIT", None)
    assert await made.get(store, "a", "etag", SIZE) == small(OLD)
    assert store.reads == 1


def forget(path: Path) -> None:
    """The system has the file on its disk alone."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


async def test_a_decoder_waits_for_no_disk(made: Thumbnails, decoders: Decoders, store: Store) -> None:
    path = store.root / "a"
    forget(path)
    with pytest.raises(NotCached):
        await decoders.thumbnail(opened(path), SIZE)
    [decoder] = decoders.idle
    forget(path)
    assert await made.get(store, "a", "etag", SIZE) == small(OLD)
    store.between = lambda: forget(path)
    assert await made.get(store, "a", "etag", SIZE) == small(OLD)
    assert store.reads == 2
    assert (decoders.idle, decoders.lost) == ([decoder], 0)


def replace(path: Path) -> None:
    path.with_name("b").write_bytes(NEW)
    path.with_name("b").replace(path)


CHANGES: dict[str, tuple[Callable[[Path], object], bytes]] = {
    "rewritten": (lambda path: path.write_bytes(NEW), NEW),
    "replaced": (replace, OLD),
    "removed": (lambda path: path.unlink(), OLD),
    "grown": (lambda path: os.truncate(path, len(OLD) + 100), OLD),
}


@pytest.mark.parametrize("change", CHANGES)
async def test_a_file_that_changes_while_it_is_read_shows_one_of_its_contents(
    made: Thumbnails, decoders: Decoders, store: Store, change: str
) -> None:
    assert len(NEW) < len(OLD)
    path, (act, shown) = store.root / "a", CHANGES[change]
    store.between = lambda: act(path)
    expected = shown if in_memory(path) else OLD
    assert await made.get(store, "a", "etag", SIZE) == small(expected)
    assert decoders.lost == 0


async def test_a_file_that_is_emptied_while_it_is_read_is_no_image(
    made: Thumbnails, decoders: Decoders, store: Store
) -> None:
    path = store.root / "a"
    path.write_bytes(b"")
    with pytest.raises(UnreadableImage):
        await made.get(store, "a", "etag", SIZE)
    path.write_bytes(OLD)
    store.between = lambda: os.truncate(path, len(OLD) // 2)
    cut = OLD[: len(OLD) // 2] if in_memory(path) else OLD
    assert await made.get(store, "a", "etag", SIZE) == small(cut)
    assert decoders.lost == 0


async def test_a_file_that_is_too_large_reaches_no_decoder(made: Thumbnails, decoders: Decoders, store: Store) -> None:
    for more in (1, 2, 100):
        (store.root / "a").write_bytes(OLD + b"\0" * more)
        with pytest.raises(DomainError, match="larger than"):
            await made.get(store, "a", "etag", SIZE)
    assert decoders.images == 0


def descriptors(pid: int) -> int:
    return len(list(Path("/proc", str(pid), "fd").iterdir()))


async def test_no_file_stays_open(made: Thumbnails, decoders: Decoders, store: Store) -> None:
    """Of images that are shown, of others, and where nobody waits any more."""
    (store.root / "bad").write_bytes(b"\xff\xd8\xff no image")
    counts = []
    for _ in range(3):
        await made.get(store, "a", "etag", SIZE)
        with pytest.raises(UnreadableImage):
            await made.get(store, "bad", "etag", SIZE)
        async with decoders.slots:
            waiting = asyncio.create_task(decoders.thumbnail(opened(store.root / "a"), SIZE))
            await asyncio.sleep(0)
            waiting.cancel()
            await asyncio.wait([waiting])
            del waiting
        [decoder] = decoders.idle
        counts.append((descriptors(os.getpid()), descriptors(decoder.process.pid)))
    assert counts[0] == counts[1] == counts[2]


@pytest.mark.parametrize("kind", ["file", "bytes"])
async def test_a_decoder_that_is_killed_costs_its_image_alone(decoders: Decoders, store: Store, kind: str) -> None:
    """The others, which wait, are decoded by the next one."""
    path = store.root / "a"
    if not in_memory(path):
        kind = "bytes"
    await decoders.thumbnail(OLD, SIZE)
    [decoder] = decoders.idle
    os.kill(decoder.process.pid, signal.SIGSTOP)
    tasks = [asyncio.create_task(decoders.thumbnail(opened(path) if kind == "file" else OLD, SIZE)) for _ in range(4)]
    while decoder.images < 2:  # noqa: ASYNC110 (a test looks from outside)
        await asyncio.sleep(0.001)
    tasks.pop().cancel()
    os.kill(decoder.process.pid, signal.SIGKILL)
    with pytest.raises(UnreadableImage):
        await tasks.pop(0)
    assert await asyncio.gather(*tasks) == [small(OLD)] * 2
    assert decoders.lost == 1


async def test_whoever_leaves_while_its_image_waits_takes_it_from_nobody(
    decoders: Decoders, store: Store, tmp_path: Path
) -> None:
    """Another who asked for the same one gets it, made once."""
    async with AsyncExitStack() as stack:
        cached = await stack.enter_async_context(thumbnails(tmp_path / "cache", cache_bytes=10**6, decoders=decoders))
        async with decoders.slots:  # as if others decoded
            first, second = (asyncio.create_task(cached.get(store, "a", "etag", SIZE)) for _ in range(2))
            while not cached._making:  # noqa: ASYNC110
                await asyncio.sleep(0.001)
            first.cancel()
            await asyncio.wait([first])
        assert await second == small(OLD)
    assert decoders.images == 1
