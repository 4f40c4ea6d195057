"""Following an S3 listing from its first page to its last, and believing nothing. A listing can lie.

Seen in the wild: a proxy's HTML page or an empty body with status 200, "there is more" without saying where, pages
that lead back to themselves, counts that do not fit. The vendor's client takes each of them for the end of the
listing; a sync would then take every sample that was not listed for vanished.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from db.storage.objects import StoredObject

EMPTY = 1_000  # pages without a single key, one after the other, that are borne


class Untrue(Exception):
    """An answer that cannot be part of a listing."""


@dataclass(slots=True)
class Walk:
    """Where a listing is. `complete` only once a page has said that it is the last."""

    bucket: str
    prefix: str
    by_key: bool = False  # ListObjects as it first was: a page goes on behind the last key of the one before
    complete: bool = False
    cursor: str | None = None
    _cursors: set[str] = field(default_factory=set)
    _starts: set[str] = field(default_factory=set)
    _empty: int = 0

    def take(self, answer: Mapping[str, Any]) -> list[StoredObject]:
        """The objects of a page; the walk goes on behind it. Raises Untrue, and then stays where it was."""
        more, keys = answer.get("IsTruncated"), [entry.get("Key") for entry in answer.get("Contents", ())]
        if not isinstance(more, bool) or answer.get("Name") != self.bucket:
            raise Untrue("the answer is no listing of the bucket")
        if answer.get("KeyCount", len(keys)) != len(keys):
            raise Untrue("the page does not hold as many keys as it says")
        if not all(isinstance(key, str) and key.startswith(self.prefix) for key in keys):
            raise Untrue("the page holds what was not asked for")
        if keys and keys[0] in self._starts:
            raise Untrue("the page was there before")
        cursor = self._next(answer, keys) if more else None
        if cursor is not None:
            self._cursors.add(cursor)
        self._starts.update(keys[:1])
        self.complete, self.cursor = not more, cursor
        return [_described(entry, self.prefix) for entry in answer.get("Contents", ())]

    def _next(self, answer: Mapping[str, Any], keys: Sequence[str]) -> str:
        cursor = answer.get("NextContinuationToken")
        if self.by_key:
            cursor = answer.get("NextMarker") or (keys[-1] if keys else None)
        self._empty = 0 if keys else self._empty + 1
        if not isinstance(cursor, str) or cursor in self._cursors or self._empty > EMPTY:
            raise Untrue("there is more, but not where")
        return cursor


def moment(given: datetime) -> datetime:
    """A time as every operation of S3 tells it: some say milliseconds, some do not."""
    return given.astimezone(UTC).replace(microsecond=0)


def tag(given: object, size: int, modified_at: datetime) -> str:
    """An ETag without its quotes; where a store gives none, size and time stand for the content."""
    if isinstance(given, str) and given.strip('"'):
        return given.removeprefix("W/").strip('"')
    return f"{size:x}-{int(modified_at.timestamp()):x}"


def _described(entry: Mapping[str, Any], prefix: str) -> StoredObject:
    try:
        size, modified_at = int(entry["Size"]), moment(entry["LastModified"])
    except (KeyError, TypeError, ValueError, AttributeError):
        raise Untrue("the page does not tell sizes and times") from None
    return StoredObject(entry["Key"][len(prefix) :], size, modified_at, tag(entry.get("ETag"), size, modified_at))
