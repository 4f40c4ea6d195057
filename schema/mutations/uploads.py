"""uploadSamples; requestUploads and completeUploads, for scripts whose files go to storage directly;
requestImportUpload, for large files of imports; and cancelUploads."""

from datetime import UTC, datetime
from typing import Any

import strawberry

from db.identity.urls import Links
from db.ingest import uploads
from db.ingest.uploads import Incoming, RequestedFile, RequestedParts, Result, Ticket, parts
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
    whole_bytes,
    write,
)
from schema.references import reference
from schema.types.sample import Sample


@strawberry.input(description="The images to upload, and their labels.")
class UploadSamplesInput:
    dataset_id: strawberry.ID = strawberry.field(description="Global id of the dataset.")
    files: list[Incoming] = strawberry.field(
        description="The images, of the formats in `Dataset.imageFormats` by content and by extension: JPEG, PNG and "
        "BMP unless the dataset says otherwise. At most 100 files, of at most 5 MiB "
        "(5,242,880 bytes) each and 8 MiB (8,388,608 bytes) together, unless `serverInfo { uploadLimits }` says "
        "otherwise."
    )
    labels: list[str] = strawberry.field(
        default_factory=list,
        description="Names of labels for all files. Together with `labelIds` at most 100. Without labels, the samples "
        "are UNLABELED.",
    )
    label_ids: list[strawberry.ID] = strawberry.field(default_factory=list, description=LABEL_IDS)
    create_missing: bool = strawberry.field(
        default=False,
        description="Create labels that do not exist in the dataset. Without it, an unknown label is refused with "
        "LABEL_NOT_FOUND.",
    )
    on_conflict: UploadConflict = strawberry.field(
        default=UploadConflict.ERROR, description="What to do if a file's name is taken."
    )


@strawberry.type(description="The result for one file.")
class UploadResult:
    file_name: str = strawberry.field(description="Name of the file, as sent.")
    sample: Sample | None = strawberry.field(description="The new sample. Null if the file was refused.")
    error: ItemError | None = strawberry.field(description="Why the file was refused. Null if it was accepted.")


@strawberry.type(description="Return type of `uploadSamples`.")
class UploadSamplesPayload(WithChange):
    results: list[UploadResult] = strawberry.field(description="One result for each file, in the order of `files`.")


@strawberry.input(description="A file to upload directly to storage.")
class UploadInput:
    key: str = strawberry.field(
        description="Your key for this upload, unique in the dataset, 1–200 bytes: for example the local path or a "
        "hash of the file. Requests with the same key can be repeated and take effect once. The server remembers the "
        "key for a week after the upload was completed."
    )
    file_name: str = strawberry.field(
        description="Name of the file in the input path, without a directory, with an extension of the formats in "
        "`Dataset.imageFormats`: `.jpg`, `.jpeg`, `.jfif`, `.jpe`, `.png`, `.bmp`, `.webp`, `.tif`, `.tiff`, `.gif` or "
        "`.avif`."
    )
    size: int = strawberry.field(
        description="Size of the file in bytes: 1 to `serverInfo { uploadLimits { maxFileBytes } }`. The uploaded file "
        "must have exactly this size."
    )
    labels: list[str] = strawberry.field(
        default_factory=list,
        description="Names of labels for this file, in addition to those for all files. Together with `labelIds` at "
        "most 100 for each file.",
    )
    label_ids: list[strawberry.ID] = strawberry.field(
        default_factory=list,
        description="Global ids of labels for this file, in addition to those for all files.",
    )


@strawberry.input(description="The files to upload directly to storage.")
class RequestUploadsInput:
    dataset_id: strawberry.ID = strawberry.field(description="Global id of the dataset.")
    files: list[UploadInput] = strawberry.field(description="The files, at most 1,000.")
    labels: list[str] = strawberry.field(default_factory=list, description="Names of labels for all files.")
    label_ids: list[strawberry.ID] = strawberry.field(
        default_factory=list,
        description="Global ids of labels for all files. Unlike a name, an id refers to the same label after a "
        "rename. If the label is deleted or merged into another before an upload is completed, `completeUploads` "
        "refuses the upload with LABEL_NOT_FOUND.",
    )
    create_missing: bool = strawberry.field(
        default=False,
        description="Create labels that do not exist in the dataset, when the uploads are completed. Without it, "
        "an unknown label is refused with LABEL_NOT_FOUND.",
    )
    on_conflict: UploadConflict = strawberry.field(
        default=UploadConflict.ERROR, description="What to do if a file's name is taken."
    )


@strawberry.input(description="The uploads to complete.")
class CompleteUploadsInput:
    dataset_id: strawberry.ID = strawberry.field(description="Global id of the dataset.")
    keys: list[str] = strawberry.field(description="The keys of the requested uploads, at most 200.")


@strawberry.type(description="A header of an HTTP request.")
class HttpHeader:
    name: str = strawberry.field(description="Name of the header.")
    value: str = strawberry.field(description="Value of the header.")


@strawberry.type(
    description="The URL to upload one file to, or why there is none. Exactly one of `url`, `sample` and `error` is "
    "not null."
)
class RequestedUpload:
    key: str = strawberry.field(description="The key of the upload, as given.")
    file_name: str = strawberry.field(description="Name of the file, as given.")
    path: str | None = strawberry.field(
        description="Path of the future sample below the input path, reserved until the upload expires. If a file "
        "there turns out to exist that was never synced, `RENAME` takes another name."
    )
    url: str | None = strawberry.field(
        description="URL to upload the file to: of an S3 bucket or of this server. It needs no token, so treat it as a "
        "secret. Can be used repeatedly until `expiresAt`; requesting the upload again with the same key returns a "
        "new one."
    )
    method: str = strawberry.field(description="The HTTP method: `PUT`.")
    headers: list[HttpHeader] = strawberry.field(
        description="Headers that the upload request must have. HTTP clients send Content-Length themselves for bytes "
        "or a file; a body of unknown length is refused."
    )
    expires_at: datetime | None = strawberry.field(
        description="When the URL expires. Complete the upload within an hour after that."
    )
    sample: Sample | None = strawberry.field(description="The sample, if the upload is already completed.")
    error: ItemError | None = strawberry.field(description="Why the file was refused. Null if it was accepted.")


@strawberry.type(description="Return type of `requestUploads`.")
class RequestUploadsPayload(OfDataset):
    results: list[RequestedUpload] = strawberry.field(description="One result for each file, in the order of `files`.")


@strawberry.type(description="The result for one upload.")
class CompletedUpload:
    key: str = strawberry.field(description="The key of the upload, as given.")
    file_name: str | None = strawberry.field(
        description="Name of the file. Null if no upload was requested with this key."
    )
    sample: Sample | None = strawberry.field(description="The sample. Null if there is an error.")
    error: ItemError | None = strawberry.field(
        description="Why there is no sample. NOT_FOUND: the upload was not requested, or its file is not uploaded yet. "
        "LABEL_NOT_FOUND: one of its labels was deleted since; restore it, or request the upload again with the same "
        "key and other labels. After STORAGE_ERROR, UNAVAILABLE, NOT_FOUND, LABEL_NOT_FOUND and CONFLICT, the upload "
        "can be completed again. After any other error, the file is deleted, and the key can be used for a new request."
    )


@strawberry.type(description="Return type of `completeUploads`.")
class CompleteUploadsPayload(WithChange):
    results: list[CompletedUpload] = strawberry.field(
        description="One result for each key, without duplicates, in the order of `keys`."
    )


@strawberry.input(description="A large file for an import.")
class RequestImportUploadInput:
    dataset_id: strawberry.ID = strawberry.field(description="Global id of the dataset to import into.")
    key: str = strawberry.field(
        description="Your key for this file, unique for your token in the dataset, 1–200 bytes: for example its path "
        "and a hash. The same key continues the same upload. Keys of other tokens are unknown to yours."
    )
    file_name: str = strawberry.field(description="Name of the file, without a directory.")
    size: float = strawberry.field(description="Size of the file in bytes, at most 64 GiB.")


@strawberry.type(description="A part of a file that is to be uploaded.")
class ImportUploadPart:
    number: int = strawberry.field(description="Number of the part, from 0.")
    offset: float = strawberry.field(description="Position of its first byte in the file.")
    size: int = strawberry.field(description="Its size in bytes. The uploaded part must have exactly this size.")
    url: str = strawberry.field(
        description="URL to upload the part to: of an S3 bucket or of this server. It needs no token, so treat it as a "
        "secret. Can be used repeatedly until `expiresAt`."
    )
    method: str = strawberry.field(description="The HTTP method: `PUT`.")
    headers: list[HttpHeader] = strawberry.field(description="Headers that the upload request must have.")


@strawberry.type(description="Return type of `requestImportUpload`.")
class RequestImportUploadPayload(OfDataset):
    part_count: int = strawberry.field(description="Number of parts of the file.")
    missing_parts: list[ImportUploadPart] = strawberry.field(
        description="The first parts that are not uploaded yet, at most 100. Upload them, and request the rest with "
        "the same key. Empty: the file is complete, and `importAnnotations` can import it by its key."
    )
    expires_at: datetime = strawberry.field(description="When the URLs expire. Request them again with the same key.")


@strawberry.input(description="The uploads to cancel: at most 1,000 keys.")
class CancelUploadsInput:
    dataset_id: strawberry.ID = strawberry.field(description="Global id of the dataset.")
    keys: list[str] = strawberry.field(
        default_factory=list,
        description="Keys of uploads that were requested with `requestUploads`, by your token or another one: they "
        "belong to the dataset.",
    )
    import_keys: list[str] = strawberry.field(
        default_factory=list, description="Keys of files that your token requested with `requestImportUpload`."
    )


@strawberry.type(description="Return type of `cancelUploads`.")
class CancelUploadsPayload(OfDataset):
    canceled_count: int = strawberry.field(description="Number of uploads and files that were canceled.")
    not_found_keys: list[str] = strawberry.field(
        description="Those of `keys` under which there is no open upload: it is completed, canceled or expired, or was "
        "never requested."
    )
    not_found_import_keys: list[str] = strawberry.field(
        description="Those of `importKeys` under which your token has no file."
    )


@strawberry.mutation(
    description="Ends uploads that are not needed any more. What was sent is deleted, the URLs no longer "
    "work at this server, the bytes no longer count towards what a dataset may wait for, except those that URLs of a "
    "bucket may still bring, until these expire; and the keys and names are free. "
    "Refused with CONFLICT while an import of such a file is queued or running."
)
async def cancel_uploads(info: Info, input: CancelUploadsInput) -> CancelUploadsPayload:
    id, by, context = number(input.dataset_id, "Dataset"), info.context.identity, info.context
    outcome = await write(info, uploads.cancel, id, input.keys, input.import_keys, by=by)
    await uploads.clear_canceled(context.database, context.stores, outcome)
    return CancelUploadsPayload(
        dataset=reference("Dataset", outcome.dataset_id),
        canceled_count=len(outcome.staged) + len(outcome.files),
        not_found_keys=list(outcome.not_found_keys),
        not_found_import_keys=list(outcome.not_found_import_keys),
    )


@strawberry.mutation(
    description="Returns URLs for uploading a large file for an import in parts, directly to storage. Each part is "
    "sent by itself, in any order, several at a time, and again if it failed; after a lost connection the same key "
    "returns what is missing. `importAnnotations` takes the key as `uploadKey`. While an import of the file is queued "
    "or running, the server answers 409 to a part; a bucket may take it, and an import whose parts were replaced fails "
    "with CONFLICT, and keeps them. The parts are deleted after an import of them that succeeded, was no dry run and "
    "did not skip everything, or 7 days after they were requested last. Refused with UPLOAD_TOO_LARGE if the dataset "
    "waits for too much already."
)
async def request_import_upload(info: Info, input: RequestImportUploadInput) -> RequestImportUploadPayload:
    id, by, context = number(input.dataset_id, "Dataset"), info.context.identity, info.context
    requested = values(
        RequestedParts,
        input,
        size=whole_bytes(input.size, "size"),
        expiry=context.links.expiry,
        max_staged=context.limits.max_staged_bytes,
    )
    outcome = await write(info, parts.request, id, requested, by=by)
    missing = await parts.missing_parts(context.database, context.stores, outcome)
    urls = await parts.urls(context.stores, outcome, missing)
    return RequestImportUploadPayload(
        dataset=reference("Dataset", id),
        part_count=outcome.count,
        missing_parts=[
            ImportUploadPart(
                number=each,
                offset=each * parts.PART,
                size=outcome.size_of(each),
                url=url or context.links.upload(outcome.name_of(each)),
                method="PUT",
                headers=[HttpHeader(name="Content-Length", value=str(outcome.size_of(each)))],
            )
            for each, url in zip(missing, urls, strict=True)
        ],
        expires_at=datetime.fromtimestamp(outcome.expiry, UTC),
    )


@strawberry.mutation(
    description="Uploads images: they are stored in the input path under their names and become samples at once. Each "
    "file is accepted or refused on its own. A request that exceeds its limits, has no files, or names an unknown "
    "label is refused as a whole and stores nothing."
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
    description="Returns URLs for uploading files directly to storage, for large numbers of files. The files are not "
    "in the dataset until `completeUploads`. Each file is accepted or refused on its own; an unknown label, or more "
    "files than a dataset may wait for (UPLOAD_TOO_LARGE), is refused for the whole request. Can be repeated with the "
    "same keys as often as needed."
)
async def request_uploads(info: Info, input: RequestUploadsInput) -> RequestUploadsPayload:
    id, by, context = number(input.dataset_id, "Dataset"), info.context.identity, info.context
    requested = values(
        uploads.RequestedUploads,
        input,
        files=[
            values(RequestedFile, file, name=file.file_name, labels=label_references(file.labels, file.label_ids))
            for file in input.files
        ],
        labels=label_references(input.labels, input.label_ids),
        expiry=context.links.expiry,
        max_bytes=context.limits.max_file_bytes,
        max_staged=context.limits.max_staged_bytes,
    )
    outcome = await write(info, uploads.request, id, requested, by=by)
    urls = await uploads.link(context.stores, outcome)
    results = [
        requested_upload(ticket, url, context.links, outcome.expiry)
        for ticket, url in zip(outcome.tickets, urls, strict=True)
    ]
    return RequestUploadsPayload(dataset=reference("Dataset", outcome.dataset_id), results=results)


@strawberry.mutation(
    description="Turns directly uploaded files into samples, in one change. Each file is read and checked like any "
    "other upload. Completing an upload again returns the same sample."
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
