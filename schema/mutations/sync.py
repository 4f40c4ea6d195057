"""syncDataset, cancelJob."""

import strawberry

from db.ingest import job_requests, sync
from db.ingest.job_requests import StartedJob
from db.queries import ids
from schema.enums import ExistingSamples
from schema.mutations.resolver import Info, Input, enum_name, number, write
from schema.references import reference
from schema.types.job import Job, SyncJob


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
async def sync_dataset(info: Info, input: Input[SyncDatasetInput]) -> SyncDatasetPayload:
    by, id = info.context.identity, number(input.dataset_id, "Dataset")
    options = sync.Options(
        existing=enum_name(input.existing),
        remove_missing=input.remove_missing,
        restore_removed=input.restore_removed,
        remove_many=input.remove_many,
        verify_contents=input.verify_contents,
    )
    outcome = await write(info, lambda session: job_requests.start_sync(session, id, options, by=by), StartedJob)
    return SyncDatasetPayload(job=reference("SyncJob", outcome.job))


@strawberry.mutation(description="Stops a job; what it has merged already stays. A job that ended stays as it is.")
async def cancel_job(info: Info, input: Input[CancelJobInput]) -> CancelJobPayload:
    by, (kind, id) = info.context.identity, ids.split(input.job_id)
    outcome = await write(info, lambda session: job_requests.cancel(session, id, by=by, type_name=kind), StartedJob)
    return CancelJobPayload(job=reference(kind, outcome.job))
