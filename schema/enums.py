"""Enums of the schema, but for those of jobs (`job_enums.py`). The value of a member is its description: clients and
`db` know it by its name."""

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
    """The name of an enum's value, which is what `db` takes, also in a list; any other value as it is."""
    if isinstance(value, list):
        return [enum_name(each) for each in value]
    return value.name if isinstance(value, Enum) else value


@described("The kind of annotations in a dataset.")
class DatasetType(Enum):
    IMAGE_CLASSIFICATION = "Any number of labels for each whole image. Label files are `.txt`."
    OBJECT_DETECTION = "Labels with shapes. Label files are PASCAL VOC `.xml`."
    IMAGE_SEGMENTATION = "Labels with polygons. Label files are PASCAL VOC `.xml`."


@described("Which names the labels of a dataset may have.")
class LabelNameRule(Enum):
    STANDARD = "1–32 characters: ASCII letters, digits, `-`, `_` and Han ideographs."
    ANY = (
        "1–64 characters of any script, counted as code points in NFC, at least one of them visible. No control "
        "characters, line separators or bidirectional formatting characters, and no leading or trailing white space."
    )


@described("What a list of datasets is sorted by.")
class DatasetOrderField(Enum):
    CREATED_AT = "By `createdAt`."
    NAME = "By `name`, in code point order."


@described("The direction of an order.")
class OrderDirection(Enum):
    ASC = "Ascending: earliest or smallest first, `a` before `b`."
    DESC = "Descending."


@described("The labelling state of a sample.")
class SampleState(Enum):
    UNLABELED = "No labels."
    LABELED = "At least one confirmed label."
    PENDING = "Only unconfirmed suggestions."


@described("What a sample is used for.")
class SampleUsage(Enum):
    TRAIN = "Training a model."
    EVAL = "Evaluating a model during training."
    TEST = "Testing a finished model."
    INFERENCE = "Being labelled by a model."


@described("Format of an image, detected from its content, not from its name.")
class ImageFormat(Enum):
    JPEG = "JPEG, including multi-picture files of phones."
    PNG = "PNG."
    BMP = "Windows bitmap."
    WEBP = "WebP; of an animation, the first frame."
    TIFF = "TIFF and BigTIFF; of several pages, the first."
    GIF = "GIF; of an animation, the first frame."
    AVIF = "AVIF; of a sequence, the image that represents it."


@described("Where an annotation comes from.")
class AnnotationOrigin(Enum):
    MANUAL = "Added through this API by a person or a script."
    SYNC = "Read from a label file by a sync."
    IMPORT = "Read from a manifest by an import."
    UPLOAD = "Given with the upload of the image."
    MODEL = "Suggested by a model."


@described("What to do with suggestions of models.")
class SuggestionDecision(Enum):
    ACCEPT = "Confirm them. They stay annotations of their model, and `labeledBy` is who accepted them."
    REJECT = "Remove them. The same version of the model does not suggest them again."


@described("Whether a version is ready to use.")
class VersionStatus(Enum):
    READY = "Published and ready to use."


@described("What a server can do only if its machine or its Postgres has what that needs.")
class ServerFeature(Enum):
    VISION = (
        "A worker runs that can look at images: `startAutoLabeling` with a model that it runs need not wait for one."
    )
    EMBEDDINGS = "Postgres has pgvector: embeddings can be stored and compared."


@described("What images have in common that are duplicates of each other.")
class DuplicateKind(Enum):
    LOOKS = "How they look, in whatever size, quality or format."


@described("What a token may do. Each scope includes those before it.")
class TokenScope(Enum):
    READ = "Read, and send mutations with `dryRun: true`."
    LABEL = "Label samples, create and update labels, and undo the token's own changes of this kind."
    MANAGE = "Everything."


@described("Which mutation or job made a change.")
class ChangeKind(Enum):
    CREATE_LABELS = "Created labels: `createLabels`, or `createDataset` with labels."
    UPDATE_LABEL = "Changed the colour or shortcut of a label: `updateLabel`."
    RENAME_LABEL = "Renamed a label: `renameLabel`."
    MERGE_LABELS = "Merged a label into another one: `renameLabel` with `MERGE`."
    DELETE_LABELS = "Deleted labels, and samples and source files in some modes: `deleteLabels`."
    LABEL_SAMPLES = "Added, set or removed labels of samples: `labelSamples`."
    REPLACE_SAMPLE_LABEL = "Replaced one label of samples with another: `replaceSampleLabel`."
    ANNOTATE_SAMPLES = "Added, updated or removed annotations: `annotateSamples`."
    SUGGEST_ANNOTATIONS = "Recorded what a model suggests: `suggestAnnotations`."
    DECIDE_SUGGESTIONS = "Accepted or rejected suggestions: `decideSuggestions`."
    UPDATE_SAMPLES = "Marked samples as hard examples or not, or set their usage: `updateSamples`."
    DELETE_SAMPLES = "Deleted samples: `deleteSamples`."
    UPLOAD_SAMPLES = "Added uploaded images: `uploadSamples` or `completeUploads`."
    SYNC = "Added, updated, moved or removed samples: a sync. A large sync makes many changes."
    IMPORT = "Added or updated samples: an import. A large import makes many changes."
    SET_CURRENT_VERSION = "Made the working set equal to a version: `setCurrentVersion`."
    UNDO = "Undid another change: `undoChange`."


@described("How a sample differs between two states.")
class SampleChangeKind(Enum):
    ADDED = "Only in the head."
    REMOVED = "Only in the base."
    RELABELED = (
        "In both, with different labels. A renamed label, moved shapes, and more or fewer shapes of the same labels "
        "are not a difference."
    )


@described("Which samples a split keeps together.")
class SplitGroup(Enum):
    DIRECTORY = "Samples in the same directory."


@described("What a list of samples is sorted by. Samples with equal values are in a stable order.")
class SampleOrderField(Enum):
    CREATED_AT = "By `createdAt`."
    ADDED_AT = "By `addedAt`."
    LABELED_AT = "By `labeledAt`. Samples without labels count as earlier than all others."
    PATH = (
        "By `path` in natural order: numbers by value, so that `img2` comes before `img10`, and other characters by "
        "code point."
    )
    SIZE = "By `size`."
    RANDOM = "In random order. The same `seed` gives the same order."
    SUGGESTION_CONFIDENCE = (
        "By the highest `confidence` of the sample's suggestions, those without one as 0. Samples without suggestions "
        "come last, in either direction; so do they in the next two orders."
    )
    SUGGESTION_MARGIN = (
        "By how far the surest label is ahead, from 0 to 1: the least first are the least sure. For the whole image, "
        "the difference between the confidences of the two surest labels of one model; where it suggests only one, "
        "that of the label and of its absence, at least 0, as for each shape. Of several, the least counts."
    )
    SUGGESTION_ENTROPY = (
        "By uncertainty, in bits: the highest are the least sure. For the whole image, the entropy of the labels of "
        "one model, and of what their confidences lack of 1; if they are more together, they are divided by their sum. "
        "For a shape, that of its label and its absence. Of several, the highest counts."
    )
    SUGGESTION_DISAGREEMENT = (
        "By disagreement between models, from 0 to 1. Each model votes for its surest label of the whole image, with "
        "its confidence: 1 less the share of votes for the label with the most. Samples for which fewer than two "
        "models suggest labels of the whole image come last, in either direction."
    )


@described("How the labels of a filter are combined.")
class LabelMatch(Enum):
    ANY = "At least one of them."
    ALL = "All of them."
    NONE = "None of them."


@described("A period of days until now, in UTC.")
class TimePreset(Enum):
    WITHIN_1_DAY = "Since the start of yesterday."
    WITHIN_1_MONTH = "Since the start of the day 30 days ago."


@described("How labels are applied to samples.")
class LabelingMode(Enum):
    ADD = "Add the labels, for the whole image. Existing labels are kept, with or without shapes."
    SET = (
        "Replace all labels with these. Shapes of these labels are kept; other labels are removed with their shapes. "
        "An empty list removes all labels."
    )
    REMOVE = "Remove the labels with all their shapes. A sample without any other label becomes UNLABELED."


@described("What to do if another label has the new name.")
class RenameConflict(Enum):
    ERROR = "Refuse with LABEL_ALREADY_EXISTS."
    MERGE = "Merge this label into the other one. A sample that has both keeps one, and the shapes of both."


@described("What to delete together with a label.")
class DeleteLabelMode(Enum):
    LABEL_ONLY = "Only the label, from all samples. No sample is deleted."
    LABEL_AND_SAMPLES = (
        "Also the samples whose labels are all deleted. Their files are kept, and no sync brings them back. Samples "
        "without labels are never deleted."
    )
    LABEL_SAMPLES_AND_SOURCES = "Like LABEL_AND_SAMPLES, and also the source files of those samples. Cannot be undone."


@described("What to do if a file's name is taken. Files are never overwritten.")
class UploadConflict(Enum):
    ERROR = "Refuse with SAMPLE_ALREADY_EXISTS."
    RENAME = "Add a number to the name: `cat.jpg` becomes `cat-1.jpg`."


@described("What to do with changes that are not in any version.")
class UnpublishedChanges(Enum):
    ERROR = "Refuse with UNPUBLISHED_CHANGES."
    DISCARD = "Discard them. They stay in `changes`; undoing the switch restores them."


@described(
    "The stable code of an error, for programs: `extensions.code` of an error in `errors`, `code` of an `ItemError` or "
    "`JobError`."
)
class ErrorCode(Enum):
    UNAUTHENTICATED = "The token is missing, unknown, expired or revoked."
    FORBIDDEN = "The token's scope does not allow this."
    NOT_FOUND = "An object without a code of its own, such as a change or an annotation, does not exist."
    VALIDATION_FAILED = "An argument is not valid. The message says which."
    QUERY_TOO_COSTLY = "The operation asks for too much at once."
    DOCUMENT_NOT_TRUSTED = "The server executes only trusted documents, and this is not one of them."
    PERSISTED_QUERY_NOT_FOUND = "The server does not know the document of this hash. Send the document."
    PERSISTED_QUERY_NOT_SUPPORTED = "The server does not store documents by hash. Send the document each time."
    BAD_REQUEST = "The request is not a GraphQL request: its body, headers or HTTP method are wrong."
    BAD_USER_INPUT = "A variable or an argument has the wrong type."
    GRAPHQL_PARSE_FAILED = "The document has a syntax error."
    GRAPHQL_VALIDATION_FAILED = "The document does not fit the schema."
    OPERATION_RESOLUTION_FAILURE = "The document has no operation, or several and none of the name in `operationName`."
    RATE_LIMITED = "Too many requests. `details.retryAfter` is the number of seconds to wait, where it is known."
    INTERNAL_ERROR = "An error in the server. Try again; if it persists, send the reference to the server's operator."
    UNAVAILABLE = (
        "The database cannot be reached, or is full. The same request may succeed later. Repeat a mutation with the "
        "same idempotency key."
    )
    REQUEST_IN_PROGRESS = (
        "An earlier request with this idempotency key is still running. Sent again after `details.retryAfter` seconds, "
        "this one gets the same response."
    )
    DATASET_NOT_FOUND = "The dataset does not exist, or the token may not access it."
    DATASET_ALREADY_EXISTS = "Another dataset has this name."
    DATASET_BUSY = "A queued or running job of the dataset, `details.jobId`, does not allow this."
    INVALID_NAME = "The name is not allowed. The message says why."
    INVALID_PATH = "The server may not or cannot use the path. The message says why."
    LABEL_NOT_FOUND = "The dataset has no label with this name or id."
    LABEL_ALREADY_EXISTS = "Another label of the dataset has this name."
    SHORTCUT_ALREADY_EXISTS = "Another label of the dataset has this shortcut."
    SAMPLE_NOT_FOUND = "The sample does not exist."
    SAMPLE_ALREADY_EXISTS = "A sample with this file name already exists."
    EMPTY_SELECTION = "The selection is empty."
    COUNT_MISMATCH = "The number of selected samples is not the expected one. Nothing was changed."
    CONFLICT = (
        "What the mutation affects was changed in the meantime, or the idempotency key was used for another request. "
        "Nothing was changed."
    )
    VERSION_NOT_FOUND = "The version does not exist."
    VERSION_ALREADY_EXISTS = "Another version of the dataset has this name."
    EMPTY_VERSION = "A dataset without samples cannot be published."
    UNPUBLISHED_CHANGES = (
        "The working set has changes that are not in any version. Publish them, or pass `onUnpublished: DISCARD`."
    )
    SPLIT_CONDITIONS_NOT_MET = "A label has too few samples for all parts of a split."
    JOB_NOT_FOUND = "The job does not exist."
    SYNC_ALREADY_RUNNING = "The dataset is already being synced, by the job `details.jobId`."
    TOO_MANY_REMOVED = (
        "The sync would remove more samples than allowed, and changed nothing. See `SyncDatasetInput.removeMany`."
    )
    FILE_TOO_LARGE = "A file is larger than allowed."
    UPLOAD_TOO_LARGE = "The files of one request, or all that a dataset waits for, are together larger than allowed."
    UNSUPPORTED_FORMAT = (
        "The file is not an image of the formats in `Dataset.imageFormats`, or its extension is that of another format."
    )
    IMAGE_UNREADABLE = "The image is damaged or too large to decode."
    MODEL_UNAVAILABLE = "The model cannot be reached, cannot be loaded, or does not answer as it should."
    STORAGE_ERROR = "Storage cannot be reached or does not respond correctly."
    FEATURE_UNAVAILABLE = "The server lacks `details.feature`, one of `serverInfo { features }`. The message says why."
    INVALID_CURSOR = "The cursor comes from another list or order, or was modified."
