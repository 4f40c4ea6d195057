"""Writing an object: whole or not at all, and never over another.

The object must not exist, and is written on the condition that it does not: not every S3 supports the condition. When
the answer to a write is lost, the client writes again and finds its own object, which it knows by its metadata.
"""

import hashlib
import secrets
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Final

from db.errors import StorageError
from db.formats.images import MEDIA_TYPES, SUFFIXES
from db.formats.paths import path_parts, suffix
from db.storage.errors import ObjectExists, ObjectMissing
from db.storage.objects import StoredObject
from db.storage.s3.errors import Refused
from db.storage.s3.reading import described

PART: Final = 16 * 1024 * 1024  # bytes of a part of a stream; S3 allows 10,000 parts
WRITE_ID: Final = "labelgraph-write"  # metadata by which a writer recognizes its own object
MEDIA: Final = {
    **{suffix: MEDIA_TYPES[form] for suffix, form in SUFFIXES.items()},
    ".csv": "text/csv; charset=utf-8",
    ".json": "application/json",
    ".jsonl": "application/x-ndjson",
    ".manifest": "application/x-ndjson",
    ".tar": "application/x-tar",
    ".txt": "text/plain; charset=utf-8",
    ".yaml": "application/yaml",
    ".zip": "application/zip",
    ".xml": "application/xml",
}
DEFAULT_MEDIA: Final = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class ObjectWriter:
    """Writes one object. `call`: an operation on its key; `stat`: as a store's."""

    call: Callable[..., Awaitable[Mapping[str, Any]]]
    stat: Callable[[str], Awaitable[StoredObject | None]]
    path: str
    write_id: str = field(default_factory=lambda: secrets.token_hex(16))

    async def put(self, data: bytes) -> StoredObject:
        await self._expect_missing()
        with _object_may_exist():
            await self.call("put_object", Body=data, ContentMD5=md5(data), IfNoneMatch="*", **self._metadata())
        return await self._own_object()

    async def put_stream(self, pieces: AsyncIterator[bytes]) -> StoredObject:
        """One part in memory at a time; what fits into one is put at once."""
        await self._expect_missing()
        parts = _parts(pieces)
        first = await anext(parts)
        if len(first) < PART:
            return await self.put(first)
        upload = str((await self.call("create_multipart_upload", **self._metadata()))["UploadId"])
        try:
            sent = [await self._part(upload, 1, first)]
            async for part in parts:
                if part:
                    sent.append(await self._part(upload, len(sent) + 1, part))
            # ObjectMissing: completed by a request whose answer was lost, or aborted.
            with suppress(ObjectMissing), _object_may_exist():
                whole = {"Parts": sent}
                await self.call("complete_multipart_upload", UploadId=upload, MultipartUpload=whole, IfNoneMatch="*")
            return await self._own_object()
        except BaseException:
            with suppress(StorageError):
                await self.call("abort_multipart_upload", UploadId=upload)
            raise

    async def _part(self, upload: str, number: int, data: bytes) -> dict[str, Any]:
        answer = await self.call("upload_part", UploadId=upload, PartNumber=number, Body=data, ContentMD5=md5(data))
        return {"PartNumber": number, "ETag": answer["ETag"]}

    async def _expect_missing(self) -> None:
        path_parts(self.path)
        if await self.stat(self.path) is not None:
            raise ObjectExists

    async def _own_object(self) -> StoredObject:
        answer = await self.call("head_object")
        if answer.get("Metadata", {}).get(WRITE_ID) != self.write_id:
            raise ObjectExists
        return described(self.path, answer)

    def _metadata(self) -> dict[str, Any]:
        return {"ContentType": MEDIA.get(suffix(self.path), DEFAULT_MEDIA), "Metadata": {WRITE_ID: self.write_id}}


@contextmanager
def _object_may_exist() -> Iterator[None]:
    """For a write that is refused where an object exists: whose that is, `_own_object` finds out."""
    try:
        yield
    except Refused as refused:
        if refused.status not in (409, 412):
            raise


def md5_hash(data: bytes = b"") -> "hashlib._Hash":
    return hashlib.md5(data, usedforsecurity=False)


def md5(data: bytes) -> str:
    return b64encode(md5_hash(data).digest()).decode()


async def _parts(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The same bytes in parts of `PART`; the last one, which is the only one of nothing, is shorter."""
    buffer = bytearray()
    async for piece in pieces:
        buffer += piece
        while len(buffer) >= PART:
            yield bytes(buffer[:PART])
            del buffer[:PART]
    yield bytes(buffer)
