"""uploadSamples; requestUploads and completeUploads, for scripts whose files go to storage directly."""

from datetime import UTC, datetime
from typing import Any

import strawberry

from db.identity.urls import Links
from db.ingest import uploads
from db.ingest.uploads import Incoming, RequestedFile, Result, Ticket
from schema.enums import ErrorCode, UploadConflict
from schema.mutations.payloads import ItemError, OfDataset, WithChange
from schema.mutations.resolver import (
    LABEL_IDS,
    Info,
    earlier_outcome,
    is_done,
    keyed,
    label_references,
    number,
    values,
    write,
)
from schema.references import reference
from schema.types.sample import Sample


@strawberry.input(description="Images to be added to a dataset.")
class UploadSamplesInput:
    dataset_id: strawberry.ID = strawberry.field(description="Global id of the dataset.")
    files: list[Incoming] = strawberry.field(
        description="The images: JPEG, PNG or BMP, by content and by name. At most 5 MiB (5,242,880 bytes) each and "
        "8 MiB (8,388,608 bytes) together, unless `serverInfo { uploadLimits }` says otherwise; at most 100 files."
    )
    labels: list[str] = strawberry.field(
        default_factory=list,
        description="Names of labels for all of them; with `labelIds` at most 100. Without labels they are UNLABELED.",
    )
    label_ids: list[strawberry.ID] = strawberry.field(default_factory=list, description=LABEL_IDS)
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
class UploadSamplesPayload(WithChange):
    results: list[UploadResult] = strawberry.field(description="One for each file, in the order of `files`.")


@strawberry.input(description="A file that is to be put into storage.")
class UploadInput:
    key: str = strawberry.field(
        description="Your name for this upload, unique in the dataset; 1 to 200 bytes. A path on your side, or a hash, "
        "will do. Under the same key everything may be asked for again, and takes effect once; it is remembered for a "
        "week after the upload was completed."
    )
    file_name: str = strawberry.field(
        description="The name under which the file will lie in the input path: one name, with `.jpg`, `.jpeg`, "
        "`.jfif`, `.jpe`, `.png` or `.bmp`."
    )
    size: int = strawberry.field(
        description="The file's size in bytes: 1 to `serverInfo { uploadLimits { maxFileBytes } }`. Exactly so many "
        "must be put."
    )
    labels: list[str] = strawberry.field(
        default_factory=list,
        description="Names of labels for this file, beside those for all; at most 100 altogether.",
    )


@strawberry.input(description="Files that are to be put into storage directly.")
class RequestUploadsInput:
    dataset_id: strawberry.ID = strawberry.field(description="Global id of the dataset.")
    files: list[UploadInput] = strawberry.field(description="The files; at most 1,000 in a call.")
    labels: list[str] = strawberry.field(default_factory=list, description="Names of labels for all of them.")
    create_missing: bool = strawberry.field(
        default=False, description="Make labels that the dataset has not, when the uploads are completed."
    )
    on_conflict: UploadConflict = strawberry.field(
        default=UploadConflict.ERROR, description="What happens to a file whose name is taken."
    )


@strawberry.input(description="Uploads whose files were put.")
class CompleteUploadsInput:
    dataset_id: strawberry.ID = strawberry.field(description="Global id of the dataset.")
    keys: list[str] = strawberry.field(
        description="The keys under which the uploads were requested; at most 200 in a call."
    )


@strawberry.type(description="A header of an HTTP request.")
class HttpHeader:
    name: str = strawberry.field(description="The header's name.")
    value: str = strawberry.field(description="The header's value.")


@strawberry.type(description="Where a file is to be put, or why not. One of `url`, `sample` and `error` is not null.")
class RequestedUpload:
    key: str = strawberry.field(description="Your key.")
    file_name: str = strawberry.field(description="The file's name as it was given.")
    path: str | None = strawberry.field(
        description="Where the sample will lie, below the input path: kept free until the upload expires. If a file "
        "that was never synced turns out to lie there, `RENAME` takes another name."
    )
    url: str | None = strawberry.field(
        description="Where the file is to be put: in an S3 bucket, or on this server. It needs no token; treat it as a "
        "secret. It may be used again until `expiresAt`; requesting the upload again under its key gives a fresh one."
    )
    method: str = strawberry.field(description="The HTTP method: `PUT`.")
    headers: list[HttpHeader] = strawberry.field(
        description="Headers that the request must have. HTTP clients send Content-Length by themselves when they are "
        "given bytes, or a file; a body of unknown length is refused."
    )
    expires_at: datetime | None = strawberry.field(
        description="Until when the URL works. Complete the upload within an hour after that."
    )
    sample: Sample | None = strawberry.field(description="The sample, if the upload was completed already.")
    error: ItemError | None = strawberry.field(description="Why the file was refused; null if it was not.")


@strawberry.type(description="The outcome of `requestUploads`.")
class RequestUploadsPayload(OfDataset):
    results: list[RequestedUpload] = strawberry.field(description="One for each file, in the order of `files`.")


@strawberry.type(description="What became of one upload.")
class CompletedUpload:
    key: str = strawberry.field(description="Your key.")
    file_name: str | None = strawberry.field(
        description="The file's name; null if nothing was requested under the key."
    )
    sample: Sample | None = strawberry.field(description="The sample; null if there is none.")
    error: ItemError | None = strawberry.field(
        description="Why there is no sample. NOT_FOUND: nothing was requested, or put, yet. After STORAGE_ERROR, "
        "UNAVAILABLE, NOT_FOUND, LABEL_NOT_FOUND and CONFLICT the upload may be completed again; after anything "
        "else the file is cleared away, and the key is free for a new request."
    )


@strawberry.type(description="The outcome of `completeUploads`.")
class CompleteUploadsPayload(WithChange):
    results: list[CompletedUpload] = strawberry.field(description="One for each key, each once, in their order.")


@strawberry.mutation(
    description="Adds images to a dataset: they are samples at once, and lie in its input path under their names. "
    "Each file is taken or refused for itself. A request beyond its limit, without files, or with an unknown label "
    "is refused as a whole and stores nothing."
)
async def upload_samples(info: Info, input: UploadSamplesInput) -> UploadSamplesPayload:
    id, by, context = number(input.dataset_id, "Dataset"), info.context.identity, info.context
    files = values(
        uploads.DirectUploads,
        input,
        labels=label_references(input.labels, input.label_ids),
        max_bytes=context.limits.max_file_bytes,
    )
    earlier, stored = await earlier_outcome(info, uploads.Uploaded), uploads.Stored((), ())
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
    outcome = await write(info, uploads.commit, id, files, stored, by=by)
    return UploadSamplesPayload(
        dataset=reference("Dataset", outcome.dataset_id),
        change=reference("Change", outcome.change),
        results=[UploadResult(**sample_or_error(result)) for result in outcome.results],
    )


@strawberry.mutation(
    description="Asks for places in storage, to which a script puts its files by itself: for any number of files, "
    "by the thousand. Nothing is in the dataset until `completeUploads`. Each file is taken or refused for itself; "
    "an unknown label refuses the call. May be called again under the same keys as often as you like."
)
async def request_uploads(info: Info, input: RequestUploadsInput) -> RequestUploadsPayload:
    id, by, context = number(input.dataset_id, "Dataset"), info.context.identity, info.context
    requested = values(
        uploads.RequestedUploads,
        input,
        files=[values(RequestedFile, file, name=file.file_name) for file in input.files],
        expiry=context.links.expiry,
        max_bytes=context.limits.max_file_bytes,
    )
    outcome = await write(info, uploads.request, id, requested, by=by)
    urls = await uploads.link(context.stores, outcome)
    results = [
        requested_upload(ticket, url, context.links, outcome.expiry)
        for ticket, url in zip(outcome.tickets, urls, strict=True)
    ]
    return RequestUploadsPayload(dataset=reference("Dataset", outcome.dataset_id), results=results)


@strawberry.mutation(
    description="Makes samples of files that were put: each is read, and checked like any upload, before it "
    "becomes one. Completing an upload again gives the same sample. All of a call are one change."
)
async def complete_uploads(info: Info, input: CompleteUploadsInput) -> CompleteUploadsPayload:
    id, by, context = number(input.dataset_id, "Dataset"), info.context.identity, info.context
    inspected = uploads.NOTHING
    if not await is_done(info, uploads.Uploaded):
        inspected = await uploads.inspect(
            context.database, context.stores, id, input.keys, checks=context.checks, by=by
        )
    outcome = await write(info, uploads.complete, id, inspected, by=by)
    await uploads.discard(context.stores, outcome)
    return CompleteUploadsPayload(
        dataset=reference("Dataset", outcome.dataset_id),
        change=reference("Change", outcome.change),
        results=[CompletedUpload(key=each.key, **sample_or_error(each)) for each in outcome.results],
    )


def requested_upload(ticket: Ticket, url: str | None, links: Links, expiry: int) -> RequestedUpload:
    waits = ticket.staged is not None
    return RequestedUpload(
        key=ticket.key,
        path=ticket.path,
        url=url or (links.upload(ticket.staged) if ticket.staged else None),
        method="PUT",
        headers=[HttpHeader(name="Content-Length", value=str(ticket.size))] if waits else [],
        expires_at=datetime.fromtimestamp(expiry, UTC) if waits else None,
        **sample_or_error(ticket),
    )


def sample_or_error(outcome: Result | Ticket) -> dict[str, Any]:
    """The fields that the outcomes of files have in common."""
    refused = None if outcome.code is None else ItemError(code=ErrorCode[outcome.code], message=outcome.message)
    return {"file_name": outcome.file_name, "sample": reference("Sample", outcome.sample), "error": refused}
