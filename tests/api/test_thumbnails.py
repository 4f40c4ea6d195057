"""Thumbnails as they are made, cached and deleted."""

import asyncio
import threading
from pathlib import Path
from queue import SimpleQueue

import pytest

from api.files.disk_cache import BLOCK, DiskCache
from api.files.thumbnails import thumbnails
from db.errors import DomainError
from db.formats import decoding
from db.formats.decoding import Decoders, Limits
from db.storage import Disk
from tests.db.dataset_fixture import image_bytes
from tests.memory_store import MemoryStore
from tests.waiting import TIMEOUT

JPEG = b"\xff\xd8\xff"


async def stored(count: int) -> MemoryStore:
    store = MemoryStore()
    for number in range(count):
        await store.write(f"{number}.png", image_bytes(size=(40, 30)))
    return store


def cached(folder: Path) -> int:
    return sum(path.is_file() for path in folder.rglob("*/*"))


async def test_the_oldest_are_deleted_while_others_are_made(tmp_path: Path) -> None:
    store = await stored(60)
    async with (
        decoding.decoders(Limits(processes=2)) as decoders,
        thumbnails(tmp_path, cache_bytes=20 * BLOCK, decoders=decoders) as made,
    ):
        for number in range(60):
            await made.get(store, f"{number}.png", f"etag {number}", 16)
    assert 0 < cached(tmp_path) <= 22


async def test_a_smaller_limit_holds_from_the_next_start(tmp_path: Path) -> None:
    store = await stored(20)
    async with decoding.decoders(Limits(processes=2)) as decoders:
        for cache_bytes in (100 * BLOCK, 5 * BLOCK):
            async with thumbnails(tmp_path, cache_bytes=cache_bytes, decoders=decoders) as made:
                for number in range(20 if cache_bytes > 50 * BLOCK else 0):
                    await made.get(store, f"{number}.png", f"etag {number}", 16)
    assert 0 < cached(tmp_path) <= 5


async def test_a_folder_whose_disk_hangs_keeps_its_own_threads_busy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sweep takes none of those that others need, and a server that stops does not wait for it."""
    threads, end = SimpleQueue[str](), threading.Event()

    def sweep(_: DiskCache) -> None:
        threads.put(threading.current_thread().name)
        end.wait()

    monkeypatch.setattr(DiskCache, "sweep", sweep)
    async with (
        decoding.decoders(Limits(processes=2)) as decoders,
        thumbnails(tmp_path, cache_bytes=BLOCK, decoders=decoders, disk=Disk(seconds=0.1)),
    ):
        assert await asyncio.to_thread(threads.get, timeout=TIMEOUT) == "disk"
    end.set()


async def test_one_that_cannot_be_made_is_refused_and_tried_again(tmp_path: Path) -> None:
    store = await stored(1)
    await store.write("broken.png", image_bytes()[:40])
    async with (
        decoding.decoders(Limits(seconds=TIMEOUT)) as decoders,
        thumbnails(tmp_path, cache_bytes=0, decoders=decoders) as made,
    ):
        for _ in range(2):
            with pytest.raises(DomainError, match="cannot be read"):
                await made.get(store, "broken.png", "etag", 16)
        assert (await made.get(store, "0.png", "etag 0", 16)).startswith(JPEG)


async def test_no_more_is_read_than_a_source_may_have_whatever_took_its_place(tmp_path: Path) -> None:
    store, wide = await stored(1), image_bytes(size=(400, 300))
    async with (
        decoding.decoders(Limits(seconds=TIMEOUT)) as decoders,
        thumbnails(tmp_path, cache_bytes=0, decoders=decoders, max_bytes=len(wide)) as made,
    ):
        store.put("0.png", wide)
        assert (await made.get(store, "0.png", "etag", 16)).startswith(JPEG)
        store.put("0.png", wide + b"\0")
        with pytest.raises(DomainError, match="larger than"):
            await made.get(store, "0.png", "another", 16)


async def test_a_server_that_stops_waits_for_no_decoder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = await stored(1)
    asked = asyncio.Event()

    async def stuck(*_: object) -> bytes:
        asked.set()
        await asyncio.sleep(3_600)
        return b""

    monkeypatch.setattr(Decoders, "thumbnail", stuck)
    async with decoding.decoders(Limits(seconds=TIMEOUT)) as decoders:
        async with thumbnails(tmp_path, cache_bytes=BLOCK, decoders=decoders) as made:
            asking = asyncio.create_task(made.get(store, "0.png", "etag", 16))
            await asked.wait()
        with pytest.raises(asyncio.CancelledError):
            await asking
