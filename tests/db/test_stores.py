"""One behaviour, wherever the bytes are: a directory, memory, or an S3 server."""

import hashlib
import hmac
import itertools
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import unquote, urlsplit

import httpx2
import pytest

from db.errors import Invalid, StorageError
from db.storage import LocalStore, ObjectChanged, ObjectExists, ObjectMissing, RootMissing, Store
from db.storage.objects import CHUNK
from db.storage.s3 import S3Store, writing
from tests import s3
from tests.memory_store import MemoryStore
from tests.waiting import TIMEOUT

BUCKETS = itertools.count()


@pytest.fixture(params=["local", "memory", "s3"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    match request.param:
        case "local":
            yield LocalStore(tmp_path)
        case "memory":
            yield MemoryStore()
        case _:
            endpoint = request.getfixturevalue("s3_endpoint")
            bucket = f"storage-{next(BUCKETS)}"
            async with s3.connected(endpoint, bucket, page=10) as opened:
                yield S3Store(opened, bucket, "images/of ours/")


@pytest.fixture(params=["local", "memory", "s3"])
async def lost(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    """A store whose root is not there."""
    match request.param:
        case "local":
            yield LocalStore(tmp_path / "nowhere")
        case "memory":
            memory = MemoryStore()
            memory.broken = True
            yield memory
        case _:
            async with s3.connected(request.getfixturevalue("s3_endpoint")) as opened:
                yield S3Store(opened, "no-such-bucket", "")


SECOND = timedelta(seconds=1)  # the grain of times in S3


async def listed(store: Store) -> list[str]:
    return sorted([found.path async for page in store.pages() for found in page.objects])


async def test_what_was_written_is_read_back(store: Store) -> None:
    before = datetime.now(UTC)
    written = await store.write("a/b c/猫+1.png", b"content")
    assert before - SECOND < written.modified_at < datetime.now(UTC) + SECOND
    assert await store.read("a/b c/猫+1.png") == b"content"
    assert (written.path, written.size) == ("a/b c/猫+1.png", 7)
    assert await listed(store) == ["a/b c/猫+1.png"]


@pytest.mark.parametrize(("start", "length"), [(0, None), (3, None), (0, 4), (3, 4), (3, 400), (10, 3), (99, None)])
async def test_a_range_is_a_range(store: Store, start: int, length: int | None) -> None:
    await store.write("a.png", b"0123456789")
    expected = b"0123456789"[start : None if length is None else start + length]
    assert await store.read("a.png", start=start, length=length) == expected
    assert b"".join([piece async for piece in store.stream("a.png", start=start, length=length)]) == expected


async def test_streams_what_is_large_in_pieces(store: Store) -> None:
    data = bytes(range(256)) * 4 * 1024 * 3
    await store.write("large.bmp", data)
    pieces = [piece async for piece in store.stream("large.bmp")]
    assert b"".join(pieces) == data
    assert max(map(len, pieces)) <= CHUNK


async def test_an_empty_object_is_an_object(store: Store) -> None:
    await store.write("empty.png", b"")
    [head] = await store.heads(["empty.png"], length=10)
    assert not isinstance(head, StorageError)
    assert (head.size, head.data, head.whole) == (0, b"", True)
    assert await store.read("empty.png") == b""


async def test_never_writes_over_another(store: Store) -> None:
    await store.write("a.png", b"first")
    with pytest.raises(ObjectExists):
        await store.write("a.png", b"second")
    assert await store.read("a.png") == b"first"


async def in_pieces(data: bytes, size: int) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


@pytest.mark.parametrize("size", [0, 1, 5 * 1024 * 1024, 10 * 1024 * 1024 + 1])
async def test_a_stream_becomes_one_object(store: Store, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "PART", 5 * 1024 * 1024)
    data = bytes(size)
    written = await store.write_stream("made/large.manifest", in_pieces(data, 1_000_003))
    assert (written.path, written.size) == ("made/large.manifest", size)
    assert await store.read("made/large.manifest") == data
    [head] = await store.heads(["made/large.manifest"], length=1)
    assert not isinstance(head, StorageError)
    assert head.etag == written.etag


@pytest.mark.parametrize("size", [3, 6 * 1024 * 1024])
async def test_a_stream_never_writes_over_another(store: Store, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "PART", 5 * 1024 * 1024)
    await store.write("a.manifest", b"first")
    with pytest.raises(ObjectExists):
        await store.write_stream("a.manifest", in_pieces(bytes(size), 1_000_000))
    assert await store.read("a.manifest") == b"first"


async def test_a_stream_that_breaks_off_leaves_nothing(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "PART", 5 * 1024 * 1024)

    async def broken() -> AsyncIterator[bytes]:
        yield bytes(6 * 1024 * 1024)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await store.write_stream("a.manifest", broken())
    assert await listed(store) == []
    if isinstance(store, S3Store):
        uploads = await store.s3.client.list_multipart_uploads(Bucket=store.bucket)
        assert not uploads.get("Uploads")


async def test_a_stream_that_is_overtaken_leaves_nothing(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "PART", 5 * 1024 * 1024)

    async def overtaken() -> AsyncIterator[bytes]:
        yield bytes(6 * 1024 * 1024)
        await store.write("a.manifest", b"another's")

    with pytest.raises(ObjectExists):
        await store.write_stream("a.manifest", overtaken())
    assert await store.read("a.manifest") == b"another's"
    assert await listed(store) == ["a.manifest"]
    if isinstance(store, S3Store):
        uploads = await store.s3.client.list_multipart_uploads(Bucket=store.bucket)
        assert not uploads.get("Uploads")


async def test_heads_tell_facts_and_failures_side_by_side(store: Store) -> None:
    written = await store.write("a.png", b"0123456789")
    await store.write("b.png", b"01")
    first, missing, second = await store.heads(["a.png", "none.png", "b.png"], length=4)
    assert not isinstance(first, StorageError)
    assert not isinstance(second, StorageError)
    assert (first.data, first.size, first.etag, first.whole) == (b"0123", 10, written.etag, False)
    assert (second.data, second.whole) == (b"01", True)
    assert isinstance(missing, ObjectMissing)


async def test_listing_stat_and_head_tell_the_same(store: Store) -> None:
    await store.write("a.png", b"0123456789")
    [page] = [page async for page in store.pages()]
    stat = await store.stat("a.png")
    [head] = await store.heads(["a.png"], length=4)
    assert stat is not None
    assert not isinstance(head, StorageError)
    [found] = page.objects
    assert (found.size, found.modified_at) == (stat.size, stat.modified_at) == (head.size, head.modified_at)
    assert found.etag in (None, head.etag)


async def test_what_is_missing_is_missing(store: Store) -> None:
    await store.write("here.png", b"x")
    assert await store.stat("none.png") is None
    assert await store.delete("none.png") is False
    with pytest.raises(ObjectMissing):
        await store.read("none.png")


async def test_deletes_what_is_still_what_was_meant(store: Store) -> None:
    written = await store.write("a.png", b"x")
    with pytest.raises(ObjectChanged):
        await store.delete("a.png", etag="another")
    assert await store.read("a.png") == b"x"
    assert await store.delete("a.png", etag=written.etag) is True
    assert await store.stat("a.png") is None


async def test_deletes_many_and_answers_for_each(store: Store) -> None:
    first = await store.write("1.png", b"1")
    await store.write("2.png", b"2")
    await store.write("3.png", b"3")
    expected = [("1.png", first.etag), ("2.png", "another"), ("none.png", None), ("3.png", None)]
    deleted, changed, missing, plain = await store.delete_many(expected)
    assert (deleted, missing, plain) == (True, False, True)
    assert isinstance(changed, ObjectChanged)
    assert await listed(store) == ["2.png"]


ODD = ["a\x01.png", "c\ufffe.png", "d<&>]]>.png", "e f+%20.png", "plain.png"]


async def test_odd_names_keep_no_others_from_being_deleted(store: Store) -> None:
    """S3 receives many names in XML, which cannot represent all of them."""
    written = [await store.write(path, b"x") for path in ODD]
    assert await store.delete_many([(one.path, one.etag) for one in written]) == [True] * len(ODD)
    for path in ODD:
        await store.write(path, b"x")
    assert await store.discard([*ODD, "a\x02.png"]) == []
    assert await listed(store) == []


async def test_lists_every_page(store: Store) -> None:
    count = 23 if isinstance(store, S3Store) else 2_345
    for number in range(count):
        if isinstance(store, MemoryStore):
            store.put(f"{number}.png", b"x")
        elif isinstance(store, LocalStore):
            (store.root / f"{number}.png").write_bytes(b"x")
        else:
            await store.write(f"{number}.png", b"x")
    pages = [page async for page in store.pages()]
    assert len(pages) == 3
    paths = [found.path for page in pages for found in page.objects]
    assert len(paths) == len(set(paths)) == count


@pytest.mark.parametrize("by_key", [False, True])
async def test_both_versions_of_an_s3_listing_go_to_the_end(s3_endpoint: str, by_key: bool) -> None:
    bucket = f"storage-{next(BUCKETS)}"
    async with s3.connected(s3_endpoint, bucket, page=4, list_by_key=by_key) as opened:
        store = S3Store(opened, bucket, "p/")
        for number in range(11):
            await store.write(f"{number}.png", b"x")
        await opened.client.put_object(Bucket=store.bucket, Key="elsewhere.png", Body=b"x")
        assert len(await listed(store)) == 11


async def test_a_link_gives_one_object_as_an_image_and_nothing_else(s3_endpoint: str) -> None:
    bucket = f"storage-{next(BUCKETS)}"
    async with s3.connected(s3_endpoint, bucket) as opened, httpx2.AsyncClient(timeout=TIMEOUT) as browser:
        store = S3Store(opened, bucket, "p/")
        await store.write("a b.png", b"<html>")
        link = await store.download_url("a b.png", media="image/png", seconds=300)
        assert link is not None
        answer = await browser.get(link)
    assert (answer.status_code, answer.content) == (200, b"<html>")
    assert (answer.headers["content-type"], answer.headers["content-disposition"]) == ("image/png", "attachment")
    assert "X-Amz-Expires=300" in link
    assert "X-Amz-Signature" in link


async def test_replaces_and_discards_what_is_its_own(store: Store) -> None:
    await store.replace("area/a", b"first")
    await store.replace("area/a", b"second")
    await store.replace("area/b", b"")
    assert [await store.read(path) for path in ("area/a", "area/b")] == [b"second", b""]
    assert await listed(store) == ["area/a", "area/b"]
    assert await store.discard(["area/a", "area/b", "area/c"]) == []
    assert await listed(store) == []


async def test_discards_more_than_fits_into_one_request(store: Store) -> None:
    await store.write("kept", b"x")
    await store.replace("area/9", b"x")
    assert await store.discard([f"area/{number}" for number in range(1_200)]) == []
    assert await listed(store) == ["kept"]


async def test_an_upload_link_takes_one_object_and_nothing_else(s3_endpoint: str) -> None:
    async with s3.connected(s3_endpoint, f"storage-{next(BUCKETS)}") as opened:
        store = S3Store(opened, f"storage-{next(BUCKETS) - 1}", "a b/")
        url = await store.upload_url("area/ü+x", size=5, seconds=60)
        assert url is not None
        assert {"X-Amz-Expires=60", "X-Amz-SignedHeaders=content-length%3Bhost"} < set(url.partition("?")[2].split("&"))
        async with httpx2.AsyncClient(timeout=TIMEOUT) as http:
            assert (await http.put(url, content=b"12345")).status_code == 200
            assert (await http.put(url, content=b"54321")).status_code == 200
        assert await store.read("area/ü+x") == b"54321"
        with pytest.raises(Invalid):
            await store.upload_url("../x", size=5, seconds=60)


async def test_an_upload_link_is_signed_for_one_size(s3_endpoint: str) -> None:
    """As a store checks it, by the published algorithm: this S3 of the tests checks no signatures."""
    async with s3.connected(s3_endpoint) as opened:
        url = await S3Store(opened, "storage-signed", "a b/").upload_url("area/ü+x", size=5, seconds=60)
    assert url is not None
    assert signed_for(url, length=5)
    assert not signed_for(url, length=6)
    assert not signed_for(url.replace("area", "aria"), length=5)


def signed_for(url: str, *, length: int, secret: str = "test") -> bool:  # noqa: S107 (a test's)
    """Whether a PUT of so many bytes has the signature that the URL says: Signature Version 4, in the query string."""
    parts = urlsplit(url)
    query = dict(pair.split("=", 1) for pair in parts.query.split("&"))
    given = query.pop("X-Amz-Signature")
    values = {name: unquote(value) for name, value in query.items()}
    headers = {"host": parts.netloc, "content-length": str(length)}
    names = values["X-Amz-SignedHeaders"].split(";")
    canonical = "\n".join(
        [
            "PUT",
            parts.path,
            "&".join(f"{name}={value}" for name, value in sorted(query.items())),
            *(f"{name}:{headers[name]}" for name in names),
            "",
            ";".join(names),
            "UNSIGNED-PAYLOAD",
        ]
    )
    scope = values["X-Amz-Credential"].partition("/")[2]
    hashed = hashlib.sha256(canonical.encode()).hexdigest()
    text = "\n".join([values["X-Amz-Algorithm"], values["X-Amz-Date"], scope, hashed])
    key = f"AWS4{secret}".encode()
    for part in [*scope.split("/"), text]:
        key = hmac.digest(key, part.encode(), "sha256")
    return key.hex() == given


@pytest.mark.parametrize("path", ["", "..", "a/../b", "/a", "a//b", "a/.", "a\0b", "é" * 600])
async def test_no_path_leads_out(store: Store, path: str) -> None:
    with pytest.raises(Invalid):
        await store.write(path, b"x")


async def test_a_store_that_is_not_there_says_so_whatever_is_asked(lost: Store) -> None:
    with pytest.raises(RootMissing):
        await listed(lost)
    with pytest.raises(RootMissing):
        await lost.stat("a.png")
    [head] = await lost.heads(["a.png"], length=1) if not isinstance(lost, MemoryStore) else [RootMissing()]
    assert isinstance(head, StorageError)


async def test_etags_name_the_content(store: Store) -> None:
    one, other, third = [await store.write(f"{n}.png", data) for n, data in enumerate((b"x", b"x", b"y"))]
    assert one.etag == other.etag != third.etag
    if isinstance(store, S3Store):
        assert one.etag == hashlib.md5(b"x", usedforsecurity=False).hexdigest()
