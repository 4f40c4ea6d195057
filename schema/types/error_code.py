from enum import Enum

import strawberry


@strawberry.enum(description="What went wrong, for programs: `extensions.code` of an error, `code` of an item's error.")
class ErrorCode(Enum):
    UNAUTHENTICATED = strawberry.enum_value(
        "UNAUTHENTICATED", description="No token, or one that is unknown, expired or revoked."
    )
    FORBIDDEN = strawberry.enum_value("FORBIDDEN", description="The token's scope does not reach so far.")
    NOT_FOUND = strawberry.enum_value("NOT_FOUND", description="There is no such thing.")
    VALIDATION_FAILED = strawberry.enum_value(
        "VALIDATION_FAILED", description="An argument is out of its bounds; the message says which."
    )
    QUERY_TOO_COSTLY = strawberry.enum_value("QUERY_TOO_COSTLY", description="The document asks for too much at once.")
    RATE_LIMITED = strawberry.enum_value(
        "RATE_LIMITED", description="Too many requests; wait as long as `details` say."
    )
    INTERNAL_ERROR = strawberry.enum_value(
        "INTERNAL_ERROR", description="A fault of the server; try again, then send its operator the reference."
    )
    UNAVAILABLE = strawberry.enum_value(
        "UNAVAILABLE",
        description="The database cannot be reached, or has no room, now: the same request may succeed later. Repeat a "
        "mutation with the same idempotency key.",
    )
    DATASET_NOT_FOUND = strawberry.enum_value(
        "DATASET_NOT_FOUND", description="There is no such dataset, or not for this token."
    )
    DATASET_ALREADY_EXISTS = strawberry.enum_value(
        "DATASET_ALREADY_EXISTS", description="Another dataset has this name."
    )
    DATASET_BUSY = strawberry.enum_value(
        "DATASET_BUSY", description="Something runs on the dataset that excludes this."
    )
    INVALID_NAME = strawberry.enum_value(
        "INVALID_NAME", description="A name that breaks the rules of names; the message says which."
    )
    INVALID_PATH = strawberry.enum_value(
        "INVALID_PATH", description="A path that this server may not or cannot use; the message says why."
    )
    LABEL_NOT_FOUND = strawberry.enum_value(
        "LABEL_NOT_FOUND", description="The dataset has no label of this name or id."
    )
    LABEL_ALREADY_EXISTS = strawberry.enum_value(
        "LABEL_ALREADY_EXISTS", description="Another label of the dataset has this name."
    )
    SHORTCUT_ALREADY_EXISTS = strawberry.enum_value(
        "SHORTCUT_ALREADY_EXISTS", description="Another label of the dataset has this shortcut."
    )
    SAMPLE_NOT_FOUND = strawberry.enum_value("SAMPLE_NOT_FOUND", description="There is no such sample.")
    SAMPLE_ALREADY_EXISTS = strawberry.enum_value(
        "SAMPLE_ALREADY_EXISTS", description="A sample of this name is there already."
    )
    EMPTY_SELECTION = strawberry.enum_value("EMPTY_SELECTION", description="No sample was selected.")
    COUNT_MISMATCH = strawberry.enum_value(
        "COUNT_MISMATCH", description="The filter matches another number of samples than expected; nothing was changed."
    )
    CONFLICT = strawberry.enum_value(
        "CONFLICT",
        description="Somebody else was quicker, or the key belongs to another request; nothing was changed.",
    )
    VERSION_NOT_FOUND = strawberry.enum_value("VERSION_NOT_FOUND", description="There is no such version.")
    VERSION_ALREADY_EXISTS = strawberry.enum_value(
        "VERSION_ALREADY_EXISTS", description="Another version of the dataset has this name."
    )
    EMPTY_VERSION = strawberry.enum_value("EMPTY_VERSION", description="A dataset without samples cannot be published.")
    UNPUBLISHED_CHANGES = strawberry.enum_value(
        "UNPUBLISHED_CHANGES",
        description="The working set has changes that no version holds; publish them, or pass DISCARD.",
    )
    SPLIT_CONDITIONS_NOT_MET = strawberry.enum_value(
        "SPLIT_CONDITIONS_NOT_MET", description="A label has too few samples to be in both parts."
    )
    JOB_NOT_FOUND = strawberry.enum_value("JOB_NOT_FOUND", description="There is no such job.")
    SYNC_ALREADY_RUNNING = strawberry.enum_value(
        "SYNC_ALREADY_RUNNING", description="The dataset is being synced already; `details.jobId` is that job."
    )
    TOO_MANY_REMOVED = strawberry.enum_value(
        "TOO_MANY_REMOVED",
        description="The sync would remove more samples than it may unasked, and changed nothing; see `removeMany`.",
    )
    FILE_TOO_LARGE = strawberry.enum_value("FILE_TOO_LARGE", description="A file is larger than allowed.")
    UPLOAD_TOO_LARGE = strawberry.enum_value(
        "UPLOAD_TOO_LARGE", description="The files of one request are larger than allowed."
    )
    UNSUPPORTED_FORMAT = strawberry.enum_value(
        "UNSUPPORTED_FORMAT", description="Not a JPEG, PNG or BMP image, or its name says another format."
    )
    IMAGE_UNREADABLE = strawberry.enum_value(
        "IMAGE_UNREADABLE", description="The image is damaged or too large to be decoded."
    )
    STORAGE_ERROR = strawberry.enum_value(
        "STORAGE_ERROR", description="Storage cannot be reached or does not answer rightly."
    )
    INVALID_CURSOR = strawberry.enum_value(
        "INVALID_CURSOR", description="The cursor comes from another list or order, or was altered."
    )
