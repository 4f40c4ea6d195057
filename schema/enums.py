"""Every enum of the schema. The value of a member is its description: clients and `db` know it by its name."""

from collections.abc import Callable
from enum import Enum, EnumMeta
from typing import Any, TypeVar

import strawberry

E = TypeVar("E", bound=EnumMeta)


def described(description: str) -> Callable[[E], E]:
    """Makes a GraphQL enum of the class, with the descriptions of its members."""

    def declare(type_: E) -> E:
        strawberry.enum(type_, description=description)
        for value in type_.__strawberry_definition__.values:  # type: ignore[attr-defined]
            value.description = value.value
        return type_

    return declare


def enum_name(value: object) -> Any:
    """The name of an enum's value, which is what `db` takes; any other value as it is."""
    return value.name if isinstance(value, Enum) else value


@described("What the annotations of a dataset are.")
class DatasetType(Enum):
    IMAGE_CLASSIFICATION = "Labels for whole images, any number each; sidecars are `.txt`."
    OBJECT_DETECTION = "Labels with shapes on the image; sidecars are PASCAL VOC `.xml`."
    IMAGE_SEGMENTATION = "Labels with polygons around areas; sidecars are PASCAL VOC `.xml`."


@described("Which names the labels of a dataset may have.")
class LabelNameRule(Enum):
    STANDARD = "1–32 characters: ASCII letters, digits, `-`, `_` and Han ideographs."
    ANY = (
        "1–64 characters of any script, counted as code points in NFC, at least one of them visible; no control "
        "characters, line separators or marks of writing direction, and no white space at either end."
    )


@described("The order of a list of datasets.")
class DatasetOrder(Enum):
    NEWEST = "Latest created first."
    OLDEST = "Earliest created first."
    NAME = "By name, in code point order."


@described("How far the labelling of a sample is.")
class SampleState(Enum):
    UNLABELED = "No label at all."
    LABELED = "At least one confirmed label."
    PENDING = "Only unconfirmed machine suggestions."


@described("What a sample is for, decided by the split of a published version.")
class SampleUsage(Enum):
    TRAIN = "To train a model."
    EVAL = "To evaluate a model while it is trained."
    TEST = "To test a finished model."
    INFERENCE = "To be labelled by a model."


@described("How an image is encoded, by its content, never by its name.")
class ImageFormat(Enum):
    JPEG = "JPEG, a phone's multi-picture file included."
    PNG = "PNG."
    BMP = "Windows bitmap."


@described("Where an annotation came from.")
class AnnotationOrigin(Enum):
    MANUAL = "A person or a script, through this API."
    SYNC = "A sidecar file, read by a sync."
    IMPORT = "An imported manifest."
    UPLOAD = "Given with the upload of the image."
    MODEL = "A model's suggestion."


@described("Whether a version can be used.")
class VersionStatus(Enum):
    READY = "It is published, and can be used."


@described("What became of a sample between two states.")
class SampleChangeKind(Enum):
    ADDED = "It is in the head only."
    REMOVED = "It is in the base only."
    RELABELED = (
        "It is in both, with other labels. A label that got another name is the same label; shapes that moved, and "
        "more or fewer shapes of the same labels, are no difference."
    )


@described("How far a job is.")
class JobStatus(Enum):
    QUEUED = "Waits for a worker."
    RUNNING = "A worker is at it; survives the worker's death."
    SUCCEEDED = "Done."
    FAILED = "Given up; `error` says why."
    CANCELED = "Stopped by `cancelJob`; what was done stays."


@described("Why a sync passes over a file.")
class IgnoredReason(Enum):
    SUFFIX = "Its suffix is neither that of an image nor that of a label file of this dataset's type."
    HIDDEN = (
        "A name on its path begins with a dot, or is one that a system keeps for itself, such as `__MACOSX`, `@eaDir` "
        "or `Thumbs.db`. `include` can bring it back."
    )
    EXCLUDED = "It matches the dataset's `exclude`, or is an image that does not match its `include`."
    LINK_NOT_ALLOWED = (
        "A symbolic link that leads outside the directories that the server's owner allowed, or a linked directory "
        "beyond the first 100,000."
    )
    LINK_BROKEN = "A symbolic link that leads nowhere, or in a circle."
    LINK_REPEATED = "A symbolic link to what is listed anyway, at its own path or by another link."
    NOT_A_FILE = "A pipe, a socket or a device."
    UNREADABLE = "A directory that the server may not read; nothing below it was seen."
    SIDECAR_WITHOUT_IMAGE = "A label file that belongs to no image of the dataset."
    SIDECAR_OVERRIDDEN = "A label file whose images all have one that takes precedence."


@described("The order of a list of samples.")
class SampleOrder(Enum):
    NEWEST = "By `createdAt`, latest first."
    OLDEST = "By `createdAt`, earliest first."
    PATH = "By `path`, in code point order."


@described("How several label names combine.")
class LabelMatch(Enum):
    ANY = "At least one of them."
    ALL = "Every one of them."
    NONE = "Not one of them."


@described("A stretch of days up to now, in UTC.")
class TimePreset(Enum):
    WITHIN_1_DAY = "From the start of yesterday."
    WITHIN_1_MONTH = "From the start of the day 30 days ago."


@described("How labels are put on samples.")
class LabelingMode(Enum):
    ADD = "Put the labels on whole images; what is there stays, with shapes or without."
    SET = "Exactly these labels, shapes of them kept; others go with their shapes, and with `[]` all go."
    REMOVE = "Take the labels off, with all their shapes; without any left, it is UNLABELED."


@described("What a rename does when another label has the name.")
class RenameConflict(Enum):
    ERROR = "Refuse with LABEL_ALREADY_EXISTS."
    MERGE = "Turn this label into the other one; a sample that has both keeps one, and the shapes of both."


@described("What goes together with a label.")
class DeleteLabelMode(Enum):
    LABEL_ONLY = "Only the label, from all samples; no sample goes."
    LABEL_AND_SAMPLES = (
        "Also the samples that have no label but deleted ones; their files stay, and no sync brings them back. Samples "
        "without labels never go."
    )
    LABEL_SAMPLES_AND_SOURCES = "As LABEL_AND_SAMPLES, and the files of those samples are deleted. Cannot be undone."


@described("What happens to a file whose name is taken. Nothing is ever written over.")
class UploadConflict(Enum):
    ERROR = "It is refused with SAMPLE_ALREADY_EXISTS."
    RENAME = "It gets a number: `cat.jpg` becomes `cat-1.jpg`."


@described("What a sync or an import does with samples that are there already.")
class ExistingSamples(Enum):
    KEEP = "Labels that a person or a script put last are kept."
    OVERWRITE = "The labels and shapes of the sidecars, or of the manifest, replace all others."


@described("What becomes of changes that are in no version.")
class UnpublishedChanges(Enum):
    REJECT = "Refuse with UNPUBLISHED_CHANGES."
    DISCARD = "Leave them behind. They stay in `changes`; undoing the switch brings them back."


@described("What went wrong, for programs: `extensions.code` of an error, `code` of an item's error.")
class ErrorCode(Enum):
    UNAUTHENTICATED = "No token, or one that is unknown, expired or revoked."
    FORBIDDEN = "The token's scope does not reach so far."
    NOT_FOUND = "There is no such thing."
    VALIDATION_FAILED = "An argument is out of its bounds; the message says which."
    QUERY_TOO_COSTLY = "The document asks for too much at once."
    DOCUMENT_NOT_TRUSTED = "The server executes only listed documents, and this is none of them."
    PERSISTED_QUERY_NOT_FOUND = "The server has no document of this hash; send it with its text."
    PERSISTED_QUERY_NOT_SUPPORTED = "The server keeps no documents by hash; send their text each time."
    RATE_LIMITED = "Too many requests; wait as long as `details` say."
    INTERNAL_ERROR = "A fault of the server; try again, then send its operator the reference."
    UNAVAILABLE = (
        "The database cannot be reached, or has no room, now: the same request may succeed later. Repeat a mutation "
        "with the same idempotency key."
    )
    DATASET_NOT_FOUND = "There is no such dataset, or not for this token."
    DATASET_ALREADY_EXISTS = "Another dataset has this name."
    DATASET_BUSY = "Something runs on the dataset that excludes this."
    INVALID_NAME = "A name that breaks the rules of names; the message says which."
    INVALID_PATH = "A path that this server may not or cannot use; the message says why."
    LABEL_NOT_FOUND = "The dataset has no label of this name or id."
    LABEL_ALREADY_EXISTS = "Another label of the dataset has this name."
    SHORTCUT_ALREADY_EXISTS = "Another label of the dataset has this shortcut."
    SAMPLE_NOT_FOUND = "There is no such sample."
    SAMPLE_ALREADY_EXISTS = "A sample of this name is there already."
    EMPTY_SELECTION = "No sample was selected."
    COUNT_MISMATCH = "The filter matches another number of samples than expected; nothing was changed."
    CONFLICT = "Somebody else was quicker, or the key belongs to another request; nothing was changed."
    VERSION_NOT_FOUND = "There is no such version."
    VERSION_ALREADY_EXISTS = "Another version of the dataset has this name."
    EMPTY_VERSION = "A dataset without samples cannot be published."
    UNPUBLISHED_CHANGES = "The working set has changes that no version holds; publish them, or pass DISCARD."
    SPLIT_CONDITIONS_NOT_MET = "A label has too few samples to be in both parts."
    JOB_NOT_FOUND = "There is no such job."
    SYNC_ALREADY_RUNNING = "The dataset is being synced already; `details.jobId` is that job."
    TOO_MANY_REMOVED = "The sync would remove more samples than it may unasked, and changed nothing; see `removeMany`."
    FILE_TOO_LARGE = "A file is larger than allowed."
    UPLOAD_TOO_LARGE = "The files of one request are larger than allowed."
    UNSUPPORTED_FORMAT = "Not a JPEG, PNG or BMP image, or its name says another format."
    IMAGE_UNREADABLE = "The image is damaged or too large to be decoded."
    STORAGE_ERROR = "Storage cannot be reached or does not answer rightly."
    INVALID_CURSOR = "The cursor comes from another list or order, or was altered."
