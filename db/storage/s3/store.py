"""The objects below a prefix of a bucket."""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from db.errors import DomainError, StorageError
from db.formats.paths import path_parts
from db.storage.objects import (
    Head,
    ObjectChanged,
    ObjectMissing,
    Page,
    RootMissing,
    StoredObject,
)
from db.storage.s3.connection import S3
from db.storage.s3.errors import BROKEN, PASSING, TRIES, UNKNOWN, Refused, Unreachable, of_key, pause
from db.storage.s3.listing import Untrue, Walk
from db.storage.s3.reading import Reading, described
from db.storage.s3.writing import Writing, md5, md5_hash

DELETED_AT_ONCE: Final = 1_000  # keys in a request, as S3 allows
ODD: Final = re.compile("[^\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # XML cannot hold it, or not as it is


@dataclass(frozen=True, slots=True)
class S3Store:
    """The objects below a prefix, which is empty or ends with a slash."""

    s3: S3
    bucket: str
    prefix: str

    async def pages(self) -> AsyncIterator[Page]:
        walk = Walk(self.bucket, self.prefix, by_key=self.s3.access.list_by_key)
        while not walk.complete:
            yield Page(await self._page(walk))

    async def stat(self, path: str) -> StoredObject | None:
        try:
            answer = await self._call("head_object", path)
        except ObjectMissing:
            await self.s3.check(self.bucket)
            return None
        return described(path, answer)

    async def heads(self, paths: Sequence[str], *, length: int) -> list[Head | StorageError]:
        return await self.s3.side_by_side([partial(self._head, path, length) for path in paths], StorageError)

    async def content_hashes(self, objects: Sequence[tuple[str, str]]) -> list[str | StorageError]:
        """MD5, as ETags are where they are hashes of the content: so both can be compared."""
        asking = [partial(self._content_hash, path, etag) for path, etag in objects]
        return await self.s3.side_by_side(asking, StorageError)

    async def read(self, path: str, *, start: int = 0, length: int | None = None) -> bytes:
        return await self._whole(self._reading(path, start, length))

    async def stream(self, path: str, *, start: int = 0, length: int | None = None) -> AsyncIterator[bytes]:
        async for piece in self._reading(path, start, length).pieces():
            yield piece

    async def write(self, path: str, data: bytes) -> StoredObject:
        return await Writing(self.s3, self.bucket, self.prefix, path).put(data)

    async def write_stream(self, path: str, pieces: AsyncIterator[bytes]) -> StoredObject:
        return await Writing(self.s3, self.bucket, self.prefix, path).put_stream(pieces)

    async def delete(self, path: str, *, etag: str | None = None) -> bool:
        if not await self._is_there(path, etag):
            return False
        try:
            await self._delete(path, etag if self.s3.conditions else None)
        except ObjectMissing:
            return False
        except Refused as refused:
            if refused.status == 412:
                if await self._is_there(path, etag):
                    raise ObjectChanged from None
                return False
            if etag is None or refused.reason not in UNKNOWN:
                raise
            self.s3.conditions = False
            await self._delete(path, None)
        return True

    async def delete_many(self, objects: Sequence[tuple[str, str | None]]) -> list[bool | DomainError]:
        """Looked at one by one, since not every S3 heeds a condition; deleted by the thousand, each answered for.

        A deletion whose answer was lost is asked for again by the client, and then its condition fails for want of an
        object: so where it fails, the object is looked at again.
        """
        looked = await self._look(objects)
        there = [index for index, found in enumerate(looked) if found is True]
        for start in range(0, len(there), DELETED_AT_ONCE):
            part = there[start : start + DELETED_AT_ONCE]
            told = await self._delete_batch([objects[index] for index in part])
            for index in part:
                looked[index] = told[objects[index][0]]
        failed = [index for index in there if isinstance(looked[index], ObjectChanged)]
        for index, found in zip(failed, await self._look([objects[index] for index in failed]), strict=True):
            looked[index] = looked[index] if found is True else found
        return looked

    async def download_url(self, path: str, *, media: str, seconds: int) -> str | None:
        if not self.s3.access.links:
            return None
        asked = {
            "Bucket": self.bucket,
            "Key": self.prefix + path,
            "ResponseContentType": media,
            "ResponseContentDisposition": "attachment",  # shown by `<img>`, saved when it is opened as a page
        }
        try:
            url: str = await self.s3.signer.generate_presigned_url("get_object", Params=asked, ExpiresIn=seconds)
        except BROKEN as error:
            raise Unreachable from error
        return url

    async def upload_url(self, path: str, *, size: int, seconds: int) -> str | None:
        """The length is signed, too: a store that checks signatures takes exactly so many bytes."""
        path_parts(path)
        if not self.s3.access.links:
            return None
        asked = {"Bucket": self.bucket, "Key": self.prefix + path, "ContentLength": size}
        try:
            url: str = await self.s3.signer.generate_presigned_url("put_object", Params=asked, ExpiresIn=seconds)
        except BROKEN as error:
            raise Unreachable from error
        return url

    async def replace(self, path: str, data: bytes) -> None:
        path_parts(path)
        await self._call("put_object", path, Body=data, ContentMD5=md5(data))

    async def discard(self, paths: Sequence[str]) -> list[str]:
        """By the thousand, and without looking: S3 says of what was not there that it is gone."""
        told: dict[str, bool | DomainError] = {}
        for start in range(0, len(paths), DELETED_AT_ONCE):
            told |= await self._delete_batch([(path, None) for path in paths[start : start + DELETED_AT_ONCE]])
        return [path for path, outcome in told.items() if isinstance(outcome, DomainError)]

    # Below: one request each, or one thing tried several times.

    async def _page(self, walk: Walk) -> list[StoredObject]:
        operation, place = ("list_objects", "Marker") if walk.by_key else ("list_objects_v2", "ContinuationToken")
        most = self.s3.access.page
        after = {} if walk.cursor is None else {place: walk.cursor}
        for attempt in range(TRIES):
            try:
                answer = await self.s3.call(operation, Bucket=self.bucket, Prefix=self.prefix, MaxKeys=most, **after)
                return walk.take(answer)
            except Untrue:
                await pause(attempt)
            except ObjectMissing:
                raise RootMissing from None
            except Refused as refused:
                raise (RootMissing() if refused.status in (403, 404) else Unreachable()) from refused
        raise Unreachable

    async def _call(self, operation: str, path: str, **arguments: Any) -> Mapping[str, Any]:
        return await self.s3.call(operation, Bucket=self.bucket, Key=self.prefix + path, **arguments)

    def _reading(self, path: str, start: int, length: int | None) -> Reading:
        return Reading(partial(self._call, "get_object", path), path, start, None if length is None else start + length)

    async def _whole(self, reading: "Reading") -> bytes:
        try:
            async with asyncio.timeout(self.s3.access.deadline):
                return b"".join([piece async for piece in reading.pieces()])
        except TimeoutError as error:
            raise Unreachable from error

    async def _head(self, path: str, length: int) -> Head:
        reading = self._reading(path, 0, length)
        data = await self._whole(reading)
        found = reading.found or await self.stat(path)
        if found is None:
            raise ObjectMissing
        content = found.content if found.content or len(data) < found.size else md5_hash(data).hexdigest()
        return Head(found.size, found.modified_at, str(found.etag), data, content)

    async def _content_hash(self, path: str, etag: str) -> str:
        reading, digest = self._reading(path, 0, None), md5_hash()
        try:
            async with asyncio.timeout(self.s3.access.deadline):
                async for piece in reading.pieces():
                    digest.update(piece)
        except TimeoutError as error:
            raise Unreachable from error
        if reading.found is not None and reading.found.etag != etag:
            raise StorageError("The file was replaced by another meanwhile.")
        return digest.hexdigest()

    async def _is_there(self, path: str, etag: str | None) -> bool:
        found = await self.stat(path)
        if found is not None and etag is not None and found.etag != etag:
            raise ObjectChanged
        return found is not None

    async def _look(self, objects: Sequence[tuple[str, str | None]]) -> list[bool | DomainError]:
        return await self.s3.side_by_side([partial(self._is_there, path, etag) for path, etag in objects], DomainError)

    async def _delete(self, path: str, etag: str | None) -> None:
        await self._call("delete_object", path, **({} if etag is None else {"IfMatch": f'"{etag}"'}))

    async def _delete_batch(self, objects: Sequence[tuple[str, str | None]]) -> dict[str, bool | DomainError]:
        """What became of each; whatever the store does not speak of is not deleted. Many keys are told in XML: one that
        it cannot hold would have all of them refused, so it goes by itself."""
        results: dict[str, bool | DomainError] = {path: Unreachable() for path, _ in objects}
        odd = [(path, etag) for path, etag in objects if ODD.search(path)]
        told = await self.s3.side_by_side([partial(self.delete, path, etag=etag) for path, etag in odd], DomainError)
        results |= dict(zip((path for path, _ in odd), told, strict=True))
        left = [one for one in objects if not ODD.search(one[0])]
        for attempt in range(TRIES if left else 0):
            try:
                errors = await self._delete_once(left, results)
            except StorageError as failed:
                return results | {path: failed for path, _ in left}
            left = [one for one in left if errors.get(one[0]) in PASSING]
            if not left:
                break
            await pause(attempt)
        return results

    async def _delete_once(
        self, objects: Sequence[tuple[str, str | None]], results: dict[str, bool | DomainError]
    ) -> dict[str, str]:
        try:
            answer = await self.s3.call("delete_objects", Bucket=self.bucket, Delete=self._named(objects))
        except Refused as refused:
            if not self.s3.conditions or refused.reason not in UNKNOWN:
                raise
            self.s3.conditions = False
            answer = await self.s3.call("delete_objects", Bucket=self.bucket, Delete=self._named(objects))
        skip = len(self.prefix)
        results |= {str(one.get("Key"))[skip:]: True for one in answer.get("Deleted", ())}
        errors = {str(one.get("Key"))[skip:]: str(one.get("Code")) for one in answer.get("Errors", ())}
        results |= {path: of_key(reason) for path, reason in errors.items()}
        return errors

    def _named(self, objects: Sequence[tuple[str, str | None]]) -> dict[str, Any]:
        def named(path: str, etag: str | None) -> dict[str, str]:
            return {"Key": self.prefix + path, **({"ETag": etag} if etag and self.s3.conditions else {})}

        return {"Objects": [named(path, etag) for path, etag in objects]}
