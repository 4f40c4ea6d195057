"""importManifest."""

import strawberry

from db.ingest import imports, job_requests
from db.ingest.job_requests import StartedJob
from schema.enums import ExistingSamples
from schema.mutations.resolver import Info, Input, enum_name, is_done, number, write
from schema.references import reference
from schema.types.job import ImportJob


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

    def options(self) -> imports.Options:
        return imports.Options(
            manifest=imports.location_of(self.path),
            existing=enum_name(self.existing),
            source_root=None if self.source_root is None else imports.folder_of(self.source_root),
            restore_removed=self.restore_removed,
            confirm_suggestions=self.confirm_suggestions,
            included=imports.label_names(self.included_labels),
            excluded=imports.label_names(self.excluded_labels),
        )


@strawberry.type(description="The outcome of `importManifest`.")
class ImportManifestPayload:
    job: ImportJob = strawberry.field(description="The import, waiting for a worker; follow it by `jobProgress`.")


@strawberry.mutation(
    description="Starts importing a manifest: each line's image becomes a sample, or is one, and gets the labels, "
    "usage and mark as hard example that the line says. Images outside the input path are copied into it, never "
    "over another file. Nothing is removed; importing again changes nothing; published versions stay as they are. "
    "Labelling goes on meanwhile. Refused with INVALID_PATH, FILE_TOO_LARGE, and DATASET_BUSY while a sync or an "
    "import runs, `details.jobId` naming it."
)
async def import_manifest(info: Info, input: Input[ImportManifestInput]) -> ImportManifestPayload:
    by, id, options, context = (
        info.context.identity,
        number(input.dataset_id, "Dataset"),
        input.options(),
        info.context,
    )
    if not await is_done(info, StartedJob):
        await imports.expect_manifest(context.database, context.stores, options.manifest, by=by)
    outcome = await write(
        info,
        lambda session: job_requests.start_import(
            session, id, options, by=by, expected_revision=input.expected_revision
        ),
        StartedJob,
    )
    return ImportManifestPayload(job=reference("ImportJob", outcome.job))
