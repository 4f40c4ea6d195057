"""Every store behaves in the same way; below, what only directories do."""

import asyncio
import inspect
import os
import stat
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from db.errors import Invalid, StorageError
from db.formats.cached_files import CachedFile
from db.storage import (
    Head,
    LocalStore,
    ObjectChanged,
    ObjectExists,
    ObjectMissing,
    RootMissing,
    Store,
    StoredObject,
    Stores,
)
from db.storage.local import READERS
from db.storage.locations import AllowedLocations
from db.storage.objects import CHUNK, PAGE
from db.storage.observed import ObservedStore, Traffic
from db.storage.walk import described
from tests.memory_store import MemoryStore


@contextmanager
def unheard(_kind: str, _operation: str) -> Generator[Traffic, None, None]:
    yield Traffic()


@pytest.fixture(params=["local", "memory", "observed"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    match request.param:
        case "local":
            return LocalStore(tmp_path)
        case "observed":
            return ObservedStore(LocalStore(tmp_path), "directory", unheard)
    return MemoryStore()


def test_an_observed_store_passes_on_all_that_a_store_can_do() -> None:
    methods = {name for name, value in vars(Store).items() if inspect.isfunction(value) and not name.startswith("_")}
    assert "download_url" in methods
    assert methods <= vars(ObservedStore).keys()


async def listed(store: Store) -> dict[str, StoredObject]:
    return {found.path: found async for page in store.pages() for found in page.objects}


SECOND = timedelta(seconds=1)  # files have times of the kernel's clock, which ticks


async def test_what_was_written_is_listed_and_read(store: Store) -> None:
    before = datetime.now(UTC)
    written = await store.write("a/b.png", b"0123456789")
    assert before - SECOND < written.modified_at < datetime.now(UTC) + SECOND
    assert await store.read("a/b.png") == b"0123456789"
    assert await store.read("a/b.png", start=3, length=4) == b"3456"
    found = (await listed(store))["a/b.png"]
    assert (found.size, found.modified_at) == (10, written.modified_at)
    assert await store.stat("a/b.png") == found


def content(found: bytes | CachedFile) -> bytes:
    return os.pread(found.descriptor, found.size, 0) if isinstance(found, CachedFile) else found


async def test_what_may_be_opened_is_what_is_read(store: Store) -> None:
    await store.write("a/b.png", b"0123456789")
    for length in (10, 11):
        assert content(await store.read_or_open("a/b.png", length=length)) == b"0123456789"
    assert await store.read_or_open("a/b.png", length=9) == b"012345678"
    await store.write("empty.png", b"")
    assert await store.read_or_open("empty.png", length=9) == b""
    with pytest.raises(ObjectMissing):
        await store.read_or_open("a/c.png", length=9)


async def test_nothing_is_written_over(store: Store) -> None:
    await store.write("a.png", b"first")
    with pytest.raises(ObjectExists):
        await store.write("a.png", b"second")
    assert await store.read("a.png") == b"first"


async def test_of_many_writers_of_one_path_one_wins(store: Store) -> None:
    attempts = (store.write("a/b.png", f"writer {number}".encode()) for number in range(8))
    results = await asyncio.gather(*attempts, return_exceptions=True)
    assert sum(isinstance(result, StoredObject) for result in results) == 1
    assert list(await listed(store)) == ["a/b.png"]


async def test_a_stream_gives_it_all_in_pieces(store: Store) -> None:
    data = os.urandom(CHUNK * 2 + 17)
    await store.write("a.bin", data)
    pieces = [piece async for piece in store.stream("a.bin")]
    assert b"".join(pieces) == data
    assert max(map(len, pieces)) <= CHUNK
    part = [piece async for piece in store.stream("a.bin", start=5, length=CHUNK + 1)]
    assert b"".join(part) == data[5 : CHUNK + 6]


async def test_heads_tell_the_content_and_stand_in_order(store: Store) -> None:
    await store.write("a", b"x" * 100)
    await store.write("b", b"x" * 100)
    await store.write("c", b"other")
    a, missing, b, c = await store.heads(["a", "nowhere", "b", "c"], length=7)
    assert isinstance(a, Head)
    assert isinstance(b, Head)
    assert isinstance(c, Head)
    assert isinstance(missing, ObjectMissing)
    assert (a.data, a.size, a.whole, c.whole) == (b"x" * 7, 100, False, True)
    assert a.etag == b.etag != c.etag


async def test_what_is_not_there_is_missing(store: Store) -> None:
    assert await store.stat("nowhere/a") is None
    with pytest.raises(ObjectMissing):
        await store.read("nowhere/a")
    with pytest.raises(ObjectMissing):
        [piece async for piece in store.stream("a")]
    assert not await store.delete("a")


async def test_deletes_what_was_meant_and_nothing_else(store: Store) -> None:
    await store.write("a", b"one")
    [head] = await store.heads(["a"], length=0)
    assert isinstance(head, Head)
    with pytest.raises(ObjectChanged):
        await store.delete("a", etag="another")
    assert await store.delete("a", etag=head.etag)
    assert not await store.delete("a", etag=head.etag)
    assert await listed(store) == {}


async def test_a_stamp_changes_with_the_content(store: Store) -> None:
    await store.write("a", b"one")
    before = (await listed(store))["a"].stamp
    await store.delete("a")
    await store.write("a", b"three")
    assert (await listed(store))["a"].stamp != before


async def test_pages_are_bounded(store: Store) -> None:
    for number in range(PAGE + 1):
        await store.write(f"{number % 7}/{number}", b"")
    sizes = [len(page.objects) async for page in store.pages()]
    assert max(sizes) <= PAGE
    assert sum(sizes) == PAGE + 1


@pytest.mark.parametrize("path", ["../a", "a/../b", "/a", "a//b", "", ".", "a/.", "a\0b", "\ud800", "a" * 1025])
async def test_a_path_that_leads_out_is_refused(tmp_path: Path, path: str) -> None:
    store = LocalStore(tmp_path / "root")
    (tmp_path / "root").mkdir()
    with pytest.raises(Invalid):
        await store.write(path, b"x")
    with pytest.raises(Invalid):
        await store.read(path)
    assert list((tmp_path / "root").iterdir()) == []


@pytest.fixture
def linked(tmp_path: Path) -> LocalStore:
    """A root with links out of it."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret").write_bytes(b"secret")
    root = tmp_path / "root"
    root.mkdir()
    (root / "file").symlink_to(tmp_path / "outside" / "secret")
    (root / "directory").symlink_to(tmp_path / "outside")
    return LocalStore(root)


@pytest.mark.parametrize("path", ["file", "directory/secret"])
async def test_no_link_is_followed(linked: LocalStore, tmp_path: Path, path: str) -> None:
    assert await listed(linked) == {}
    assert await linked.stat(path) is None
    with pytest.raises(ObjectMissing):
        await linked.read(path)
    with pytest.raises(ObjectMissing):
        await linked.read_or_open(path, length=10)
    [head] = await linked.heads([path], length=10)
    assert isinstance(head, ObjectMissing)
    with pytest.raises((StorageError, ObjectExists)):
        await linked.write(path, b"x")
    with pytest.raises(StorageError):
        await linked.write("directory/new", b"x")
    await linked.delete("directory/secret")
    assert [entry.name for entry in (tmp_path / "outside").iterdir()] == ["secret"]


async def test_a_lost_root_is_not_an_empty_one(tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "nowhere")
    for use in (listed(store), store.stat("a"), store.delete("a"), store.read("a"), store.read_or_open("a", length=1)):
        with pytest.raises(RootMissing) as raised:
            await use
        assert str(tmp_path) not in raised.value.message


async def test_special_files_are_no_objects(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    store = LocalStore(tmp_path)
    assert await listed(store) == {}
    with pytest.raises(ObjectMissing):
        await store.read("pipe.png")
    with pytest.raises(ObjectMissing):
        await store.read_or_open("pipe.png", length=1)


async def test_strange_times_do_not_break_a_listing(tmp_path: Path) -> None:
    for name, moment in (("old", -(10**10)), ("new", 10**10)):
        (tmp_path / name).write_bytes(b"")
        os.utime(tmp_path / name, (moment, moment))
    assert set(await listed(LocalStore(tmp_path))) == {"old", "new"}


async def test_a_listing_that_is_given_up_leaves_no_open_files(tmp_path: Path) -> None:
    for number in range(PAGE + 5):
        (tmp_path / str(number)).write_bytes(b"")
    before = len(list(Path("/proc/self/fd").iterdir()))
    pages = LocalStore(tmp_path).pages()
    await anext(pages)
    await pages.aclose()  # type: ignore[attr-defined]
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_a_store_opens_only_below_an_allowed_root(tmp_path: Path) -> None:
    assert isinstance(Stores(AllowedLocations((tmp_path,))).open(str(tmp_path / "a")), LocalStore)
    with pytest.raises(Invalid) as raised:
        Stores(AllowedLocations((tmp_path / "b",))).open(str(tmp_path / "a"))
    assert raised.value.code == "INVALID_PATH"


async def test_a_file_whose_writer_was_killed_is_never_listed_and_removed_when_it_is_old(tmp_path: Path) -> None:
    fresh, old, other = (tmp_path / "in" / name for name in (f".{'a' * 16}.part", f".{'b' * 16}.part", ".mine.part"))
    fresh.parent.mkdir()
    for file in (fresh, old, other):
        file.write_bytes(b"half")
    for file in (old, other):
        os.utime(file, (0, 0))
    listed = [found.path async for page in LocalStore(tmp_path).pages() for found in page.objects]
    assert listed in ([], ["in/.mine.part"])
    assert (fresh.exists(), old.exists(), other.exists()) == (True, False, True)


class Vanishing(LocalStore):
    """Its root is moved away after the first object was read."""

    def _head(self, *arguments: Any) -> Head:
        head = super()._head(*arguments)
        if self.root.exists():
            self.root.rename(self.root.with_name("elsewhere"))
        return head


async def test_a_root_that_vanishes_while_many_objects_are_read_is_missing_and_its_objects_are_not(
    tmp_path: Path,
) -> None:
    (tmp_path / "root" / "a").mkdir(parents=True)
    store, paths = Vanishing(tmp_path / "root"), [f"a/{number}" for number in range(8 * READERS)]
    for path in paths[::2]:
        (tmp_path / "root" / path).write_bytes(b"x")
    heads = await store.heads(paths, length=1)
    assert any(isinstance(head, Head) for head in heads)
    assert any(isinstance(head, RootMissing) for head in heads)
    assert not any(isinstance(head, ObjectMissing) for head in heads)


async def test_objects_of_several_directories_are_read_in_any_order(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    paths = [f"{name}{number}" for number in range(10) for name in ("", "a/", "a/b/", "c/")]
    for path in paths:
        await store.write(path, path.encode())
    asked = [path for each in paths for path in (each, f"{each}?")]
    heads = await store.heads(asked, length=100)
    assert [head.data.decode() for head in heads if isinstance(head, Head)] == paths
    assert sum(isinstance(head, ObjectMissing) for head in heads) == len(paths)


@given(st.integers(-(2**33), 2**33), st.integers(0, 10**9 - 1))
def test_times_of_files_are_what_they_were(seconds: int, nanoseconds: int) -> None:
    """As they were rounded for the rows of earlier versions: with others, the first sync after an update of the server
    would read all files again."""
    moment = seconds * 10**9 + nanoseconds
    times = {"st_mtime_ns": moment, "st_mtime": moment / 10**9, "st_ctime_ns": moment, "st_ctime": moment / 10**9}
    found = described("a.txt", os.stat_result((stat.S_IFREG, 0, 0, 1, 0, 0, 42, 0, seconds, seconds), times))
    assert found.modified == moment // 1_000
    assert found.changed_at == datetime.fromtimestamp(times["st_ctime"], UTC)
    assert found.stamp == f"2a-{int(found.modified_at.timestamp() * 1_000_000):x}"
