from enum import Enum

import strawberry

from schema.types.declare import value


@strawberry.enum(description="What went wrong, for programs: `extensions.code` of an error, `code` of an item's error.")
class ErrorCode(Enum):
    UNAUTHENTICATED = value("UNAUTHENTICATED", "No token, or one that is unknown, expired or revoked.")
    FORBIDDEN = value("FORBIDDEN", "The token's scope does not reach so far.")
    NOT_FOUND = value("NOT_FOUND", "There is no such thing.")
    VALIDATION_FAILED = value("VALIDATION_FAILED", "An argument is out of its bounds; the message says which.")
    QUERY_TOO_COSTLY = value("QUERY_TOO_COSTLY", "The document asks for too much at once.")
    RATE_LIMITED = value("RATE_LIMITED", "Too many requests; wait as long as `details` say.")
    INTERNAL_ERROR = value("INTERNAL_ERROR", "A fault of the server; try again, then send its operator the reference.")
    UNAVAILABLE = value(
        "UNAVAILABLE",
        "The database cannot be reached, or has no room, now: the same request may succeed later. Repeat a "
        "mutation with the same idempotency key.",
    )
    DATASET_NOT_FOUND = value("DATASET_NOT_FOUND", "There is no such dataset, or not for this token.")
    DATASET_ALREADY_EXISTS = value("DATASET_ALREADY_EXISTS", "Another dataset has this name.")
    DATASET_BUSY = value("DATASET_BUSY", "Something runs on the dataset that excludes this.")
    INVALID_NAME = value("INVALID_NAME", "A name that breaks the rules of names; the message says which.")
    INVALID_PATH = value("INVALID_PATH", "A path that this server may not or cannot use; the message says why.")
    LABEL_NOT_FOUND = value("LABEL_NOT_FOUND", "The dataset has no label of this name or id.")
    LABEL_ALREADY_EXISTS = value("LABEL_ALREADY_EXISTS", "Another label of the dataset has this name.")
    SHORTCUT_ALREADY_EXISTS = value("SHORTCUT_ALREADY_EXISTS", "Another label of the dataset has this shortcut.")
    SAMPLE_NOT_FOUND = value("SAMPLE_NOT_FOUND", "There is no such sample.")
    SAMPLE_ALREADY_EXISTS = value("SAMPLE_ALREADY_EXISTS", "A sample of this name is there already.")
    EMPTY_SELECTION = value("EMPTY_SELECTION", "No sample was selected.")
    COUNT_MISMATCH = value(
        "COUNT_MISMATCH", "The filter matches another number of samples than expected; nothing was changed."
    )
    CONFLICT = value(
        "CONFLICT", "Somebody else was quicker, or the key belongs to another request; nothing was changed."
    )
    VERSION_NOT_FOUND = value("VERSION_NOT_FOUND", "There is no such version.")
    VERSION_ALREADY_EXISTS = value("VERSION_ALREADY_EXISTS", "Another version of the dataset has this name.")
    EMPTY_VERSION = value("EMPTY_VERSION", "A dataset without samples cannot be published.")
    UNPUBLISHED_CHANGES = value(
        "UNPUBLISHED_CHANGES", "The working set has changes that no version holds; publish them, or pass DISCARD."
    )
    SPLIT_CONDITIONS_NOT_MET = value("SPLIT_CONDITIONS_NOT_MET", "A label has too few samples to be in both parts.")
    JOB_NOT_FOUND = value("JOB_NOT_FOUND", "There is no such job.")
    SYNC_ALREADY_RUNNING = value(
        "SYNC_ALREADY_RUNNING", "The dataset is being synced already; `details.jobId` is that job."
    )
    TOO_MANY_REMOVED = value(
        "TOO_MANY_REMOVED",
        "The sync would remove more samples than it may unasked, and changed nothing; see `removeMany`.",
    )
    FILE_TOO_LARGE = value("FILE_TOO_LARGE", "A file is larger than allowed.")
    UPLOAD_TOO_LARGE = value("UPLOAD_TOO_LARGE", "The files of one request are larger than allowed.")
    UNSUPPORTED_FORMAT = value("UNSUPPORTED_FORMAT", "Not a JPEG, PNG or BMP image, or its name says another format.")
    IMAGE_UNREADABLE = value("IMAGE_UNREADABLE", "The image is damaged or too large to be decoded.")
    STORAGE_ERROR = value("STORAGE_ERROR", "Storage cannot be reached or does not answer rightly.")
    INVALID_CURSOR = value("INVALID_CURSOR", "The cursor comes from another list or order, or was altered.")
