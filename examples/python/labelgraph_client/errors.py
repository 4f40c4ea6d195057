"""One exception for everything that goes wrong, and what is tried again."""

import random
import time
from collections.abc import Mapping
from typing import Any, Final

import httpx

# Codes of the client itself; all others are the server's: see ErrorCode.
UNREACHABLE: Final = "UNREACHABLE"  # no answer, or one of a proxy
BAD_ANSWER: Final = "BAD_ANSWER"  # not from Labelgraph, or not whole
CANCELED: Final = "CANCELED"  # the job was, or the task that reads events

REQUEST_IN_PROGRESS: Final = "REQUEST_IN_PROGRESS"
TEMPORARY: Final = (UNREACHABLE, "UNAVAILABLE", "RATE_LIMITED", REQUEST_IN_PROGRESS)
LONGEST_PAUSE: Final = 5.0  # seconds, unless the server asks for a longer one


class LabelgraphError(Exception):
    """`code` is for programs, `message` says what to do, and `details` has the values that the server gives."""

    def __init__(
        self, message: str, code: str, details: Mapping[str, Any] | None = None, *, retry_after: float = 0
    ) -> None:
        super().__init__(f"{code}: {message}")
        self.message = message
        self.code = code
        self.details: Mapping[str, Any] = details or {}
        self.retry_after = retry_after  # seconds


class Attempts:
    """When a request is sent again. `patience` is how long it may fail in a row, in seconds."""

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self._failures = 0
        self._since = 0.0

    def succeeded(self) -> None:
        self._failures = 0

    def pause(self, error: Exception) -> float:
        """Seconds until the next attempt. Raises the error if there shall be none."""
        failure = error if isinstance(error, LabelgraphError) else failed(error)
        if failure.code not in TEMPORARY:
            raise failure
        now = time.monotonic()
        if self._failures == 0 or failure.code == REQUEST_IN_PROGRESS:  # the server is at work on it
            self._since = now
        if now - self._since >= self._patience:
            raise failure from error
        self._failures += 1
        pause = min(0.25 * 2.0 ** min(self._failures, 10), LONGEST_PAUSE) * random.uniform(0.5, 1)  # noqa: S311
        return max(failure.retry_after, pause)


def failed(error: Exception) -> LabelgraphError:
    what = str(error) or type(error).__name__
    if isinstance(error, httpx.TransportError) and not isinstance(error, httpx.UnsupportedProtocol):
        return LabelgraphError(f"The server does not answer ({what}).", UNREACHABLE)
    return LabelgraphError(f"The answer cannot be used ({what}).", BAD_ANSWER)


def data_of(response: httpx.Response) -> Any:
    """The data of an answer to a GraphQL request. Raises what it says went wrong."""
    try:
        answer = response.json()
    except ValueError:
        answer = None
    if isinstance(answer, dict) and ("data" in answer or "errors" in answer):
        return data_in(answer, retry_after(response))
    raise status_error(response)


def data_in(answer: dict[str, Any], retry_after: float = 0) -> Any:
    if errors := answer.get("errors"):
        extensions = errors[0].get("extensions", {})
        details = extensions.get("details") or {}
        raise LabelgraphError(
            errors[0]["message"],
            extensions.get("code", BAD_ANSWER),
            details,
            retry_after=details.get("retryAfter", retry_after),
        )
    return answer["data"]


def check(response: httpx.Response) -> None:
    """For requests of files. Raises unless the answer is a success."""
    if not response.is_success:
        raise status_error(response)


def status_error(response: httpx.Response) -> LabelgraphError:
    status = response.status_code
    is_temporary = status in (408, 429, 500, 502, 503, 504)
    message = f"{response.url.copy_with(query=None)} answers with the status {status} {response.reason_phrase}."
    code = UNREACHABLE if is_temporary else BAD_ANSWER
    return LabelgraphError(message, code, {"status": status}, retry_after=retry_after(response))


def retry_after(response: httpx.Response) -> float:
    """Seconds. A date instead of them is not waited for."""
    try:
        return float(response.headers.get("retry-after", 0))
    except ValueError:
        return 0
