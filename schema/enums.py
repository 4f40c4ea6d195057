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


@described("What a job does.")
class JobKind(Enum):
    SYNC = "A sync of the input path: a `SyncJob`."
    IMPORT = "An import of a manifest: an `ImportJob`."
    MANIFEST = "Writing the manifest of a version: a `ManifestJob`."
    EXPORT = "An export of a dataset or a version: an `ExportJob`."
    LARGE_CHANGE = "A mutation that changes many samples: a `LargeChangeJob`."
    AUTO_LABEL = "Suggestions of a model: an `AutoLabelJob`."


@described("What kind of model suggests.")
class AutoLabelModelKind(Enum):
    BUILT_IN = "The model of the server, which learns from the labelled samples of the dataset."
    ONNX = "An ONNX file in a folder of the server."
    HTTP = "A model that a server of its own runs."


@described("The protocol of a model behind HTTP.")
class HttpModelProtocol(Enum):
    LABEL_STUDIO = "That of Label Studio's ML backends: `/health`, `/setup` and `/predict`."
    LABELGRAPH = "A plain one: one POST with samples, answered with suggestions. The documentation describes it."


@described("What a queued job waits for, besides its turn.")
class JobNeed(Enum):
    VISION_WORKER = "A worker that can run networks: none is running. `./labelgraph worker --vision` starts one."


@described("The format of an export. The documentation says what each can express.")
class ExportFormat(Enum):
    CSV = "A line for each annotation, and one for each image without any: `path,label,…`."
    JSON_LINES = "An object for each image, with everything that is known of it, under the names of this schema."
    COCO = "COCO JSON: boxes and polygons, or labels of images; a file for each split."
    YOLO = "Label files beside images, and `data.yaml`, as Ultralytics' YOLOv5 to v8 and later read them."
    PASCAL_VOC = "An XML file for each image, and lists of the images of each split. For detection and segmentation."
    CVAT = "XML of CVAT for images, version 1.1."
    LABEL_STUDIO = "JSON of Label Studio, with suggestions as predictions, and the configuration of a project."
    IMAGE_FOLDER = "A folder of images for each label, as torchvision's ImageFolder. For image classification."
    IMAGE_TEXT = (
        "Each image with its labels in a `.txt` file beside it, as a sync reads them. For image classification."
    )
    HUGGING_FACE = "Folders of images with `metadata.jsonl`, as Hugging Face's `imagefolder` reads them."
    PARQUET = "Parquet files that contain the images, as Hugging Face's `datasets` reads them."
    WEBDATASET = "Shards of WebDataset: tar files in which each image is followed by its labels as JSON."
    CROISSANT = "The files of `CSV`, and `croissant.json`, which describes them for machines."
    MODELARTS_MANIFEST = (
        "A manifest of ModelArts, with PASCAL VOC files for shapes. The images stay where they are: `importManifest` "
        "reads it."
    )


@described("What an export contains of the images themselves.")
class ExportImages(Enum):
    NONE = "Nothing: labels only."
    LINKS = "Signed URLs of this server, in the documents. They work for 7 days, as long as the token does."
    INCLUDED = "The image files."


@described("What a format with one place for each image does with an image that has several labels.")
class SeveralLabels(Enum):
    OMIT = "Leave the image out."
    FIRST = "Put it into the folder of the label that it got first."
    COPY = "Put a copy into the folder of each label."


@described("How COCO has what an annotation covers.")
class CocoSegmentation(Enum):
    POLYGONS = "As the corners of its polygon. Circles are boxes."
    RLE = "As a run-length encoded mask: of polygons, and of circles. A pixel is covered if its centre is inside."


@described("Which samples a split keeps together.")
class SplitGroup(Enum):
    DIRECTORY = "Samples in the same directory."


@described("The task that a YOLO export is for.")
class YoloTask(Enum):
    DETECT = "Boxes."
    SEGMENT = "Polygons."
    ORIENTED_BOXES = "Boxes with four corners in any direction: polygons of four points, and boxes."
    CLASSIFY = "Folders of images, one for each label. For image classification."


@described("How the files of an export are packed.")
class ExportPacking(Enum):
    ZIP = "In zip archives. Text is compressed, images are stored as they are."
    TAR = "In tar archives, without compression."
    FILES = "As single files. For formats with a file for every image, the dataset needs an output path."


@described("Whether a job is waiting, running, or has ended, and how.")
class JobStatus(Enum):
    QUEUED = "Waiting to start. A job whose server stopped waits again, and then continues where it was."
    RUNNING = "Running."
    SUCCEEDED = "Ended without an error."
    FAILED = "Ended with an error, which is in `error`."
    CANCELED = "Ended by `cancelJob`, or because the dataset was deleted. Changes that it had made are kept."


@described("Why a sync ignores a file.")
class IgnoredReason(Enum):
    SUFFIX = (
        "The suffix is neither that of an image in one of the dataset's `imageFormats` nor that of a label file for "
        "its type."
    )
    HIDDEN = (
        "A name in the path starts with a dot or is reserved by a system, such as `__MACOSX`, `@eaDir` or `Thumbs.db`. "
        "A pattern in `include` can include it."
    )
    EXCLUDED = "The path matches the dataset's `exclude`, or it is an image and does not match `include`."
    LINK_NOT_ALLOWED = (
        "A symbolic link to a place outside the server's allowed roots, or a linked directory beyond the first 100,000."
    )
    LINK_BROKEN = "A symbolic link without a target, or in a loop."
    LINK_REPEATED = "A symbolic link to something that is listed already, by its own path or by another link."
    NOT_A_FILE = "A pipe, a socket or a device."
    UNREADABLE = "A directory that the server may not read. Its contents are not listed."
    SIDECAR_WITHOUT_IMAGE = "A label file without an image in the dataset."
    SIDECAR_OVERRIDDEN = "A label file whose images all have another label file that takes precedence."


@described("What a sync does to a sample.")
class SyncEffect(Enum):
    ADDED = "The file becomes a new sample."
    UPDATED = "The sample's image has changed, or its label file changes its labels or shapes."
    MOVED = "The sample's file has moved to another path."
    REMOVED = "The sample's file is gone, or was replaced by the file of another sample."


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


@described("What a sync or an import does with existing samples.")
class ExistingSamples(Enum):
    KEEP = "Keep labels that a person or a script changed last."
    OVERWRITE = "Replace all labels and shapes with those of the label files or the manifest."


@described("What an import does with shapes that reach beyond their image.")
class OutOfBounds(Enum):
    REFUSE = "Leave them out. Each is a warning."
    CLAMP = "Cut them at the edges of the image. Circles, and what lies beyond it as a whole, are left out."


@described("What an import does with the images that its files contain.")
class ImportImages(Enum):
    MATCH = "Nothing: it looks for samples, and files below the input path, that are meant."
    STORE = (
        "Write those that are not there yet below the input path, under the paths that they have in the folder or "
        "archive, or that the files say beside these, and add them as samples. No file is overwritten."
    )


@described("A format that can be imported.")
class ImportFormat(Enum):
    COCO = "JSON with `images`, `annotations` and `categories`: boxes, polygons, masks, or labels of images."
    CSV = (
        "A line for each label or box, with the image's path: `path,label`, or with names of columns in the first line."
    )
    CVAT = "XML of CVAT for images, version 1.1."
    HUGGING_FACE = "`metadata.jsonl` or `metadata.csv` next to images."
    IMAGE_FOLDER = "A folder of images for each label."
    IMAGE_TEXT = "A text file for each image, with a label on each line."
    JSON_LINES = "A JSON object for each image."
    LABEL_STUDIO = "JSON of Label Studio."
    MODELARTS_MANIFEST = (
        "A manifest of ModelArts, or of `writeManifest`: a JSON object per line, and files of PASCAL VOC."
    )
    PARQUET = "Parquet of Hugging Face: a row for each image."
    PASCAL_VOC = "A file of XML for each image; folders `Annotations` and `ImageSets`."
    WEBDATASET = "Tar files with images and what is said of them."
    YOLO = "A text file for each image, and `data.yaml` or `classes.txt` with the names: boxes or polygons."


@described("What happened to lines or images of an import.")
class ImportNoticeKind(Enum):
    CONTENT = "Something in the file makes no sense or does not fit the dataset, and was left out."
    NO_IMAGES = "The files name no image, so nothing was imported."
    NO_LABELS = (
        "The files say no label of an existing sample's image, or none that is imported, so the sample stays as it is. "
        "OVERWRITE takes its labels away."
    )
    IMAGES_NOT_STORED = "The files contain images, which are not stored. `images: STORE` stores them."
    FILES_NOT_READ = "Files that the format does not have were passed over."
    NOTHING_CHANGED = (
        "The import changes nothing: samples are as the files say already, or these say nothing that is imported."
    )
    LABEL_NAME = "A label's name is not allowed in this dataset, so its annotations were left out."
    USAGE_UNKNOWN = (
        "The files say a usage of an image that is none of train, val, test and inference, nor another word for one of "
        "them, and it was ignored."
    )
    LABEL_NOT_IN_FILES = "`labels` names a label that no annotation of the files has."
    SHAPE_BEYOND_IMAGE = "Shapes reach beyond their image. `outOfBounds` says what to do with them."
    LABELS_KEPT = "A person or a script labelled the sample last, so its labels stay. OVERWRITE replaces them."
    MATCHED_BY_PATH_END = "The image's path and that of its sample end alike."
    MATCHED_BY_NAME = "The image and its sample have the same file name, and nothing else has."
    IMAGE_AMBIGUOUS = "Several samples may be meant, or one sample by several images."
    IMAGE_EXCLUDED = "There is a file that is no sample, and the dataset's `include` or `exclude` leaves out its path."
    IMAGE_MISSING = "There is no such sample, and no such file below the input path."
    IMAGE_REPEATED = "The image was named before; the first line counts."
    IMAGE_DIFFERS = "The input path has another file at the image's path, which was kept."
    IMAGE_UNREADABLE = "There is a file, and it is not an image that can be read, or of a format that is not taken."
    SAMPLE_DELETED = "The sample was deleted here. `restoreRemoved` restores it."


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
