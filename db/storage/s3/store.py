"""The objects below a prefix of a bucket."""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final
from urllib.parse import quote

from db.errors import DomainError, StorageError
from db.formats.paths import path_parts
from db.storage.errors import ObjectChanged, ObjectMissing, RootMissing
from db.storage.objects import ALL, Head, Page, Scope, Store, StoredObject
from db.storage.s3.connection import S3
from db.storage.s3.errors import (
    CONNECTION_ERRORS,
    MAX_ATTEMPTS,
    TRANSIENT_CODES,
    UNSUPPORTED_CODES,
    Refused,
    Unreachable,
    deletion_result,
    pause,
)
from db.storage.s3.listing import InvalidPage, Listing
from db.storage.s3.reading import ObjectReader, described
from db.storage.s3.writing import ObjectWriter, md5, md5_hash

MAX_KEYS: Final = 1_000  # keys in a request, as S3 allows
# Characters that XML cannot contain unchanged.
NOT_XML: Final = re.compile("[^\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class S3Store(Store):
    """The objects below a prefix, which is empty or ends with a slash."""

    s3: S3
    bucket: str
    prefix: str

    async def pages(self, scope: Scope = ALL) -> AsyncIterator[Page]:
        for prefix in scope.prefixes:
            listing = Listing(self.bucket, self.prefix, f"{self.prefix}{prefix}", by_key=self.s3.config.list_by_key)
            while not listing.complete:
                yield Page(await self._page(listing))

    async def stat(self, path: str) -> StoredObject | None:
        try:
            answer = await self._call("head_object", path)
        except ObjectMissing:
            await self.s3.check_bucket(self.bucket)
            return None
        return described(path, answer)

    async def heads(self, paths: Sequence[str], *, length: int) -> list[Head | StorageError]:
        return await self.s3.run_all([partial(self._head, path, length) for path in paths], StorageError)

    async def content_hashes(self, objects: Sequence[tuple[str, str]]) -> list[str | StorageError]:
        """MD5, as ETags that are hashes of the content, so that they can be compared."""
        return await self.s3.run_all([partial(self._content_hash, *each) for each in objects], StorageError)

    async def read(self, path: str, *, start: int = 0, length: int | None = None) -> bytes:
        return await self._read(self._reader(path, start, length))

    async def read_same(self, found: StoredObject, *, start: int, length: int) -> bytes:
        reader = self._reader(found.path, start, length)
        reader.expected = found.etag
        return await self._read(reader)

    async def stream(self, path: str, *, start: int = 0, length: int | None = None) -> AsyncIterator[bytes]:
        async for piece in self._reader(path, start, length).pieces():
            yield piece

    async def write(self, path: str, data: bytes) -> StoredObject:
        return await self._writer(path).put(data)

    async def write_stream(self, path: str, pieces: AsyncIterator[bytes]) -> StoredObject:
        return await self._writer(path).put_stream(pieces)

    async def delete(self, path: str, *, etag: str | None = None) -> bool:
        if not await self._exists(path, etag):
            return False
        try:
            await self._delete(path, etag if self.s3.has_conditional_delete else None)
        except ObjectMissing:
            return False
        except Refused as refused:
            if refused.status == 412:
                if await self._exists(path, etag):
                    raise ObjectChanged from None
                return False
            if etag is None or refused.reason not in UNSUPPORTED_CODES:
                raise
            self.s3.has_conditional_delete = False
            await self._delete(path, None)
        return True

    async def delete_many(self, objects: Sequence[tuple[str, str | None]]) -> list[bool | DomainError]:
        """Each object is looked at first, since not every S3 supports conditions; then all are deleted, 1,000 at once.

        When the answer to a deletion is lost, the client deletes again, and the condition fails because there is no
        object any more: so where it fails, the object is looked at again.
        """
        results = await self._exist(objects)
        present = [index for index, exists in enumerate(results) if exists is True]
        for start in range(0, len(present), MAX_KEYS):
            batch = present[start : start + MAX_KEYS]
            deleted = await self._delete_batch([objects[index] for index in batch])
            for index in batch:
                results[index] = deleted[objects[index][0]]
        failed = [index for index in present if isinstance(results[index], ObjectChanged)]
        for index, exists in zip(failed, await self._exist([objects[index] for index in failed]), strict=True):
            results[index] = results[index] if exists is True else exists
        return results

    async def download_url(self, path: str, *, media: str, seconds: int, name: str | None = None) -> str | None:
        """Shown by `<img>`, saved when it is opened as a page."""
        disposition = "attachment" if name is None else f"attachment; filename*=UTF-8''{quote(name, safe='')}"
        headers = {"ResponseContentType": media, "ResponseContentDisposition": disposition}
        return await self._presigned_url("get_object", path, seconds, **headers)

    async def upload_url(self, path: str, *, size: int, seconds: int) -> str | None:
        """The length is signed, too: the store takes exactly so many bytes."""
        path_parts(path)
        return await self._presigned_url("put_object", path, seconds, ContentLength=size)

    async def _presigned_url(self, operation: str, path: str, seconds: int, **more: Any) -> str | None:
        if not self.s3.config.links:
            return None
        parameters = {"Bucket": self.bucket, "Key": self.prefix + path, **more}
        try:
            url: str = await self.s3.signer.generate_presigned_url(operation, Params=parameters, ExpiresIn=seconds)
        except CONNECTION_ERRORS as error:
            raise Unreachable from error
        return url

    async def replace(self, path: str, data: bytes) -> None:
        path_parts(path)
        await self._call("put_object", path, Body=data, ContentMD5=md5(data))

    async def discard(self, paths: Sequence[str]) -> list[str]:
        """By the thousand, without looking: S3 reports what did not exist as deleted."""
        results: dict[str, bool | DomainError] = {}
        for start in range(0, len(paths), MAX_KEYS):
            results |= await self._delete_batch([(path, None) for path in paths[start : start + MAX_KEYS]])
        return [path for path, result in results.items() if isinstance(result, DomainError)]

    async def _page(self, listing: Listing) -> list[StoredObject]:
        operation, name = ("list_objects", "Marker") if listing.by_key else ("list_objects_v2", "ContinuationToken")
        values = {"Prefix": listing.prefix, "MaxKeys": self.s3.config.page}
        if listing.cursor is not None:
            values[name] = listing.cursor
        for attempt in range(MAX_ATTEMPTS):
            try:
                return listing.add_page(await self.s3.call(operation, Bucket=self.bucket, **values))
            except InvalidPage:
                await pause(attempt)
            except ObjectMissing:
                raise RootMissing from None
            except Refused as refused:
                raise (RootMissing() if refused.status in (403, 404) else Unreachable()) from refused
        raise Unreachable

    async def _call(self, operation: str, path: str, **arguments: Any) -> Mapping[str, Any]:
        return await self.s3.call(operation, Bucket=self.bucket, Key=self.prefix + path, **arguments)

    def _reader(self, path: str, start: int, length: int | None) -> ObjectReader:
        end = None if length is None else start + length
        return ObjectReader(partial(self._call, "get_object", path), path, start, end)

    def _writer(self, path: str) -> ObjectWriter:
        return ObjectWriter(partial(self._call, path=path), self.stat, path)

    async def _read(self, reader: ObjectReader) -> bytes:
        try:
            async with asyncio.timeout(self.s3.config.deadline):
                return b"".join([piece async for piece in reader.pieces()])
        except TimeoutError as error:
            raise Unreachable from error

    async def _head(self, path: str, length: int) -> Head:
        reader = self._reader(path, 0, length)
        data = await self._read(reader)
        found = reader.found or await self.stat(path)
        if found is None:
            raise ObjectMissing
        content = found.content if found.content or len(data) < found.size else md5_hash(data).hexdigest()
        return Head(path, found.size, found.modified, str(found.etag), content=content, data=data)

    async def _content_hash(self, path: str, etag: str) -> str:
        reader, digest = self._reader(path, 0, None), md5_hash()
        try:
            async with asyncio.timeout(self.s3.config.deadline):
                async for piece in reader.pieces():
                    digest.update(piece)
        except TimeoutError as error:
            raise Unreachable from error
        if reader.found is not None and reader.found.etag != etag:
            raise StorageError("The file was replaced in the meantime.")
        return digest.hexdigest()

    async def _exists(self, path: str, etag: str | None) -> bool:
        found = await self.stat(path)
        if found is not None and etag is not None and found.etag != etag:
            raise ObjectChanged
        return found is not None

    async def _exist(self, objects: Sequence[tuple[str, str | None]]) -> list[bool | DomainError]:
        return await self.s3.run_all([partial(self._exists, *each) for each in objects], DomainError)

    async def _delete(self, path: str, etag: str | None) -> None:
        await self._call("delete_object", path, **({} if etag is None else {"IfMatch": f'"{etag}"'}))

    async def _delete_batch(self, objects: Sequence[tuple[str, str | None]]) -> dict[str, bool | DomainError]:
        """The result for each path; what the store's answer does not mention is not deleted. The keys are sent as XML:
        one that it cannot express would make the store refuse them all, so it is deleted by itself."""
        results: dict[str, bool | DomainError] = {path: Unreachable() for path, _ in objects}
        singly = [(path, etag) for path, etag in objects if NOT_XML.search(path)]
        deleted = await self.s3.run_all([partial(self.delete, path, etag=etag) for path, etag in singly], DomainError)
        results |= dict(zip((path for path, _ in singly), deleted, strict=True))
        remaining = [each for each in objects if not NOT_XML.search(each[0])]
        for attempt in range(MAX_ATTEMPTS if remaining else 0):
            try:
                answer = await self._delete_objects(remaining)
            except StorageError as failed:
                return results | {path: failed for path, _ in remaining}
            skip = len(self.prefix)
            results |= {str(each.get("Key"))[skip:]: True for each in answer.get("Deleted", ())}
            errors = {str(each.get("Key"))[skip:]: str(each.get("Code")) for each in answer.get("Errors", ())}
            results |= {path: deletion_result(reason) for path, reason in errors.items()}
            remaining = [each for each in remaining if errors.get(each[0]) in TRANSIENT_CODES]
            if not remaining:
                break
            await pause(attempt)
        return results

    async def _delete_objects(self, objects: Sequence[tuple[str, str | None]]) -> Mapping[str, Any]:
        def keys() -> dict[str, Any]:
            is_conditional = self.s3.has_conditional_delete
            return {
                "Objects": [
                    {"Key": self.prefix + path, **({"ETag": etag} if etag and is_conditional else {})}
                    for path, etag in objects
                ]
            }

        try:
            return await self.s3.call("delete_objects", Bucket=self.bucket, Delete=keys())
        except Refused as refused:
            if not self.s3.has_conditional_delete or refused.reason not in UNSUPPORTED_CODES:
                raise
        self.s3.has_conditional_delete = False
        return await self.s3.call("delete_objects", Bucket=self.bucket, Delete=keys())
