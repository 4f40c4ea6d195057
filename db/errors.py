"""The errors of requests.

    DomainError                     code, message (a sentence that says what to do), details (what a program needs)
    ├── NotFound                    DATASET_ LABEL_ SAMPLE_ VERSION_ JOB_NOT_FOUND, NOT_FOUND
    ├── AlreadyExists               DATASET_ LABEL_ SHORTCUT_ SAMPLE_ VERSION_ALREADY_EXISTS
    ├── Invalid                     VALIDATION_FAILED, INVALID_NAME, INVALID_PATH, INVALID_CURSOR, EMPTY_SELECTION
    ├── Conflict                    CONFLICT, COUNT_MISMATCH, DATASET_BUSY, SYNC_ALREADY_RUNNING, TOO_MANY_REMOVED
    ├── Forbidden                   UNAUTHENTICATED, FORBIDDEN
    ├── Unavailable                 UNAVAILABLE, STORAGE_ERROR, MODEL_UNAVAILABLE, REQUEST_IN_PROGRESS
    └── Defect                      INTERNAL_ERROR

`code` is a value of ErrorCode. Messages contain nothing internal: no SQL, no host, no trace.
"""

from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any, ClassVar, Final

# Error codes of Huawei ModelArts, for programs that move from there.
MODELARTS_CODES: Mapping[str, str] = {
    "LABEL_NOT_FOUND": "ModelArts.4410",
    "LABEL_ALREADY_EXISTS": "ModelArts.4411",
    "SHORTCUT_ALREADY_EXISTS": "ModelArts.4412",
    "SAMPLE_NOT_FOUND": "ModelArts.4420",
    "SAMPLE_ALREADY_EXISTS": "ModelArts.4422",
    "DATASET_NOT_FOUND": "ModelArts.4352",
    "DATASET_ALREADY_EXISTS": "ModelArts.4351",
    "VERSION_NOT_FOUND": "ModelArts.4353",
    "VERSION_ALREADY_EXISTS": "ModelArts.4371",
    "EMPTY_VERSION": "ModelArts.4825",
    "SYNC_ALREADY_RUNNING": "ModelArts.4355",
    "DATASET_BUSY": "ModelArts.4343",
    "SPLIT_CONDITIONS_NOT_MET": "ModelArts.4342",
    "FILE_TOO_LARGE": "ModelArts.4419",
    "UPLOAD_TOO_LARGE": "ModelArts.5064",
    "UNSUPPORTED_FORMAT": "ModelArts.4421",
    "STORAGE_ERROR": "ModelArts.4310",
}


REQUEST_ID: Final = ContextVar("request_id", default="")  # of the request or operation that runs; empty outside of one

# Repeating the request may succeed: a response with one of these is not stored for its repetitions.
TEMPORARY: frozenset[str] = frozenset(
    {"INTERNAL_ERROR", "UNAVAILABLE", "STORAGE_ERROR", "RATE_LIMITED", "QUERY_TOO_COSTLY", "DATASET_BUSY"}
    | {"SYNC_ALREADY_RUNNING", "REQUEST_IN_PROGRESS"}
)


class DomainError(Exception):
    """A request that is refused: nothing was changed."""

    code: ClassVar[str] = "INTERNAL_ERROR"

    def __init__(self, message: str, *, code: str | None = None, **details: Any) -> None:
        super().__init__(message)
        self.message = message
        self.details = details
        if code is not None:
            self.code = code  # type: ignore[misc]

    @property
    def modelarts_code(self) -> str | None:
        return MODELARTS_CODES.get(self.code)


class NotFound(DomainError):
    code = "NOT_FOUND"


class AlreadyExists(DomainError):
    code = "VALIDATION_FAILED"


class Invalid(DomainError):
    code = "VALIDATION_FAILED"


class Conflict(DomainError):
    code = "CONFLICT"


class Forbidden(DomainError):
    code = "FORBIDDEN"


class Unavailable(DomainError):
    """The request is valid and may succeed later."""

    code = "UNAVAILABLE"

    def __init__(self, message: str = "The database cannot be reached now; try again in a moment.", **kw: Any) -> None:
        super().__init__(message, **kw)


class StorageError(Unavailable):
    code = "STORAGE_ERROR"


class ModelUnavailable(Unavailable):
    code = "MODEL_UNAVAILABLE"


class Defect(DomainError):
    """A bug of the server; the message contains the reference under which it was logged."""
