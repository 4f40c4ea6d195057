"""How a sync recognizes contents: by pixels, by change times, and where ETags are no hashes."""

import io
import itertools
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace
from hashlib import blake2b, md5
from pathlib import Path

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from db.errors import StorageError
from db.formats.timestamps import microseconds
from db.postgres.engine import Database
from db.storage import Head, StoredObject
from db.storage.s3 import S3Store
from tests import s3
from tests.db import dataset_fixture
from tests.db.dataset_fixture import DatasetFixture, counted, image_bytes
from tests.db.test_sync_moves import FOUR, ids, labelled
from tests.memory_store import MemoryStore

BUCKETS = itertools.count(1)
PART = 5 * 1024 * 1024  # the smallest that S3 takes, but for the last
Put = Callable[[S3Store, str, bytes], Awaitable[None]]


def tagged(data: bytes, text: str) -> bytes:
    out = io.BytesIO()
    with Image.open(io.BytesIO(data)) as image:
        if image.format == "PNG":
            info = PngInfo()
            info.add_text("Comment", text)
            image.save(out, "PNG", pnginfo=info)
            return out.getvalue()
    segment = b"\xff\xfe" + (len(text) + 2).to_bytes(2, "big") + text.encode()
    return data[:2] + segment + data[2:]


@pytest.mark.parametrize("form", ["PNG", "JPEG"])
async def test_labels_follow_a_file_that_was_moved_and_tagged(database: Database, tmp_path: Path, form: str) -> None:
    dataset = await dataset_fixture.local(database, tmp_path)
    suffix = {"PNG": "png", "JPEG": "jpg"}[form]
    data = dataset.put(f"a.{suffix}", image_bytes(form=form, size=(20, 10)))
    await dataset.sync()
    await dataset.label_by_hand(f"a.{suffix}", "cat")
    before = await dataset.sample(f"a.{suffix}")
    dataset.remove(f"a.{suffix}")
    dataset.put(f"sorted/b.{suffix}", tagged(data, "a cat"))
    assert counted(await dataset.sync(), moved=1)
    after = await dataset.sample(f"sorted/b.{suffix}")
    assert (after["id"], after["label_ids"], after["width"]) == (before["id"], before["label_ids"], 20)
    assert after["source_id"] != before["source_id"], "versions know the file as it was"
    assert counted(await dataset.sync())


async def test_tagging_in_place_is_an_update_also_while_others_move(database: Database, tmp_path: Path) -> None:
    dataset = await dataset_fixture.local(database, tmp_path)
    before = await labelled(dataset, "a.png", "b.png")
    data = (tmp_path / "a.png").read_bytes()
    dataset.put("a.png", tagged(data, "one"))
    dataset.move("b.png", "c.png")
    assert counted(await dataset.sync(), updated=1, moved=1)
    assert await ids(dataset) == {"a.png": before["a.png"], "c.png": before["b.png"]}


def replaced_in_secret(path: Path, data: bytes) -> None:
    """Another file with the name, size and time of the one before, as `rsync -t` leaves it."""
    before = path.stat()
    assert before.st_size == len(data)
    part = path.with_suffix(".new")
    part.write_bytes(data)
    os.utime(part, ns=(before.st_atime_ns, before.st_mtime_ns))
    part.replace(path)


async def test_a_file_replaced_by_another_of_its_size_and_time_is_noticed(database: Database, tmp_path: Path) -> None:
    dataset = await dataset_fixture.local(database, tmp_path)
    dataset.put("a.bmp", image_bytes("red", form="BMP"))
    await dataset.sync()
    before = await dataset.sample("a.bmp")
    assert counted(await dataset.sync())
    replaced_in_secret(tmp_path / "a.bmp", image_bytes("blue", form="BMP"))
    assert counted(await dataset.sync(), updated=1)
    assert (await dataset.sample("a.bmp"))["source_id"] != before["source_id"]
    assert counted(await dataset.sync())


async def test_another_change_time_alone_is_no_change(database: Database, tmp_path: Path) -> None:
    dataset = await dataset_fixture.local(database, tmp_path)
    dataset.put("a.png")
    await dataset.sync()
    (tmp_path / "a.png").chmod(0o600)
    assert counted(await dataset.sync())
    assert len(await dataset.changes()) == 1


async def test_contents_are_verified_when_asked_to(database: Database, tmp_path: Path) -> None:
    """On a file system without change times, only reading shows it."""
    dataset = await dataset_fixture.local(database, tmp_path)
    dataset.put("a.bmp", image_bytes("red", form="BMP"))
    await dataset.sync()
    replaced_in_secret(tmp_path / "a.bmp", image_bytes("blue", form="BMP"))
    await dataset.do("UPDATE source SET changed_at = NULL")
    assert counted(await dataset.sync())
    assert counted(await dataset.sync(verify_contents=True), updated=1)


def _md5(data: bytes) -> str:
    return md5(data, usedforsecurity=False).hexdigest()


class Opaque(MemoryStore):
    """As a bucket under KMS: an ETag looks like a hash, differs after each write, and says nothing of the content."""

    def _object(self, path: str) -> StoredObject:
        data, moment = self.contents[path]
        etag = blake2b(f"{path} {moment}".encode(), digest_size=16).hexdigest()
        return StoredObject(path, len(data), microseconds(moment), etag)

    def _head(self, path: str, length: int) -> Head | StorageError:
        head = super()._head(path, length)
        return replace(head, content=None) if isinstance(head, Head) else head

    async def content_hashes(self, objects: Sequence[tuple[str, str]]) -> list[str | StorageError]:
        return [_md5(self.contents[path][0]) for path, _ in objects]


async def test_labels_follow_files_where_etags_tell_nothing(database: Database) -> None:
    """Of equal sizes and first bytes, so that only whole contents distinguish them."""
    dataset = await dataset_fixture.make(database, Opaque())
    base = image_bytes("red", form="BMP")
    paths = [f"{number}.bmp" for number in range(4)]
    for number, path in enumerate(paths):
        dataset.put(path, base[:-1] + bytes([number]))
    await dataset.sync()
    for path in paths:
        await dataset.label_by_hand(path, f"L{path[0]}")
    before = await ids(dataset)
    dataset.rearrange({"0.bmp": "1.bmp", "1.bmp": "0.bmp"})
    dataset.move("2.bmp", "moved/2.bmp")
    dataset.touch("3.bmp")
    assert counted(await dataset.sync(), moved=3)
    after = {"0.bmp": "1.bmp", "1.bmp": "0.bmp", "3.bmp": "3.bmp", "moved/2.bmp": "2.bmp"}
    assert await ids(dataset) == {path: before[origin] for path, origin in after.items()}
    assert counted(await dataset.sync())


@pytest.fixture
async def bucket(database: Database, s3_endpoint: str) -> AsyncIterator[tuple[DatasetFixture, S3Store]]:
    async with s3.connected(s3_endpoint, name := f"moves-{next(BUCKETS)}") as opened:
        store = S3Store(opened, name, "")
        yield await dataset_fixture.make(database, store, kind="IMAGE_CLASSIFICATION"), store


async def put_in_parts(store: S3Store, key: str, data: bytes) -> None:
    named = {"Bucket": store.bucket, "Key": key}
    upload = (await store.s3.client.create_multipart_upload(**named))["UploadId"]
    parts = []
    for number, start in enumerate(range(0, len(data), PART), 1):
        piece = data[start : start + PART]
        sent = await store.s3.client.upload_part(**named, UploadId=upload, PartNumber=number, Body=piece)
        parts.append({"PartNumber": number, "ETag": sent["ETag"]})
    await store.s3.client.complete_multipart_upload(**named, UploadId=upload, MultipartUpload={"Parts": parts})


async def put_whole(store: S3Store, key: str, data: bytes) -> None:
    await store.s3.client.put_object(Bucket=store.bucket, Key=key, Body=data)


async def put_encrypted(store: S3Store, key: str, data: bytes) -> None:
    await store.s3.client.put_object(Bucket=store.bucket, Key=key, Body=data, ServerSideEncryption="aws:kms")


@pytest.mark.parametrize(
    ("first", "then"), [(put_in_parts, put_whole), (put_whole, put_in_parts), (put_in_parts, put_in_parts)]
)
async def test_labels_follow_objects_whose_etags_are_no_hashes(
    bucket: tuple[DatasetFixture, S3Store], first: Put, then: Put
) -> None:
    dataset, store = bucket
    plain = image_bytes("red", form="BMP", size=(1600, 1200))
    objects = {name: plain[:-1] + bytes([number]) for number, name in enumerate(("a.bmp", "b.bmp"))}
    for name, data in objects.items():
        await first(store, name, data)
    await dataset.sync()
    for name in objects:
        await dataset.label_by_hand(name, name[0])
    before = await ids(dataset)
    for name, data in objects.items():
        await then(store, f"moved/{name}", data)
        await store.s3.client.delete_object(Bucket=store.bucket, Key=name)
    assert counted(await dataset.sync(), moved=2)
    assert await dataset.labels() == {"moved/a.bmp": ["a"], "moved/b.bmp": ["b"]}
    assert await ids(dataset) == {f"moved/{name}": before[name] for name in objects}
    assert counted(await dataset.sync())


async def test_a_ring_in_a_bucket_is_found_by_the_listing_alone(bucket: tuple[DatasetFixture, S3Store]) -> None:
    dataset, store = bucket
    data = {path: image_bytes() for path in FOUR}
    for path, content in data.items():
        await put_whole(store, path, content)
    await dataset.sync()
    before = await ids(dataset)
    ring = dict(zip(FOUR, [*FOUR[1:], FOUR[0]], strict=True))
    for path, origin in ring.items():
        await put_whole(store, path, data[origin])
    assert counted(await dataset.sync(), moved=4)
    assert await ids(dataset) == {path: before[origin] for path, origin in ring.items()}


@pytest.mark.parametrize("put", [put_in_parts, put_encrypted])
async def test_an_etag_that_is_no_hash_is_not_taken_for_one(bucket: tuple[DatasetFixture, S3Store], put: Put) -> None:
    _, store = bucket
    data = image_bytes(form="BMP", size=(1600, 1200))
    await put(store, "a.bmp", data)
    [head] = await store.heads(["a.bmp"], length=10)
    assert isinstance(head, Head)
    assert head.content is None
    assert await store.content_hashes([("a.bmp", head.etag)]) == [_md5(data)]
    [refused] = await store.content_hashes([("a.bmp", "another")])
    assert isinstance(refused, StorageError)


@pytest.mark.parametrize("kind", ["GLACIER", "DEEP_ARCHIVE"])
async def test_an_archived_object_is_said_to_be_archived(bucket: tuple[DatasetFixture, S3Store], kind: str) -> None:
    dataset, store = bucket
    await store.s3.client.put_object(Bucket=store.bucket, Key="a.png", Body=image_bytes(), StorageClass=kind)
    job = await dataset.sync()
    assert counted(job, skipped=1)
    [(path, message)] = await dataset.warnings(job["id"])
    assert path == "a.png"
    assert "archive" in message
    assert "rights" not in message
