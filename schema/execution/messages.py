"""What passes between the transports (HTTP, SSE, WebSocket) and the schema: one prepared operation in, answers out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import orjson
from graphql import GraphQLError

from schema.errors import format_error
from schema.execution.documents import Document

ABSENT: Final = object()  # stands for a key that the answer does not have, which null is not


@dataclass(frozen=True, slots=True)
class Request:
    """One operation of a valid document, with its variables as the client sent them (JSON values, not coerced)."""

    document: Document
    variables: Mapping[str, Any] = field(default_factory=dict)
    extensions: Mapping[str, Any] = field(default_factory=dict)
    input_objects: int = 0  # in the variables
    cost: int = 0  # see Document.cost
    forbidden: Mapping[str, GraphQLError] = field(default_factory=dict)  # the root fields that are refused


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer. `data` may contain `orjson.Fragment`; without data the operation did not begin (a request error).
    `cursor`: of an event, behind which a subscription can be resumed."""

    data: object = ABSENT
    errors: Sequence[GraphQLError] = ()
    extensions: Mapping[str, Any] = field(default_factory=dict)
    cursor: str | None = None

    @property
    def refused(self) -> bool:
        return self.data is ABSENT

    @property
    def has_values(self) -> bool:
        """Whether at least one of the operation's fields was answered."""
        return isinstance(self.data, dict) and any(value is not None for value in self.data.values())

    @classmethod
    def from_result(cls, result: Any, cursor: str | None = None) -> "Answer":
        """From an execution result of graphql-core or Strawberry, which write a request error as `data: null`."""
        errors = tuple(result.errors or ())
        has_begun = result.data is not None or any(error.path for error in errors)
        return cls(data=result.data if has_begun or not errors else ABSENT, errors=errors, cursor=cursor)

    def as_dict(self) -> dict[str, Any]:
        """Errors first, as the specification asks. Logs those that are defects: call it once."""
        body: dict[str, Any] = {}
        if self.errors:
            body["errors"] = [format_error(error) for error in self.errors]
        if not self.refused:
            body["data"] = self.data
        if self.extensions:
            body["extensions"] = self.extensions
        return body

    def encode(self) -> bytes:
        return encode(self.as_dict())


def encode(body: object) -> bytes:
    """JSON text; `orjson.Fragment` values are inserted unchanged."""

    def plain(value: object) -> object:
        return sorted(value) if isinstance(value, set | frozenset) else str(value)

    return orjson.dumps(body, default=plain)
