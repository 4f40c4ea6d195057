"""Scalars of our own."""

from datetime import UTC, datetime
from typing import Any

import strawberry
from graphql import GraphQLError

DATE_TIME = strawberry.scalar(
    name="DateTime",
    description="A moment: RFC 3339 with a time zone, such as `2026-11-22T21:00:00Z`. Answers are in UTC.",
    specified_by_url="https://scalars.graphql.org/andimarek/date-time.html",
    serialize=lambda moment: moment.astimezone(UTC).isoformat(),
    parse_value=lambda text: parse_moment(text),
)


def parse_moment(text: Any) -> datetime:
    """An RFC 3339 date-time with its zone; dates alone and naive times are refused."""
    try:
        moment = datetime.fromisoformat(text) if isinstance(text, str) and len(text) >= 20 else None
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None or text[10] not in "Tt ":
        raise GraphQLError(
            f"DateTime takes an RFC 3339 moment with a zone, such as 2026-11-22T21:00:00Z, not {text!r:.60}"
        )
    return moment.astimezone(UTC) if datetime.min.year < moment.year < datetime.max.year else moment
