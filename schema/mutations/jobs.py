"""syncDataset, importAnnotations, importManifest, cancelJob."""

import strawberry

from db.errors import Invalid
from db.ingest import imports, job_requests, sync
from db.ingest.uploads import Incoming, PartedUpload, parts
from db.queries import ids
from schema.inputs.limits import MAX_ITEMS
from schema.job_enums import ExistingSamples, ImportFormat, ImportImages, OutOfBounds
from schema.mutations.resolver import Info, is_done, number, values, write
from schema.references import reference
from schema.types.job import ImportJob, Job, SyncJob


@strawberry.input(description="The dataset to sync, and options.")
class SyncDatasetInput:
    dataset_id: strawberry.ID = strawberry.field(description="Global id of the dataset.")
    existing: ExistingSamples = strawberry.field(
        default=ExistingSamples.KEEP, description="What to do with the labels of existing samples."
    )
    remove_missing: bool = strawberry.field(
        default=True, description="Remove samples whose file is gone. Applies only after a complete listing."
    )
    restore_removed: bool = strawberry.field(
        default=False, description="Restore samples that were deleted here and whose file still exists."
    )
    remove_many: bool = strawberry.field(
        default=False,
        description="Remove any number of samples. Without it, a sync that would remove more than the server allows "
        "(by default more than half of the samples, in datasets with more than 20) fails with TOO_MANY_REMOVED and "
        "changes nothing.",
    )
    verify_contents: bool = strawberry.field(
        default=False,
        description="Read every file of a local directory, even if its size and times are unchanged. In a bucket, "
        "ETags always show a change. It needs the scope `manage`, in a dry run, too.",
    )
    dry_run: bool = strawberry.field(
        default=False,
        description="Change nothing: the job lists, reads and compares everything, and says what a sync with the same "
        "options would do. It fails as the sync would, and with CONFLICT if a sync or an import runs then: they do "
        "not wait for it.",
    )


@strawberry.type(description="Return type of `syncDataset`.")
class SyncDatasetPayload:
    job: SyncJob = strawberry.field(
        description="The sync, queued. Follow it with `syncProgress`, and a dry run with `jobProgress`."
    )


@strawberry.input(description="Another name for a label.")
class LabelNameMappingInput:
    from_: str = strawberry.field(name="from", description="The label's name in the file.")
    to: str = strawberry.field(description="Its name in the dataset.")


@strawberry.input(description="Which labels of a file to import, and their names in the dataset.")
class ImportLabelsInput:
    map: list[LabelNameMappingInput] | None = strawberry.field(
        default=None,
        metadata={MAX_ITEMS: 10_000},
        description="Other names for labels, at most 10,000. Labels that are not listed keep their names.",
    )
    include: list[str] | None = strawberry.field(
        default=None, description="Import only labels with these names in the file. Null: all."
    )
    exclude: list[str] | None = strawberry.field(
        default=None, description="Do not import labels with these names in the file."
    )


@strawberry.input(description="The files to import, and options.")
class ImportAnnotationsInput:
    dataset_id: strawberry.ID = strawberry.field(description="Global id of the dataset to import into.")
    path: str | None = strawberry.field(
        default=None,
        description="Location of a file, a folder, or a zip or tar archive (also `.tar.gz`), which is read in place: "
        "`s3://bucket/key`, or an absolute path or `file://` URL below one of the server's allowed roots. A `.yaml` "
        "file of YOLO stands for its folder.",
    )
    upload: Incoming | None = strawberry.field(
        default=None,
        description="A file, or a zip or tar archive, instead of `path`: of at most 5 MiB, unless `serverInfo { "
        "uploadLimits }` says otherwise; for larger ones see `requestImportUpload`. A manifest cannot be uploaded.",
    )
    upload_key: str | None = strawberry.field(
        default=None,
        description="Key of a file that was uploaded in parts, instead of `path`: see `requestImportUpload`.",
    )
    format: ImportFormat | None = strawberry.field(
        default=None,
        description="The format of the files. Null: it is found out; `ImportJob.sourceFormat` says which it is.",
    )
    labels: ImportLabelsInput | None = strawberry.field(
        default=None,
        description="Which labels to import, and their names in the dataset. Null: all, under their names.",
    )
    existing: ExistingSamples = strawberry.field(
        default=ExistingSamples.KEEP, description="What to do with the labels of existing samples."
    )
    out_of_bounds: OutOfBounds = strawberry.field(
        default=OutOfBounds.REFUSE,
        description="What to do with shapes that reach beyond their image by more than half a pixel. Those of "
        "MODELARTS_MANIFEST are always refused.",
    )
    images: ImportImages = strawberry.field(
        default=ImportImages.MATCH,
        description="What to do with images in the folder, the archive, Parquet or WebDataset files. An import of a "
        "MODELARTS_MANIFEST copies the images that it names in any case.",
    )
    dry_run: bool = strawberry.field(
        default=False,
        description="Change nothing: the job reads and compares everything, and says what the import would do.",
    )
    confirm_suggestions: bool = strawberry.field(
        default=False,
        description="Import unconfirmed labels of a model as confirmed. Without it, they are imported as suggestions.",
    )
    restore_removed: bool = strawberry.field(
        default=False, description="Restore samples that were deleted here and whose file still exists."
    )
    source_root: str | None = strawberry.field(
        default=None,
        description="For MODELARTS_MANIFEST, the folder that contains the sources: see `ImportManifestInput`.",
    )
    expected_revision: int | None = strawberry.field(
        default=None, description="Refuse with CONFLICT unless the dataset is at this revision when the job is created."
    )


@strawberry.type(description="Return type of `importAnnotations`.")
class ImportAnnotationsPayload:
    job: ImportJob = strawberry.field(
        description="The import, queued. Follow it with `jobProgress`. In a dry run its fields say what would happen."
    )


@strawberry.input(description="The manifest to import, and options.")
class ImportManifestInput:
    dataset_id: strawberry.ID = strawberry.field(
        description="Global id of the dataset to import into. Its type must be that of the manifest's annotations."
    )
    path: str = strawberry.field(
        description="Location of the manifest: `s3://bucket/key`, `obs://bucket/key` (the same bucket), or an absolute "
        "path or `file://` URL below one of the server's allowed roots. One JSON object per line, in UTF-8, as "
        "ModelArts and `publishVersion` write it; at most 5 GiB, and 4 MiB per line."
    )
    existing: ExistingSamples = strawberry.field(
        default=ExistingSamples.KEEP,
        description="What to do with the labels of existing samples.",
    )
    source_root: str | None = strawberry.field(
        default=None,
        description="The folder that contains the manifest's sources, such as `s3://old-bucket/images/`. Paths below "
        "it become paths below this dataset's input path. A file that exists there already is used as it is, so its "
        "source does not need to be reachable; other files are copied. Null: the longest folder that all sources "
        "outside the input path share, and each source is read and compared.",
    )
    included_labels: list[str] | None = strawberry.field(
        default=None,
        description="Import only labels of the manifest with these names. Null: all. Samples without any of them are "
        "imported, too.",
    )
    excluded_labels: list[str] | None = strawberry.field(
        default=None, description="Do not import labels of the manifest with these names."
    )
    confirm_suggestions: bool = strawberry.field(
        default=False,
        description="Import unconfirmed labels of a model as confirmed. Without it, they are imported as suggestions.",
    )
    restore_removed: bool = strawberry.field(
        default=False, description="Restore samples that were deleted here and whose file still exists."
    )
    expected_revision: int | None = strawberry.field(
        default=None, description="Refuse with CONFLICT unless the dataset is at this revision when the job is created."
    )


@strawberry.type(description="Return type of `importManifest`.")
class ImportManifestPayload:
    job: ImportJob = strawberry.field(description="The import, queued. Follow it with `jobProgress`.")


@strawberry.input(description="The job to stop.")
class CancelJobInput:
    job_id: strawberry.ID = strawberry.field(description="Global id of the job.")


@strawberry.type(description="Return type of `cancelJob`.")
class CancelJobPayload:
    job: Job = strawberry.field(
        description="The job: CANCELED if it was queued; if it is running, it stops within 5 seconds; if it has ended, "
        "it is unchanged."
    )


@strawberry.mutation(
    description="Starts a job that merges the files in the input path into the working set. Labelling can go on while "
    "it runs. Refused with SYNC_ALREADY_RUNNING, or DATASET_BUSY while an import runs; `details.jobId` is the running "
    "job. So is a dry run, and also while another dry run of this token runs."
)
async def sync_dataset(info: Info, input: SyncDatasetInput) -> SyncDatasetPayload:
    id = number(input.dataset_id, "Dataset")
    outcome = await write(info, job_requests.request, id, values(sync.Options, input), by=info.context.identity)
    return SyncDatasetPayload(job=reference("SyncJob", outcome.job))


@strawberry.mutation(
    description="Starts a job that imports labels and shapes from files of other tools. Each image that a file names "
    "is matched with a sample: by its path below the input path; or else the only sample whose path ends with it, or "
    "that its path ends with; or else the only sample with its file name, if no other image of the file has that name. "
    "A file below the input path that is no sample yet becomes one. With `images: STORE`, images in the files are "
    "written below the input path; without it no image is copied, except by MODELARTS_MANIFEST. "
    "An import changes the dataset batch by batch; `undoChange` with `jobId` undoes all of it. Nothing is removed, and "
    "importing the same files again changes nothing. Labelling can go on while it runs. Refused with INVALID_PATH, or "
    "DATASET_BUSY while a sync or an import runs; `details.jobId` is the running job. The job fails with "
    "VALIDATION_FAILED before it changes anything if the files are not complete or not of the format."
)
async def import_annotations(info: Info, input: ImportAnnotationsInput) -> ImportAnnotationsPayload:
    id, by, context = number(input.dataset_id, "Dataset"), info.context.identity, info.context
    labels = input.labels or ImportLabelsInput()
    parted = None
    if input.upload_key is not None and not await is_done(info, job_requests.StartedJob):
        parted = await parts.whole(context.database, context.stores, id, input.upload_key, by=by)
    options = values(
        imports.Options,
        input,
        path=path_of(input, parted, context.limits.max_file_bytes),
        uploaded=input.upload is not None or input.upload_key is not None,
        staged=None if parted is None else parted.staged,
        source_root=None if input.source_root is None else imports.folder_of(input.source_root),
        mapped=None if labels.map is None else imports.mapped_names((each.from_, each.to) for each in labels.map),
        included=imports.label_names(labels.include),
        excluded=imports.label_names(labels.exclude),
        dataset_ids=None,
    )
    if not options.uploaded and not await is_done(info, job_requests.StartedJob):
        await imports.expect_files(context.database, context.stores, options.path, by=by)
    outcome = await write(
        info,
        job_requests.request,
        id,
        options,
        by=by,
        expected_revision=input.expected_revision,
        uploaded=None if input.upload is None else input.upload.data,
    )
    return ImportAnnotationsPayload(job=reference("ImportJob", outcome.job))


def path_of(input: ImportAnnotationsInput, parted: PartedUpload | None, max_bytes: int) -> str:
    """Raises Invalid."""
    match input.path, input.upload, input.upload_key:
        case str(path), None, None:
            return imports.location_of(path.rstrip("/"))
        case None, None, str():
            return imports.upload_path("" if parted is None else parted.file_name)
        case None, Incoming() as upload, None:
            if upload.size > max_bytes:
                message = (
                    f"The file has {upload.size} bytes; at most {max_bytes} are accepted. Upload it in parts, or give "
                    "its `path`."
                )
                raise Invalid(message, code="FILE_TOO_LARGE")
            return imports.upload_path(upload.name)
    raise Invalid("Give one of `path`, `upload` and `uploadKey`.", path="path")


@strawberry.mutation(
    deprecation_reason="Use `importAnnotations` with `format: MODELARTS_MANIFEST`, which does the same.",
    description="Starts a job that imports a manifest. Each line adds a sample for its image, or updates the existing "
    "one, with the line's labels, usage and mark as hard example. Images outside the input path are copied into it, "
    "and never overwrite another file. Nothing is removed, importing the same manifest again changes nothing, and "
    "published versions stay unchanged. Labelling can go on while it runs. Refused with INVALID_PATH, FILE_TOO_LARGE, "
    "or DATASET_BUSY while a sync or an import runs; `details.jobId` is the running job.",
)
async def import_manifest(info: Info, input: ImportManifestInput) -> ImportManifestPayload:
    id, by, context = number(input.dataset_id, "Dataset"), info.context.identity, info.context
    options = values(
        imports.Options,
        input,
        path=imports.location_of(input.path),
        format=imports.MANIFEST,
        out_of_bounds="REFUSE",
        mapped=None,
        dry_run=False,
        uploaded=False,
        images="MATCH",
        staged=None,
        source_root=None if input.source_root is None else imports.folder_of(input.source_root),
        included=imports.label_names(input.included_labels),
        excluded=imports.label_names(input.excluded_labels),
        dataset_ids=None,
    )
    if not await is_done(info, job_requests.StartedJob):
        await imports.expect_manifest(context.database, context.stores, options.path, by=by)
    outcome = await write(info, job_requests.request, id, options, by=by, expected_revision=input.expected_revision)
    return ImportManifestPayload(job=reference("ImportJob", outcome.job))


@strawberry.mutation(
    description="Stops a job. What it has already merged is kept. A job that has ended stays unchanged."
)
async def cancel_job(info: Info, input: CancelJobInput) -> CancelJobPayload:
    kind, id = ids.kind(input.job_id), ids.parse(input.job_id).number
    outcome = await write(info, job_requests.cancel, id, by=info.context.identity, type_name=kind)
    return CancelJobPayload(job=reference(kind, outcome.job))
