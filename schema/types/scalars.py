"""Scalars of our own."""

from datetime import datetime
from typing import Any

import strawberry
from graphql import GraphQLError

from db.formats import timestamps
from db.ingest.uploads import Incoming

DATE_TIME = strawberry.scalar(
    name="DateTime",
    description="A date and time in RFC 3339. Responses are in UTC with milliseconds: `2026-11-22T21:00:00.000Z`. "
    "Inputs have any time zone: `2026-11-22T22:00:00+01:00`.",
    specified_by_url="https://www.rfc-editor.org/rfc/rfc3339",
    serialize=timestamps.format_timestamp,
    parse_value=lambda text: parse_timestamp(text),
)

UPLOAD = strawberry.scalar(
    name="Upload",
    description="A file, sent as the GraphQL multipart request specification says: null in `variables`, and the file "
    "in its own part. The request must have the header `GraphQL-Require-Preflight: true`.",
    specified_by_url="https://github.com/jaydenseric/graphql-multipart-request-spec",
    parse_value=lambda value: parse_upload(value),
)


def parse_upload(value: Any) -> Incoming:
    """Only what came as a file is one; a text never is."""
    if isinstance(value, Incoming):
        return value
    raise GraphQLError("Upload takes a file of a multipart request; see `Upload` in the schema.")


def parse_timestamp(text: Any) -> datetime:
    """An RFC 3339 date-time with its zone; dates alone and naive times are refused."""
    timestamp = timestamps.parse_timestamp(text) if isinstance(text, str) else None
    if timestamp is None:
        raise GraphQLError(
            f"DateTime takes an RFC 3339 date and time with its zone, such as {timestamps.EXAMPLES}, not {text!r:.60}"
        )
    return timestamp
