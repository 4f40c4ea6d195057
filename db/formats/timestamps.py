"""Timestamps as clients write them."""

import re
from datetime import UTC, datetime
from typing import Final

# RFC 3339; the offset's colon may be missing, since `strftime("%z")` and `date +%z` write none.
MOMENT: Final = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt ]([0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]+)?)([Zz]|[+-][0-9]{2}:?[0-9]{2})"
)
EXAMPLES: Final = "2026-11-22T21:00:00Z or 2026-11-22T22:00:00+01:00"  # for messages


def format_timestamp(moment: datetime) -> str:
    """In UTC, with exactly three digits of the second; the rest is cut off, as `db.queries.json_text` does."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def parse_timestamp(text: str) -> datetime | None:
    """In UTC; None for a text that is no timestamp, such as a date alone or a time without its zone."""
    parts = MOMENT.fullmatch(text)
    if parts is None:
        return None
    try:
        return datetime.fromisoformat(f"{parts[1]}T{parts[2]}{parts[3].upper()}").astimezone(UTC)
    except (ValueError, OverflowError):
        return None
