"""Errors as clients see them: a sentence, a stable code and details for programs; nothing internal.

Request errors have Apollo's codes (GRAPHQL_PARSE_FAILED, …), refusals those of ErrorCode. Any other exception is a
defect: it is logged once under a reference, and the client sees only the reference.
"""

import logging
import secrets
import traceback
from collections.abc import Sequence
from typing import Any

from graphql import GraphQLError
from strawberry.exceptions import StrawberryInputCoercionError

from db.errors import REQUEST_ID, DomainError
from db.postgres.outages import explain_to_client

PARSE_FAILED = "GRAPHQL_PARSE_FAILED"
VALIDATION_FAILED = "GRAPHQL_VALIDATION_FAILED"
OPERATION_UNKNOWN = "OPERATION_RESOLUTION_FAILURE"
BAD_USER_INPUT = "BAD_USER_INPUT"
BAD_REQUEST = "BAD_REQUEST"
DOCUMENT_NOT_TRUSTED = "DOCUMENT_NOT_TRUSTED"
PERSISTED_QUERY_NOT_FOUND = "PERSISTED_QUERY_NOT_FOUND"
PERSISTED_QUERY_NOT_SUPPORTED = "PERSISTED_QUERY_NOT_SUPPORTED"
TOO_COSTLY = "QUERY_TOO_COSTLY"
UNAUTHENTICATED = "UNAUTHENTICATED"
FORBIDDEN = "FORBIDDEN"
RATE_LIMITED = "RATE_LIMITED"
INTERNAL = "INTERNAL_ERROR"
UNAVAILABLE = "UNAVAILABLE"
IN_PROGRESS = "REQUEST_IN_PROGRESS"

MAX_FRAMES = 20  # of a defect, in the log

logger = logging.getLogger("labelgraph.errors")


class Refused(Exception):
    """A request that is answered with errors only, before anything was executed."""

    def __init__(self, errors: Sequence[GraphQLError]) -> None:
        super().__init__("; ".join(error.message for error in errors))
        self.errors = errors


def refusal(message: str, code: str, **details: Any) -> Refused:
    return Refused([with_code(GraphQLError(message), code, **details)])


def with_code(error: GraphQLError, code: str, **details: Any) -> GraphQLError:
    """The same error with `extensions.code`, where it has none yet."""
    extensions = {"code": code, **({"details": details} if details else {}), **(error.extensions or {})}
    return GraphQLError(
        error.message,
        nodes=error.nodes,
        source=error.source,
        positions=error.positions,
        path=error.path,
        original_error=error.original_error,
        extensions=extensions,
    )


def format_error(error: GraphQLError) -> dict[str, Any]:
    """The error as it goes into an answer's `errors`. Logs it, when it is a defect."""
    body: dict[str, Any] = {"message": error.message}
    if error.locations:
        body["locations"] = [location.formatted for location in error.locations]
    if error.path is not None:
        body["path"] = error.path
    cause = _cause(error)
    extensions = _extensions(error, cause)
    if extensions is None:
        return body | log_defect(cause)
    if isinstance(cause, DomainError):
        body["message"] = cause.message
    return body | {"extensions": extensions}


def error_code(error: GraphQLError) -> str:
    """The `extensions.code` that `format_error` returns; logs nothing."""
    extensions = _extensions(error, _cause(error))
    return INTERNAL if extensions is None else str(extensions["code"])


def log_defect(cause: BaseException) -> dict[str, Any]:
    """Logs a defect with its stack (no values, no statement). Returns the parts of the error that a client may see."""
    reference = secrets.token_hex(6)
    frames = traceback.extract_tb(cause.__traceback__)[-MAX_FRAMES:]
    stack = " < ".join(f"{frame.filename}:{frame.lineno} {frame.name}" for frame in reversed(frames))
    first_line = str(cause).partition("\n")[0][:300]  # SQLAlchemy writes the statement and its parameters below
    logger.error("internal error %s: %s: %s; at %s", reference, type(cause).__qualname__, first_line, stack)
    message = f"Internal error (reference {reference}). Try again; if it stays, tell the operator the reference."
    request = {"requestId": id} if (id := REQUEST_ID.get()) else {}
    return {"message": message, "extensions": {"code": INTERNAL, "reference": reference, **request}}


def _cause(error: GraphQLError) -> BaseException:
    """The innermost error: execution wraps what a resolver or a scalar raised, at times twice. Unavailable for an error
    of Postgres that means it."""
    cause: BaseException = error
    while isinstance(cause, GraphQLError) and cause.original_error is not None:
        cause = cause.original_error
    return explain_to_client(cause) or cause


def _extensions(error: GraphQLError, cause: BaseException) -> dict[str, Any] | None:
    """None: it is a defect."""
    match cause:
        case DomainError():
            modelarts = {"modelartsCode": cause.modelarts_code} if cause.modelarts_code else {}
            return {"code": cause.code, "details": cause.details, **modelarts}
        case GraphQLError() if "code" in (cause.extensions or {}):
            return cause.extensions
    return {"code": BAD_USER_INPUT} if _is_of_request(error, cause) else None


def _is_of_request(error: GraphQLError, cause: BaseException) -> bool:
    """Whether the client's input is wrong: such errors have a location in the document.

    Variables are refused before there is a path; that they had too many errors has no location either. Arguments are
    refused during execution, by a GraphQLError with a location.
    """
    if isinstance(cause, StrawberryInputCoercionError):  # a @oneOf input with no key, with two, or with null
        return True
    if error.path is None:
        return bool(error.nodes) or isinstance(cause, GraphQLError)
    return isinstance(cause, GraphQLError) and bool(cause.nodes)
