"""Reading an object: the whole range, of one version, or an error."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from db.errors import StorageError
from db.formats.timestamps import microseconds
from db.storage.errors import ObjectChanged
from db.storage.objects import CHUNK, StoredObject
from db.storage.s3.errors import CONNECTION_ERRORS, MAX_ATTEMPTS, Refused, Unreachable, pause
from db.storage.s3.listing import etag_of, to_seconds

MD5: Final = re.compile(r"[0-9a-f]{32}")
CONTENT_RANGE: Final = re.compile(r"bytes ([0-9]+)-[0-9]+/([0-9]+)")


class IncompleteBody(Exception):
    """A body ended early."""


@dataclass(slots=True)
class ObjectReader:
    """Reads a range of an object. After a broken connection it continues where it was, if the object is the same.
    `expected`: the etag that it must have, or ObjectChanged; the answer's own is compared, as not every store takes
    conditions."""

    get: Callable[..., Awaitable[Mapping[str, Any]]]
    path: str
    at: int
    end: int | None
    found: StoredObject | None = None
    expected: str | None = None

    async def pieces(self) -> AsyncIterator[bytes]:
        failures = 0
        while self.end is None or self.at < self.end:
            before = self.at
            try:
                async for piece in self._body():
                    yield piece
                return
            except IncompleteBody:
                failures = 0 if self.at > before else failures + 1
            if failures == MAX_ATTEMPTS:
                raise Unreachable
            await pause(failures)

    async def _body(self) -> AsyncIterator[bytes]:
        """The bytes of one answer. Raises IncompleteBody if they are fewer than announced."""
        answer = await self._get()
        if answer is None:
            return
        part = CONTENT_RANGE.fullmatch(answer.get("ContentRange") or "")
        first, size = (int(part[1]), int(part[2])) if part else (0, int(answer["ContentLength"]))
        self.found = self.found or described(self.path, answer, size)
        self.end = size if self.end is None else min(self.end, size)
        body = answer["Body"]
        if self.expected not in (None, self.found.etag):
            async with body:
                raise ObjectChanged
        skip = self.at - first  # where a store ignores ranges
        try:
            async with body:
                async for piece in body.iter_chunks(CHUNK):
                    requested = piece[skip:][: self.end - self.at]
                    skip = max(0, skip - len(piece))
                    self.at += len(requested)
                    if requested:
                        yield requested
                    if self.at >= self.end:
                        return
        except CONNECTION_ERRORS as error:
            raise IncompleteBody from error
        if self.at < self.end:
            raise IncompleteBody

    async def _get(self) -> Mapping[str, Any] | None:
        """None: the range is beyond the object's end."""
        last = "" if self.end is None else str(self.end - 1)
        same = {} if self.found is None else {"IfMatch": f'"{self.found.etag}"'}
        try:
            return await self.get(Range=f"bytes={self.at}-{last}", **same)
        except Refused as refused:
            if refused.status == 416:
                return None
            if refused.status == 412:
                raise StorageError("The file was replaced while it was read; read it again.") from refused
            raise


def described(path: str, answer: Mapping[str, Any], size: int | None = None) -> StoredObject:
    """An ETag is the content's MD5 unless the object was uploaded in parts, or a key of KMS or of the client encrypts
    it."""
    modified = answer.get("LastModified")
    if not isinstance(modified, datetime):
        raise Unreachable
    modified_at, size = to_seconds(modified), int(answer["ContentLength"]) if size is None else size
    etag = etag_of(answer.get("ETag"), size, modified_at)
    encrypted = answer.get("SSECustomerAlgorithm") or str(answer.get("ServerSideEncryption", "")).startswith("aws:kms")
    is_md5 = MD5.fullmatch(etag) is not None and not encrypted
    return StoredObject(path, size, microseconds(modified_at), etag, content=etag if is_md5 else None)
