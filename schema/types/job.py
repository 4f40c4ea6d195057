from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import strawberry

from schema.enums import ErrorCode
from schema.job_enums import (
    ExportFormat,
    ExportImages,
    ExportPacking,
    IgnoredReason,
    ImportFormat,
    ImportNoticeKind,
    JobStatus,
    SyncEffect,
)
from schema.types.node import LazyDataset, Node
from schema.types.pagination import connection_of

if TYPE_CHECKING:
    from schema.types.change import Change
    from schema.types.version import Version


@strawberry.type(description="Why a job failed.")
class JobError:
    code: ErrorCode = strawberry.field(description="Stable code, for programs.")
    message: str = strawberry.field(description="What went wrong and what to do about it, in one sentence.")
    would_remove_count: int | None = strawberry.field(
        description="For TOO_MANY_REMOVED, the number of samples that the sync would have removed. Null for other "
        "errors."
    )
    sample_count: int | None = strawberry.field(
        description="For TOO_MANY_REMOVED, the number of samples in the dataset. Null for other errors."
    )


@strawberry.interface(
    description="Work that takes a while, and mostly goes on after the request that started it: a sync, an import, an "
    "export, writing a manifest, suggestions of a model, or a mutation that changes many samples."
)
class Job(Node):
    status: JobStatus = strawberry.field(description="Whether the job is waiting, running, or has ended, and how.")
    dataset: LazyDataset = strawberry.field(description="The dataset that the job works on.")
    progress: float | None = strawberry.field(
        description="Fraction of the work that is done, 0–1. Never decreases. Null while the amount of work is unknown."
    )
    requested_by: str = strawberry.field(description="Name of the token that requested the job.")
    created_at: datetime = strawberry.field(description="When the job was requested.")
    started_at: datetime | None = strawberry.field(description="When the job first started. Null until then.")
    finished_at: datetime | None = strawberry.field(description="When the job ended. Null until then.")
    error: JobError | None = strawberry.field(description="Why the job failed. Null unless `status` is FAILED.")


@strawberry.type(description="A problem with files or lines, which did not stop the job.")
class JobWarning:
    path: str = strawberry.field(
        description="Path of the file below the input path, or name of the manifest; then a colon and the number of "
        "the line, if there is one. For what the format of an export cannot express, the path of the first image."
    )
    message: str = strawberry.field(description="What is wrong with it, in one sentence.")
    count: int = strawberry.field(
        description="Number of occurrences. A label name that the dataset does not allow has one warning, with the "
        "path of its first occurrence, and so has each kind of what the format of an export cannot express. Every "
        "other warning is about one file or line, and its count is 1."
    )


@strawberry.type(description="Files that a sync ignored for the same reason.")
class IgnoredFiles:
    reason: IgnoredReason = strawberry.field(description="The reason.")
    suffix: str | None = strawberry.field(
        description="For SUFFIX, the suffix in lower case with its dot: empty for names without a suffix, null for the "
        "group of all suffixes beyond the first 100. Null for other reasons."
    )
    count: int = strawberry.field(description="Number of files, links and directories.")
    examples: list[str] = strawberry.field(description="Paths of some of the files below the input path, at most 10.")


@strawberry.type(description="Some of the samples on which a sync would have the same effect, as a dry run found.")
class SyncExamples:
    effect: SyncEffect = strawberry.field(description="What would be done to the samples.")
    paths: list[str] = strawberry.field(
        description="The first of their paths, at most 10: those after the sync; of REMOVED, those before."
    )
    former_paths: list[str] = strawberry.field(
        description="Of MOVED, the paths before the sync, in the order of `paths`. Empty for other effects."
    )


@strawberry.type(
    description="A job that brings the working set up to date with the files in the input path: it adds, updates, "
    "moves and removes samples. In a dry run the counts and warnings are those that the sync would have, and nothing "
    "is changed."
)
class SyncJob(Job, Node):
    is_dry_run: bool = strawberry.field(description="Whether the job changes nothing.")
    scanned_count: int = strawberry.field(description="Number of files found in the input path so far.")
    added_count: int = strawberry.field(description="Number of new samples.")
    updated_count: int = strawberry.field(
        description="Number of samples whose image changed, or whose labels or shapes a label file changed."
    )
    removed_count: int = strawberry.field(
        description="Number of removed samples: their files are gone or were replaced."
    )
    moved_count: int = strawberry.field(
        description="Number of samples whose file moved to another path. They keep their ids and labels."
    )
    unchanged_count: int | None = strawberry.field(
        description="Number of samples that the sync leaves as they are. Null until all others are counted."
    )
    skipped_count: int = strawberry.field(
        description="Number of images that cannot be read or are too large. Each has a warning."
    )
    ignored_count: int = strawberry.field(
        description="Number of ignored files, links and directories. `ignoredFiles` has the reasons."
    )
    ignored_files: list[IgnoredFiles] = strawberry.field(
        description="The ignored files, links and directories, in at most 120 groups by reason and suffix, largest "
        "first. Available once the input path is listed."
    )
    examples: list[SyncExamples] = strawberry.field(
        description="In a dry run, some of the samples that would be added, updated, moved and removed. Empty for "
        "other syncs."
    )

    warnings = connection_of(JobWarning, "Problems with single files, in the order they were found, at most 10,000.")


@strawberry.type(description="A label that an import made, or, in a dry run, would make.")
class ImportedLabel:
    name: str = strawberry.field(description="The label's name.")
    sample_count: int = strawberry.field(description="Number of samples that got it.")
    annotation_count: int = strawberry.field(description="Number of annotations with it.")


@strawberry.type(description="What happened to lines or images of an import for the same reason.")
class ImportNotice:
    kind: ImportNoticeKind = strawberry.field(description="The reason.")
    count: int = strawberry.field(
        description="Number of lines or images; of LABEL_NAME and SHAPE_BEYOND_IMAGE, of annotations."
    )
    examples: list[str] = strawberry.field(
        description="The first of them, at most 10: the file with the line or the position in it, and a sentence."
    )


@strawberry.type(
    description="A job that imports a manifest, or files of other tools, into the working set. In a dry run the counts "
    "say what the import would do."
)
class ImportJob(Job, Node):
    source_format: ImportFormat | None = strawberry.field(
        description="The format of the files. Null until it is known."
    )
    is_dry_run: bool = strawberry.field(description="Whether the job changes nothing.")
    read_count: int = strawberry.field(
        description="Number of images read so far; of a manifest, lines without blank ones."
    )
    added_count: int = strawberry.field(description="Number of new samples.")
    updated_count: int = strawberry.field(
        description="Number of existing samples that got other labels or shapes, or another author, time or confidence "
        "of them that the files say, another usage, or another mark as hard example. Labels that are there already "
        "stay as they are, whoever put them, if the files do not say who did."
    )
    labeled_count: int = strawberry.field(description="Number of added and updated samples that got labels.")
    skipped_count: int = strawberry.field(
        description="Number of images, or lines of a manifest, that could not be imported. Each has a warning."
    )
    matched_count: int = strawberry.field(description="Number of images that were samples before.")
    kept_count: int = strawberry.field(
        description="Number of existing samples whose labels were kept, because a person or a script put them last."
    )
    missing_count: int = strawberry.field(
        description="Number of images that are neither samples nor files below the input path."
    )
    out_of_bounds_count: int = strawberry.field(
        description="Number of shapes that reach beyond their image. `outOfBounds` says what to do with them."
    )
    new_labels: list[ImportedLabel] = strawberry.field(
        description="Labels that the dataset did not have, in the order they were found, at most 1,000."
    )
    notices: list[ImportNotice] = strawberry.field(
        description="What happened to lines and images, by reason, in the order they were found."
    )

    warnings = connection_of(
        JobWarning,
        "Problems with single lines, in the order they were found, at most 10,000. `path` is the file's name and the "
        "line number, such as `V001.manifest:12`, or within JSON a pointer, such as `instances.json#/annotations/7`.",
    )


@strawberry.type(
    description="A job that writes the manifest of a version to the output path. Storage errors are retried a few "
    "times before the job fails; `writeManifest` starts another job."
)
class ManifestJob(Job, Node):
    version: Annotated["Version", strawberry.lazy("schema.types.version")] | None = strawberry.field(
        description="The version. Null if it was deleted."
    )
    warnings = connection_of(
        JobWarning,
        "Images for training that look like one for evaluation or test, in datasets with `comparesLooks`: at most 100.",
    )


@strawberry.type(
    description="A mutation that changes many samples in one change, as long as it runs and afterwards: it is a job so "
    "that others see its progress. It cannot be canceled, and either all of it takes effect or nothing."
)
class LargeChangeJob(Job, Node):
    sample_count: int = strawberry.field(description="Number of samples that the mutation selected.")
    change: Annotated["Change", strawberry.lazy("schema.types.change")] | None = strawberry.field(
        description="The committed change. Null until the job has succeeded, and if nothing changed."
    )


@strawberry.type(description="A file that an export made.")
class ExportFile:
    name: str = strawberry.field(description="Name of the file; with directories, for single files.")
    url: str = strawberry.field(
        description="Signed URL of the file, for any HTTP client, with ranges. It works for an hour or more, as long "
        "as the token does; read the job again for a new one."
    )
    size: float = strawberry.field(description="Size in bytes.")
    sha256: str = strawberry.field(description="SHA-256 of the content, in hexadecimal digits.")


@strawberry.type(description="What an export contains.")
class ExportSummary:
    image_count: int = strawberry.field(description="Number of exported images.")
    annotation_count: int = strawberry.field(
        description="Number of annotations of the exported images, including those that the format cannot express."
    )
    left_out_count: int = strawberry.field(
        description="Number of selected images that the format cannot express. The warnings have the reasons."
    )
    missing_count: int = strawberry.field(
        description="Number of selected images whose file was missing or had been replaced. Each has a warning."
    )
    size: float = strawberry.field(description="Size of all files in bytes.")


@strawberry.type(
    description="A job that exports the working set or a version, as it was when the job began. Storage errors are "
    "retried a few times before the job fails. Exporting the same state with the same options makes the same files, "
    "byte by byte, unless they contain links."
)
class ExportJob(Job, Node):
    version: Annotated["Version", strawberry.lazy("schema.types.version")] | None = strawberry.field(
        description="The exported version. Null for an export of the working set, or if the version was deleted."
    )
    format: ExportFormat = strawberry.field(description="The format of the files.")
    images: ExportImages = strawberry.field(description="What the export contains of the images themselves.")
    packing: ExportPacking = strawberry.field(description="How the files are packed.")
    revision: int | None = strawberry.field(
        description="The revision of the dataset whose state is exported. Null until the job has begun."
    )
    exported_count: int = strawberry.field(description="Number of images that have been exported so far.")
    files: list[ExportFile] = strawberry.field(
        description="The files, once the job has succeeded. Empty after `expiresAt`. Single files of images are not "
        "listed."
    )
    location: str | None = strawberry.field(
        description="Location of the files below the dataset's output path. Null if the dataset has none: then the "
        "server keeps them until `expiresAt`."
    )
    expires_at: datetime | None = strawberry.field(
        description="When the server deletes the files, 7 days after the export. Null if they are in the output path, "
        "and until the job has succeeded."
    )
    summary: ExportSummary | None = strawberry.field(
        description="What the export contains. Null until all files are written."
    )

    warnings = connection_of(
        JobWarning,
        "Images that are missing, in the order they were found, at most 10,000; and what the format cannot express, "
        "one warning for each kind.",
    )
