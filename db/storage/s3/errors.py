"""Errors of an S3 as our own: its texts may contain hosts, keys and accounts."""

import asyncio
import random
from collections.abc import Mapping
from typing import Any, Final

import aiohttp
from botocore.exceptions import BotoCoreError

from db.errors import DomainError, StorageError
from db.storage.errors import ObjectChanged, ObjectMissing, RootMissing

MAX_ATTEMPTS: Final = 4  # of what the client does not retry itself: an incomplete body, an invalid listing
CONNECTION_ERRORS: Final = (BotoCoreError, aiohttp.ClientError, OSError, TimeoutError)
TRANSIENT_CODES: Final = frozenset(
    {"InternalError", "SlowDown", "ServiceUnavailable", "RequestTimeout", "OperationAborted"}
)
UNSUPPORTED_CODES: Final = frozenset({"NotImplemented", "MalformedXML", "InvalidArgument", "InvalidRequest"})
ACCESS_CODES: Final = frozenset(
    {
        "InvalidAccessKeyId",
        "SignatureDoesNotMatch",
        "ExpiredToken",
        "InvalidToken",
        "RequestTimeTooSkewed",
        "PermanentRedirect",
        "AuthorizationHeaderMalformed",
        "AccountProblem",
        "AllAccessDisabled",
    }
)

ARCHIVED: Final = "The object is in an archive (GLACIER or DEEP_ARCHIVE): restore it in the store, then sync again."


class Refused(StorageError):
    """The store refused the operation. `reason` is its code, which no client sees."""

    def __init__(self, status: int, reason: str) -> None:
        if reason == "InvalidObjectState":
            message = ARCHIVED
        elif status in (401, 403):
            message = (
                "The object store does not allow this server to do it: the server's owner must check its permissions."
            )
        elif status in (429, 500, 502, 503, 504):
            message = "The object store is overloaded or fails. Try again later."
        else:
            message = "The store refused it."
        super().__init__(message)
        self.status = status
        self.reason = reason


class Unreachable(RootMissing):
    """The store gave no valid answer in any attempt."""

    def __init__(self) -> None:
        super().__init__("The object store cannot be reached, or does not respond correctly. Try again later.")


def error_of(answer: Mapping[str, Any]) -> StorageError:
    status = int(answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    reason = str(answer.get("Error", {}).get("Code", ""))
    if reason == "NoSuchBucket":
        return RootMissing()
    if reason in ACCESS_CODES:
        return RootMissing(
            "The object store refuses access to this server: the server's owner must check the S3 settings."
        )
    if status == 404:
        return ObjectMissing()
    return Refused(status, reason)


def deletion_result(reason: str) -> bool | DomainError:
    """The result for a key of many that was not deleted for this reason."""
    match reason:
        case "NoSuchKey":
            return False
        case "PreconditionFailed":
            return ObjectChanged()
        case "AccessDenied":
            return Refused(403, reason)
        case _:
            return Refused(500, reason)


async def pause(attempt: int) -> None:
    """Longer after each attempt, and random, so that clients do not retry at the same time."""
    await asyncio.sleep(random.uniform(0.05, 0.2) * 2**attempt)  # noqa: S311 (jitter)
