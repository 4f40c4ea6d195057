"""Writing an object: whole or not at all, and never over another.

An object is looked for first, and written on the condition that it is not there: not every S3 heeds the condition. A
write whose answer was lost is done again by the client, and then meets itself: its mark tells.
"""

import hashlib
import secrets
from base64 import b64encode
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

from db.errors import StorageError
from db.formats.images import MEDIA_TYPES, SUFFIXES
from db.formats.paths import path_parts, suffix
from db.storage.objects import ObjectExists, ObjectMissing, StoredObject
from db.storage.s3.connection import S3
from db.storage.s3.errors import Refused
from db.storage.s3.reading import described

PART: Final = 16 * 1024 * 1024  # bytes of a part of a stream; S3 allows 10,000 parts
MARK: Final = "labelgraph-write"  # metadata by which a writer knows its own object again
MEDIA: Final = {
    **{suffix: MEDIA_TYPES[form] for suffix, form in SUFFIXES.items()},
    ".manifest": "application/x-ndjson",
    ".xml": "application/xml",
}
OTHER: Final = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class Writing:
    """One object on its way into a bucket."""

    s3: S3
    bucket: str
    prefix: str
    path: str
    mark: str = field(default_factory=lambda: secrets.token_hex(16))

    async def put(self, data: bytes) -> StoredObject:
        await self._expect_none()
        try:
            await self._call("put_object", Body=data, ContentMD5=md5(data), IfNoneMatch="*", **self._named())
        except Refused as refused:
            if refused.status not in (409, 412):
                raise
        return await self._ours()

    async def put_stream(self, pieces: AsyncIterator[bytes]) -> StoredObject:
        """One part in memory at a time; what fits into one is put at once."""
        await self._expect_none()
        parts = _parts(pieces)
        first = await anext(parts)
        if len(first) < PART:
            return await self.put(first)
        upload = str((await self._call("create_multipart_upload", **self._named()))["UploadId"])
        try:
            await self._send(upload, first, parts)
            return await self._ours()
        except BaseException:
            with suppress(StorageError):
                await self._call("abort_multipart_upload", UploadId=upload)
            raise

    async def _send(self, upload: str, first: bytes, rest: AsyncIterator[bytes]) -> None:
        sent = [await self._part(upload, 1, first)]
        async for part in rest:
            if part:
                sent.append(await self._part(upload, len(sent) + 1, part))
        try:
            await self._call(
                "complete_multipart_upload", UploadId=upload, MultipartUpload={"Parts": sent}, IfNoneMatch="*"
            )
        except ObjectMissing:
            pass  # completed by a request whose answer was lost, or aborted: the mark tells
        except Refused as refused:
            if refused.status not in (409, 412):
                raise

    async def _part(self, upload: str, number: int, data: bytes) -> dict[str, Any]:
        answer = await self._call("upload_part", UploadId=upload, PartNumber=number, Body=data, ContentMD5=md5(data))
        return {"PartNumber": number, "ETag": answer["ETag"]}

    async def _expect_none(self) -> None:
        path_parts(self.path)
        try:
            await self._call("head_object")
        except ObjectMissing:
            await self.s3.check(self.bucket)
        else:
            raise ObjectExists

    async def _ours(self) -> StoredObject:
        answer = await self._call("head_object")
        if answer.get("Metadata", {}).get(MARK) != self.mark:
            raise ObjectExists
        return described(self.path, answer)

    def _named(self) -> dict[str, Any]:
        return {"ContentType": MEDIA.get(suffix(self.path), OTHER), "Metadata": {MARK: self.mark}}

    async def _call(self, operation: str, **arguments: Any) -> Mapping[str, Any]:
        return await self.s3.call(operation, Bucket=self.bucket, Key=self.prefix + self.path, **arguments)


def md5_hash(data: bytes = b"") -> "hashlib._Hash":
    return hashlib.md5(data, usedforsecurity=False)


def md5(data: bytes) -> str:
    return b64encode(md5_hash(data).digest()).decode()


async def _parts(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The same bytes in parts of `PART`; the last one, which is the only one of nothing, is shorter."""
    held = bytearray()
    async for piece in pieces:
        held += piece
        while len(held) >= PART:
            yield bytes(held[:PART])
            del held[:PART]
    yield bytes(held)
