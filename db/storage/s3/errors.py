"""What an S3 says when it says no, in our words: its own may name hosts, keys and accounts."""

import asyncio
import random
from collections.abc import Mapping
from typing import Any, Final

import aiohttp
from botocore.exceptions import BotoCoreError

from db.errors import DomainError, StorageError
from db.storage.objects import ObjectChanged, ObjectMissing, RootMissing

TRIES: Final = 4  # of what the client itself does not try again: a body that breaks off, a page that is none
BROKEN: Final = (BotoCoreError, aiohttp.ClientError, OSError, TimeoutError)
PASSING: Final = frozenset({"InternalError", "SlowDown", "ServiceUnavailable", "RequestTimeout", "OperationAborted"})
UNKNOWN: Final = frozenset({"NotImplemented", "MalformedXML", "InvalidArgument", "InvalidRequest"})
SHUT: Final = frozenset(
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
    """The store answered, and said no. `reason` is its own code, for us alone."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(ARCHIVED if reason == "InvalidObjectState" else _sentence(status))
        self.status = status
        self.reason = reason


class Unreachable(RootMissing):
    """The store gave no answer that can be understood, however often it was asked."""

    def __init__(self) -> None:
        super().__init__("The store cannot be reached, or makes no sense, just now. Try again later.")


def refusal(answer: Mapping[str, Any]) -> StorageError:
    status = int(answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    reason = str(answer.get("Error", {}).get("Code", ""))
    if reason == "NoSuchBucket":
        return RootMissing()
    if reason in SHUT:
        return RootMissing("The store does not let this server in: its owner must look at the S3 settings.")
    if status == 404:
        return ObjectMissing()
    return Refused(status, reason)


def of_key(reason: str) -> bool | DomainError:
    """What an error about one key of many means."""
    match reason:
        case "NoSuchKey":
            return False
        case "PreconditionFailed":
            return ObjectChanged()
        case "AccessDenied":
            return Refused(403, reason)
        case _:
            return Refused(500, reason)


def _sentence(status: int) -> str:
    if status in (401, 403):
        return "The store does not allow this server to do it: its owner must look at its rights."
    if status in (429, 500, 502, 503, 504):
        return "The store is overloaded or out of order. Try again later."
    return "The store refused it."


async def pause(attempt: int) -> None:
    """A little longer each time, and not in step with others."""
    await asyncio.sleep(random.uniform(0.05, 0.2) * 2**attempt)  # noqa: S311 (jitter)
