"""syncDataset, importManifest, cancelJob."""

import strawberry

from db.ingest import imports, job_requests, sync
from db.queries import ids
from schema.enums import ExistingSamples
from schema.mutations.resolver import Info, is_done, number, values, write
from schema.references import reference
from schema.types.job import ImportJob, Job, SyncJob


@strawberry.input(description="A sync to start.")
class SyncDatasetInput:
    dataset_id: strawberry.ID = strawberry.field(description="Global id of the dataset.")
    existing: ExistingSamples = strawberry.field(
        default=ExistingSamples.KEEP, description="Whether sidecars may replace labels put here."
    )
    remove_missing: bool = strawberry.field(
        default=True, description="Remove samples whose file is gone; only after a complete listing."
    )
    restore_removed: bool = strawberry.field(
        default=False, description="Bring back samples that were deleted here and whose file is still there."
    )
    remove_many: bool = strawberry.field(
        default=False,
        description="Remove however many samples are to go. Without it a sync that would remove more than the server's "
        "owner allows (by default more than half of more than 20) fails with TOO_MANY_REMOVED and changes nothing.",
    )
    verify_contents: bool = strawberry.field(
        default=False,
        description="Read every file of a local directory, also where size and times are as before. In a bucket, ETags "
        "always show a change.",
    )


@strawberry.type(description="The outcome of `syncDataset`.")
class SyncDatasetPayload:
    job: SyncJob = strawberry.field(description="The sync, waiting for a worker; see `syncProgress`.")


@strawberry.input(description="A manifest to import.")
class ImportManifestInput:
    dataset_id: strawberry.ID = strawberry.field(
        description="Global id of the dataset that it goes into. Its type is that of the manifest's annotations."
    )
    path: str = strawberry.field(
        description="The manifest: `s3://bucket/key`, `obs://bucket/key` (the same bucket), or an absolute path or "
        "`file://` URL below a directory that the server's owner allowed. One JSON object a line, in UTF-8, as "
        "ModelArts and `publishVersion` write it; at most 5 GiB, and 4 MiB a line."
    )
    existing: ExistingSamples = strawberry.field(
        default=ExistingSamples.KEEP,
        description="Whether the manifest may change samples whose labels were put here by a person or a script.",
    )
    source_root: str | None = strawberry.field(
        default=None,
        description="The folder that the manifest's sources lie below, such as `s3://old-bucket/images/`. Their paths "
        "below it become the paths below this dataset's input path; where a file lies there already it is taken as it "
        "is, so the old place need not be reachable; others are copied. Null: the longest folder that all sources "
        "outside the input path share, and each of them is read and compared.",
    )
    included_labels: list[str] | None = strawberry.field(
        default=None, description="Import these labels only; null for all. Samples come in with or without labels."
    )
    excluded_labels: list[str] | None = strawberry.field(default=None, description="Do not import these labels.")
    confirm_suggestions: bool = strawberry.field(
        default=False,
        description="Take labels that a machine put, and nobody confirmed, as if somebody had. Otherwise they are "
        "suggestions here, too.",
    )
    restore_removed: bool = strawberry.field(
        default=False, description="Bring back samples that were deleted here and whose file is still there."
    )
    expected_revision: int | None = strawberry.field(
        default=None, description="Refuse with CONFLICT unless the dataset is at this revision when the job is made."
    )


@strawberry.type(description="The outcome of `importManifest`.")
class ImportManifestPayload:
    job: ImportJob = strawberry.field(description="The import, waiting for a worker; follow it by `jobProgress`.")


@strawberry.input(description="A job to stop.")
class CancelJobInput:
    job_id: strawberry.ID = strawberry.field(description="Global id of the job.")


@strawberry.type(description="The outcome of `cancelJob`.")
class CancelJobPayload:
    job: Job = strawberry.field(
        description="The job: CANCELED if it waited; one that runs stops within 5 seconds; one that ended is as it was."
    )


@strawberry.mutation(
    description="Starts merging the working set with what lies in the input path; labelling goes on meanwhile. "
    "Refused with SYNC_ALREADY_RUNNING, or DATASET_BUSY beside an import; `details.jobId` names the running job."
)
async def sync_dataset(info: Info, input: SyncDatasetInput) -> SyncDatasetPayload:
    id = number(input.dataset_id, "Dataset")
    outcome = await write(info, job_requests.request, id, values(sync.Options, input), by=info.context.identity)
    return SyncDatasetPayload(job=reference("SyncJob", outcome.job))


@strawberry.mutation(
    description="Starts importing a manifest: each line's image becomes a sample, or is one, and gets the labels, "
    "usage and mark as hard example that the line says. Images outside the input path are copied into it, never "
    "over another file. Nothing is removed; importing again changes nothing; published versions stay as they are. "
    "Labelling goes on meanwhile. Refused with INVALID_PATH, FILE_TOO_LARGE, and DATASET_BUSY while a sync or an "
    "import runs, `details.jobId` naming it."
)
async def import_manifest(info: Info, input: ImportManifestInput) -> ImportManifestPayload:
    id, by, context = number(input.dataset_id, "Dataset"), info.context.identity, info.context
    options = values(
        imports.Options,
        input,
        manifest=imports.location_of(input.path),
        source_root=None if input.source_root is None else imports.folder_of(input.source_root),
        included=imports.label_names(input.included_labels),
        excluded=imports.label_names(input.excluded_labels),
        dataset_ids=None,
    )
    if not await is_done(info, job_requests.StartedJob):
        await imports.expect_manifest(context.database, context.stores, options.manifest, by=by)
    outcome = await write(info, job_requests.request, id, options, by=by, expected_revision=input.expected_revision)
    return ImportManifestPayload(job=reference("ImportJob", outcome.job))


@strawberry.mutation(description="Stops a job; what it has merged already stays. A job that ended stays as it is.")
async def cancel_job(info: Info, input: CancelJobInput) -> CancelJobPayload:
    kind, id, _version = ids.parse(input.job_id)
    outcome = await write(info, job_requests.cancel, id, by=info.context.identity, type_name=kind)
    return CancelJobPayload(job=reference(kind, outcome.job))
