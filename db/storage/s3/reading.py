"""Reading an object: all of what was asked for, of one version, or an error."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from db.errors import StorageError
from db.storage.objects import CHUNK, StoredObject
from db.storage.s3.errors import BROKEN, TRIES, Refused, Unreachable, pause
from db.storage.s3.listing import moment, tag

MD5: Final = re.compile(r"[0-9a-f]{32}")
CONTENT_RANGE: Final = re.compile(r"bytes ([0-9]+)-[0-9]+/([0-9]+)")


class Cut(Exception):
    """A body ended before its end."""


@dataclass(slots=True)
class Reading:
    """A range of an object on its way to us. Where it breaks off it is taken up again, if it still is the same."""

    get: Callable[..., Awaitable[Mapping[str, Any]]]
    path: str
    at: int
    end: int | None
    found: StoredObject | None = None

    async def pieces(self) -> AsyncIterator[bytes]:
        failures = 0
        while self.end is None or self.at < self.end:
            before = self.at
            try:
                async for piece in self._answered():
                    yield piece
                return
            except Cut:
                failures = 0 if self.at > before else failures + 1
            if failures == TRIES:
                raise Unreachable
            await pause(failures)

    async def _answered(self) -> AsyncIterator[bytes]:
        """One answer's bytes. Raises Cut when they are fewer than were announced."""
        answer = await self._ask()
        if answer is None:
            return
        first, size = _place(answer)
        self.found = self.found or described(self.path, answer, size)
        self.end = size if self.end is None else min(self.end, size)
        body = answer["Body"]
        skip = self.at - first  # of a store that does not know ranges
        try:
            async with body:
                async for piece in body.iter_chunks(CHUNK):
                    wanted = piece[skip:][: self.end - self.at]
                    skip = max(0, skip - len(piece))
                    self.at += len(wanted)
                    if wanted:
                        yield wanted
                    if self.at >= self.end:
                        return
        except BROKEN as error:
            raise Cut from error
        if self.at < self.end:
            raise Cut

    async def _ask(self) -> Mapping[str, Any] | None:
        """None: there is nothing in this range."""
        last = "" if self.end is None else str(self.end - 1)
        same = {} if self.found is None else {"IfMatch": f'"{self.found.etag}"'}
        try:
            return await self.get(Range=f"bytes={self.at}-{last}", **same)
        except Refused as refused:
            if refused.status == 416:
                return None
            if refused.status == 412:
                raise StorageError("The file was replaced by another while it was read; read it again.") from refused
            raise


def _place(answer: Mapping[str, Any]) -> tuple[int, int]:
    """Where in its object an answer's body begins, and the object's size."""
    ranged = CONTENT_RANGE.fullmatch(answer.get("ContentRange") or "")
    if ranged:
        return int(ranged[1]), int(ranged[2])
    return 0, int(answer["ContentLength"])


def described(path: str, answer: Mapping[str, Any], size: int | None = None) -> StoredObject:
    given = answer.get("LastModified")
    if not isinstance(given, datetime):
        raise Unreachable
    modified_at, size = moment(given), int(answer["ContentLength"]) if size is None else size
    etag = tag(answer.get("ETag"), size, modified_at)
    return StoredObject(path, size, modified_at, etag, content=etag if _is_md5(etag, answer) else None)


def _is_md5(etag: str, answer: Mapping[str, Any]) -> bool:
    """An ETag is the content's MD5 unless the object came in parts, or a key of KMS or of the client encrypts it."""
    encrypted = answer.get("SSECustomerAlgorithm") or str(answer.get("ServerSideEncryption", "")).startswith("aws:kms")
    return MD5.fullmatch(etag) is not None and not encrypted
