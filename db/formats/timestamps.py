"""Timestamps as clients write them."""

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from db.errors import Invalid
from db.formats.names import quoted

# RFC 3339; the offset's colon may be missing, since `strftime("%z")` and `date +%z` write none.
MOMENT: Final = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt ]([0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]+)?)([Zz]|[+-][0-9]{2}:?[0-9]{2})"
)
# What a datetime can represent, but for a day at each end: the driver takes its first and its last moment as ±infinity.
FIRST, LAST = datetime(1, 1, 2, tzinfo=UTC), datetime(9999, 12, 30, tzinfo=UTC)
EARLIEST, LATEST = datetime(1970, 1, 1, tzinfo=UTC), datetime(9000, 1, 1, tzinfo=UTC)  # of what is taken from files
EPOCH, MICROSECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(microseconds=1)
EXAMPLES: Final = "2026-11-22T21:00:00Z or 2026-11-22T22:00:00+01:00"  # for messages


def format_timestamp(moment: datetime) -> str:
    """In UTC, with exactly three digits of the second; the rest is cut off, as `db.queries.json_text` does."""
    return clamped(moment).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def parse_timestamp(text: str) -> datetime | None:
    """In UTC, from FIRST to LAST; None for a text that is none, such as a date alone or a time without its zone."""
    parts = MOMENT.fullmatch(text)
    if parts is None:
        return None
    try:
        return clamped(datetime.fromisoformat(f"{parts[1]}T{parts[2]}{parts[3].upper()}").astimezone(UTC))
    except (ValueError, OverflowError):
        return None


def clamped(moment: datetime) -> datetime:
    """In UTC, from FIRST to LAST. What the driver reads as ±infinity has no zone."""
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return min(max(moment, FIRST), LAST).astimezone(UTC)


def microseconds(moment: datetime) -> int:
    """Since 1970."""
    return (moment - EPOCH) // MICROSECOND


def moment_of(microseconds: int) -> datetime:
    """So many microseconds after the beginning of 1970."""
    return EPOCH + microseconds * MICROSECOND


def said_moment(said: object, name: str) -> datetime | None:
    """When something was labelled, as a file says it in ISO 8601; where it names no zone, in UTC. None: it says
    nothing. Raises Invalid for what is no time, or no time that a label can have."""
    if said is None or said == "":
        return None
    found = said if isinstance(said, datetime) else LATEST  # a column of Parquet has moments
    try:
        found = datetime.fromisoformat(said.strip().upper()) if isinstance(said, str) else found
    except ValueError:
        found = LATEST
    found = found.replace(tzinfo=found.tzinfo or UTC)
    if not EARLIEST <= found < LATEST:
        message = f"must be a time from {EARLIEST.year} until {LATEST.year}, such as {EXAMPLES}, and is {quoted(said)}"
        raise Invalid(f"`{name}` {message}; it was ignored.")
    return found.astimezone(UTC)
