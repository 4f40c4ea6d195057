"""uploadSamples."""

import strawberry

from db.ingest import uploads
from db.ingest.uploads import DirectUploads, Incoming, Stored, Uploaded
from schema.enums import UploadConflict
from schema.mutations.payloads import ItemError, OfDataset, dataset_of, item_error, sample_of
from schema.mutations.resolver import Info, Input, earlier_outcome, enum_name, keyed, number, write
from schema.types.sample import Sample


@strawberry.input(description="Images to be added to a dataset.")
class UploadSamplesInput:
    dataset_id: strawberry.ID = strawberry.field(description="Global id of the dataset.")
    files: list[Incoming] = strawberry.field(
        description="The images: JPEG, PNG or BMP, by content and by name. At most 5 MiB (5,242,880 bytes) each and "
        "8 MiB (8,388,608 bytes) together, unless `serverInfo { uploadLimits }` says otherwise; at most 100 files."
    )
    labels: list[str] = strawberry.field(
        default_factory=list, description="Names of labels for all of them, at most 100; none leaves them UNLABELED."
    )
    create_missing: bool = strawberry.field(
        default=False, description="Make labels that the dataset has not; otherwise they are LABEL_NOT_FOUND."
    )
    on_conflict: UploadConflict = strawberry.field(
        default=UploadConflict.ERROR, description="What happens to a file whose name is taken."
    )


@strawberry.type(description="What became of one file.")
class UploadResult:
    file_name: str = strawberry.field(description="The file's name as it was sent.")
    sample: Sample | None = strawberry.field(description="The new sample; null if the file was refused.")
    error: ItemError | None = strawberry.field(description="Why the file was refused; null if it was not.")


@strawberry.type(description="The outcome of `uploadSamples`.")
class UploadSamplesPayload(OfDataset):
    results: list[UploadResult] = strawberry.field(description="One for each file, in the order of `files`.")


@strawberry.mutation(
    description="Adds images to a dataset: they are samples at once, and lie in its input path under their names. "
    "Each file is taken or refused for itself. A request beyond its limit, without files, or with an unknown label "
    "is refused as a whole and stores nothing."
)
async def upload_samples(info: Info, input: Input[UploadSamplesInput]) -> UploadSamplesPayload:
    id, by, context = number(input.dataset_id, "Dataset"), info.context.identity, info.context
    files = DirectUploads(
        files=input.files,
        labels=input.labels,
        create_missing=input.create_missing,
        on_conflict=enum_name(input.on_conflict),
        max_bytes=context.limits.max_file_bytes,
    )
    earlier, stored = await earlier_outcome(info, Uploaded), Stored((), ())
    if earlier is None or not earlier.is_final:
        stored = await uploads.store(
            context.database,
            context.stores,
            id,
            files,
            checks=context.checks,
            by=by,
            keyed=keyed(info),
            earlier=earlier,
        )
    outcome = await write(info, lambda session: uploads.commit(session, id, files, stored, by=by), Uploaded)
    return UploadSamplesPayload(
        dataset=dataset_of(outcome.dataset_id),
        results=[
            UploadResult(
                file_name=result.file_name,
                sample=sample_of(result.sample),
                error=item_error(result.code, result.message),
            )
            for result in outcome.results
        ],
    )
