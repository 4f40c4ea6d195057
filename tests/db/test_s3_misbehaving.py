"""Wrong answers of an S3, and that none of them is believed."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest

from db.errors import DomainError, StorageError
from db.storage import ObjectChanged, ObjectMissing, RootMissing
from db.storage.s3 import S3Store
from db.storage.s3.errors import Unreachable
from db.storage.s3.listing import InvalidPage, Listing
from tests import s3
from tests.fake_s3 import BUCKET, STALL, Answerer, FakeS3, Request, deleted, error, etag, fake_s3, http, page, xml

FIVE = {f"{number}.png": b"x" for number in range(5)}
PATHS = sorted(FIVE)


@asynccontextmanager
async def store_of(
    answer: Answerer, objects: dict[str, bytes] | None = None, **timeouts: Any
) -> AsyncIterator[tuple[S3Store, FakeS3]]:
    async with (
        fake_s3(FIVE if objects is None else objects, answer) as server,
        s3.connected(server.endpoint, **timeouts) as opened,
    ):
        yield S3Store(opened, BUCKET, ""), server


async def listed(store: S3Store) -> list[str]:
    return [found.path async for page in store.pages() for found in page.objects]


def on_list(answer: Callable[[Request], bytes | None]) -> Answerer:
    return lambda request: answer(request) if request.operation == "list" else None


HTML = http(200, b"<html><body>Please log in</body></html>", {"Content-Type": "text/html"})
LIES: dict[str, Answerer] = {
    "a page of HTML": lambda request: HTML,
    "an empty body": lambda request: http(200, b"", {"Content-Type": "application/xml"}),
    "another XML": lambda request: xml("<Other><Name>bucket</Name></Other>"),
    "an error inside a 200": lambda request: xml("<Error><Code>InternalError</Code></Error>"),
    "XML that breaks off": lambda request: http(200, b"<ListBucketResult><Name>bucket</Name><Contents><Key>0.pn"),
    "more, but not where": lambda request: page(PATHS[:2], None, more=True),
    "the same token for ever": lambda request: page([f"{request.number}.png"], "again"),
    "the same page for ever": lambda request: page(PATHS[:2], str(request.number)),
    "fewer keys than it says": lambda request: page(PATHS[:2], None, count=3),
    "another bucket": lambda request: page(PATHS[:2], None, name="other"),
    "a broken second page": lambda request: None if "continuation-token" not in request.query else HTML,
    "500 for ever": lambda request: error(500, "InternalError"),
    "SlowDown for ever": lambda request: error(503, "SlowDown"),
    "a clock that is wrong": lambda request: error(403, "RequestTimeTooSkewed"),
    "no entry": lambda request: error(403, "AccessDenied"),
    "no bucket": lambda request: error(404, "NoSuchBucket"),
    "a body that is cut": lambda request: http(200, b"<ListBucketResult>", length=4_000),
    "nothing at all": lambda request: b"",
}


@pytest.mark.parametrize("answer", LIES.values(), ids=LIES.keys())
async def test_an_invalid_listing_is_no_listing(answer: Answerer) -> None:
    async with store_of(on_list(answer)) as (store, _):
        with pytest.raises(RootMissing) as raised:
            await listed(store)
    assert "secret" not in raised.value.message
    assert raised.value.code == "STORAGE_ERROR"


async def test_keys_outside_the_prefix_are_no_listing() -> None:
    async with store_of(on_list(lambda request: page(["elsewhere/a.png"], None))) as (store, _):
        with pytest.raises(RootMissing):
            await listed(S3Store(store.s3, BUCKET, "ours/"))


def test_a_page_that_is_refused_leaves_the_position_so_that_it_can_be_read_again() -> None:
    whole = {"Key": "a.png", "Size": 1, "LastModified": datetime(2026, 1, 1, tzinfo=UTC)}
    listing, answer = Listing(BUCKET, "", ""), {"Name": BUCKET, "IsTruncated": True, "NextContinuationToken": "next"}
    with pytest.raises(InvalidPage):
        listing.add_page({**answer, "Contents": [{"Key": "a.png"}]})
    assert [each.path for each in listing.add_page({**answer, "Contents": [whole]})] == ["a.png"]
    assert listing.cursor == "next"


async def test_what_passes_is_waited_for() -> None:
    failures = {1: error(503, "SlowDown"), 2: HTML, 4: http(200, b""), 6: error(500, "InternalError")}
    async with store_of(on_list(lambda request: failures.get(request.number))) as (store, server):
        assert await listed(store) == PATHS
    assert server.requests["list"] == 3 + len(failures)


async def test_a_stalled_answer_ends_with_the_deadline() -> None:
    async with store_of(on_list(lambda request: STALL), read=0.2, deadline=0.6) as (store, _):
        with pytest.raises(RootMissing):
            await listed(store)


async def test_a_body_that_breaks_off_is_taken_up_again() -> None:
    data = bytes(range(256)) * 4

    def cuts(request: Request) -> bytes | None:
        return server.object(request)[:-300] if request.operation == "get" and request.number <= 2 else None

    async with store_of(cuts, {"a.png": data}) as (store, server):
        assert await store.read("a.png") == data
        [head] = await store.heads(["a.png"], length=100)
    assert not isinstance(head, StorageError)
    assert (head.data, head.size) == (data[:100], len(data))
    assert server.requests["get"] == 4


async def test_a_body_that_always_breaks_off_is_an_error() -> None:
    async with store_of(lambda request: server.object(request)[:-1] if request.operation == "get" else None) as (
        store,
        server,
    ):
        with pytest.raises(StorageError):
            await store.read("0.png")


async def test_two_versions_are_never_read_as_one() -> None:
    """The connection breaks, and before it is resumed somebody puts another object at its path."""
    old, new = b"o" * 1_000, b"n" * 1_000

    def swaps(request: Request) -> bytes | None:
        if request.operation != "get" or request.number > 1:
            return None
        first = server.object(request)[:-500]
        server.objects["a.png"] = new
        return first

    async with store_of(swaps, {"a.png": old}) as (store, server):
        with pytest.raises(StorageError) as raised:
            await store.read("a.png")
        assert "replaced" in raised.value.message
        assert await store.read("a.png") == new


async def test_a_server_without_ranges_is_read_all_the_same() -> None:
    def whole(request: Request) -> bytes | None:
        request.headers.pop("range", None)
        return None

    async with store_of(whole, {"a.png": b"0123456789"}) as (store, _):
        assert await store.read("a.png", start=3, length=4) == b"3456"
        [head] = await store.heads(["a.png"], length=4)
    assert not isinstance(head, StorageError)
    assert (head.data, head.size) == (b"0123", 10)


async def test_each_key_of_a_batch_is_answered_for() -> None:
    def partly(request: Request) -> bytes | None:
        if request.operation != "delete_many":
            return None
        if request.number == 1:
            failed = [("1.png", "AccessDenied"), ("2.png", "SlowDown"), ("3.png", "PreconditionFailed")]
            return deleted(["0.png"], failed)
        return deleted(["2.png"])

    async with store_of(partly) as (store, server):
        results = await store.delete_many([(path, None) for path in PATHS])
    gone, denied, later, changed, silent = results
    assert (gone, later) == (True, True)
    assert isinstance(denied, StorageError)
    assert isinstance(changed, ObjectChanged)
    assert isinstance(silent, StorageError)
    assert server.requests["delete_many"] == 2


@pytest.mark.parametrize("answer", [HTML, http(200, b""), error(500, "InternalError"), error(403, "AccessDenied"), b""])
async def test_a_batch_without_an_answer_deleted_nothing(answer: bytes) -> None:
    async with store_of(lambda request: answer if request.operation == "delete_many" else None) as (store, _):
        results = await store.delete_many([("0.png", None), ("1.png", None)])
    assert all(isinstance(each, DomainError) for each in results)


async def test_conditions_are_unlearned_where_they_are_unknown() -> None:
    def knows_no_conditions(request: Request) -> bytes | None:
        if request.operation == "delete":
            return error(501, "NotImplemented") if "if-match" in request.headers else http(204)
        return error(400, "MalformedXML") if b"<ETag>" in request.body else None

    async with store_of(knows_no_conditions) as (store, server):
        found = await store.stat("0.png")
        assert found is not None
        assert await store.delete_many([("0.png", found.etag)]) == [True]
        assert await store.delete("1.png", etag=found.etag) is True
    assert (server.requests["delete_many"], server.requests["delete"]) == (2, 1)


async def test_missing_is_only_what_a_bucket_that_is_there_does_not_have() -> None:
    gone = {"head": http(404), "head_bucket": http(404)}
    async with store_of(lambda request: gone.get(request.operation)) as (store, _):
        with pytest.raises(RootMissing):
            await store.stat("0.png")
    async with store_of(lambda request: None) as (store, _):
        assert await store.stat("none.png") is None
        with pytest.raises(ObjectMissing):
            await store.read("none.png")


async def test_a_put_whose_answer_was_lost_is_not_taken_for_anothers() -> None:
    def loses(request: Request) -> bytes | None:
        if request.operation == "put":
            if request.number == 1:
                marks["x-amz-meta-labelgraph-write"] = request.headers["x-amz-meta-labelgraph-write"]
                server.objects[request.key] = request.body
                return b""
            return error(412, "PreconditionFailed")
        if request.operation == "head" and request.key in server.objects:
            data = server.objects[request.key]
            headers = {"ETag": '"e"', "Last-Modified": "Sun, 01 Nov 2026 10:00:00 GMT", **marks}
            return http(200, data, headers, bodyless=True)
        return None

    marks: dict[str, str] = {}
    async with store_of(loses, {}) as (store, server):
        written = await store.write("a.png", b"ours")
    assert (written.size, server.requests["put"]) == (4, 2)


async def test_a_condition_that_fails_because_the_object_is_gone_is_no_change() -> None:
    """The first try deleted it and its answer was lost; the second finds nothing that could fulfil the condition."""

    def gone_already(request: Request) -> bytes | None:
        if request.operation not in ("delete", "delete_many"):
            return None
        server.objects.pop("0.png", None)
        return error(412, "PreconditionFailed") if request.key else deleted([], [("0.png", "PreconditionFailed")])

    objects = {"0.png": b"x"}
    async with store_of(gone_already, objects) as (store, server):
        [found] = [found async for page in store.pages() for found in page.objects]
        stamp = etag(b"x").strip('"')
        assert found.path == "0.png"
        assert await store.delete("0.png", etag=stamp) is False
        server.objects["0.png"] = b"x"
        assert await store.delete_many([("0.png", stamp)]) == [False]


async def test_nobody_is_sent_after_those_who_found_no_store() -> None:
    async with store_of(lambda request: STALL, read=0.2, deadline=0.5, attempts=1, connections=8) as (store, server):
        heads = await store.heads([f"{number}.png" for number in range(40)], length=9)
        results = await store.delete_many([(f"{number}.png", None) for number in range(40)])
    assert {type(one) for one in (*heads, *results)} == {Unreachable}
    assert server.requests["get"] < 20
    assert server.requests["head"] < 20
