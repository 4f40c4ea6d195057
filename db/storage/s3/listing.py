"""Reading an S3 listing from its first page to its last, and validating each page.

Observed: a proxy's HTML page or an empty body with status 200, a page that is truncated but has no continuation token,
pages that lead back to themselves, counts that do not match. The vendor's client takes each of them for the end of the
listing; a sync would then remove every sample that was not listed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from db.formats.timestamps import microseconds
from db.storage.objects import StoredObject

MAX_EMPTY_PAGES = 1_000  # in a row


class InvalidPage(Exception):
    """An answer that cannot be a page of the listing."""


@dataclass(slots=True)
class Listing:
    """The position in a listing of the keys with a prefix; paths are relative to `root`. `complete` only after a page
    that says that it is the last."""

    bucket: str
    root: str
    prefix: str
    by_key: bool = False  # ListObjects: a page continues after the last key of the page before
    complete: bool = False
    cursor: str | None = None
    _cursors: set[str] = field(default_factory=set)
    _starts: set[str] = field(default_factory=set)
    _empty: int = 0

    def add_page(self, answer: Mapping[str, Any]) -> list[StoredObject]:
        """The objects of a page; the position moves behind it. Raises InvalidPage, and then the position stays."""
        more, keys = answer.get("IsTruncated"), [entry.get("Key") for entry in answer.get("Contents", ())]
        if not isinstance(more, bool) or answer.get("Name") != self.bucket:
            raise InvalidPage("the answer is no listing of the bucket")
        if answer.get("KeyCount", len(keys)) != len(keys):
            raise InvalidPage("the page has not as many keys as it says")
        if not all(isinstance(key, str) and key.startswith(self.prefix) for key in keys):
            raise InvalidPage("the page has keys without the prefix")
        if keys and keys[0] in self._starts:
            raise InvalidPage("the page was there before")
        objects = [_described(entry, self.root) for entry in answer.get("Contents", ())]
        cursor = None
        if more:
            cursor = answer.get("NextContinuationToken")
            if self.by_key:
                cursor = answer.get("NextMarker") or (keys[-1] if keys else None)
            self._empty = 0 if keys else self._empty + 1
            if not isinstance(cursor, str) or cursor in self._cursors or self._empty > MAX_EMPTY_PAGES:
                raise InvalidPage("the page is not the last, and does not lead to another")
            self._cursors.add(cursor)
        self._starts.update(keys[:1])
        self.complete, self.cursor = not more, cursor
        return objects


def to_seconds(modified: datetime) -> datetime:
    """A time that all operations of S3 agree on: some return milliseconds, some do not."""
    return modified.astimezone(UTC).replace(microsecond=0)


def etag_of(header: object, size: int, modified_at: datetime) -> str:
    """An ETag without its quotes; if the store has none, one made of size and time."""
    if isinstance(header, str) and header.strip('"'):
        return header.removeprefix("W/").strip('"')
    return f"{size:x}-{int(modified_at.timestamp()):x}"


def _described(entry: Mapping[str, Any], root: str) -> StoredObject:
    try:
        size, modified_at = int(entry["Size"]), to_seconds(entry["LastModified"])
    except (KeyError, TypeError, ValueError, AttributeError):
        raise InvalidPage("the page lacks sizes or times") from None
    etag = etag_of(entry.get("ETag"), size, modified_at)
    return StoredObject(entry["Key"][len(root) :], size, microseconds(modified_at), etag)
