"""Enums of jobs: what they are, and what syncs, imports and exports are asked for and say."""

from enum import Enum

from schema.enums import described


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
    YOLO = "Label files next to images, and `data.yaml`, as Ultralytics' YOLOv5 to v8 and later read them."
    PASCAL_VOC = "An XML file for each image, and lists of the images of each split. For detection and segmentation."
    CVAT = "XML of CVAT for images, version 1.1."
    LABEL_STUDIO = "JSON of Label Studio, with suggestions as predictions, and the configuration of a project."
    IMAGE_FOLDER = "A folder of images for each label, as torchvision's ImageFolder. For image classification."
    IMAGE_TEXT = (
        "Each image with its labels in a `.txt` file next to it, as a sync reads them. For image classification."
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
    MATCH = "Write nothing: only find the samples, and the files below the input path, that are meant."
    STORE = (
        "Write those that are not there yet below the input path, under the paths that they have in the folder or "
        "archive, or that the label files give, and add them as samples. No file is overwritten."
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
