"""publishVersion, setCurrentVersion, deleteVersion, writeManifest."""

import strawberry

from db.history import versions
from db.history.split import Split
from schema.enums import UnpublishedChanges, enum_name
from schema.mutations.payloads import OfDataset, WithChange
from schema.mutations.resolver import Info, global_id, number, values, write
from schema.references import reference
from schema.types.job import ManifestJob
from schema.types.version import Version


@strawberry.input(description="How the labelled samples of a version are divided for training and evaluation.")
class SplitInput:
    train_ratio: float = strawberry.field(
        description="The part for training, 0–1: exactly that many of all labelled samples, rounded half up, and of "
        "each combination of labels, to one sample. The others are for evaluation."
    )
    seed: int = strawberry.field(default=0, description="Another seed draws others; the same seed the same.")


@strawberry.input(description="A version to publish.")
class PublishVersionInput:
    dataset_id: strawberry.ID = strawberry.field(description="Global id of the dataset.")
    name: str | None = strawberry.field(
        default=None,
        description="1–32 characters of `A–Z a–z 0–9 _ -` and Han ideographs, unique in the dataset; null for the next "
        "of `V001`, `V002`, … No default name is ever given twice.",
    )
    description: str = strawberry.field(default="", description="Free text of at most 256 characters.")
    split: SplitInput | None = strawberry.field(
        default=None,
        description="Divide the labelled samples; null: all are for training. A split costs reading all of them.",
    )


@strawberry.type(description="The outcome of `publishVersion`.")
class PublishVersionPayload(OfDataset):
    version: Version = strawberry.field(description="The new version, which is the current one now.")


@strawberry.input(description="A version to go back to.")
class SetCurrentVersionInput:
    version_id: strawberry.ID = strawberry.field(description="Global id of the version.")
    on_unpublished: UnpublishedChanges = strawberry.field(
        default=UnpublishedChanges.REJECT, description="What becomes of changes that are in no version."
    )


@strawberry.type(description="The outcome of `setCurrentVersion`.")
class SetCurrentVersionPayload(WithChange):
    pass


@strawberry.input(description="A version to delete.")
class DeleteVersionInput:
    version_id: strawberry.ID = strawberry.field(description="Global id of the version.")


@strawberry.type(description="The outcome of `deleteVersion`.")
class DeleteVersionPayload(OfDataset):
    deleted_version_id: strawberry.ID = strawberry.field(description="The id that the version had.")


@strawberry.input(description="A version whose manifest is to be written.")
class WriteManifestInput:
    version_id: strawberry.ID = strawberry.field(description="Global id of the version.")


@strawberry.type(description="The outcome of `writeManifest`.")
class WriteManifestPayload:
    job: ManifestJob = strawberry.field(description="The job that writes it; follow it by `jobProgress`.")


@strawberry.mutation(
    description="Publishes the working set, as it is at this instant, as a version. Costs the same for a thousand "
    "samples and a million, and keeps nobody from labelling. Refused with VERSION_ALREADY_EXISTS, INVALID_NAME, "
    "EMPTY_VERSION, SPLIT_CONDITIONS_NOT_MET for a label that cannot be on both sides of a split, and DATASET_BUSY "
    "while a sync runs."
)
async def publish_version(info: Info, input: PublishVersionInput) -> PublishVersionPayload:
    by, id = info.context.identity, number(input.dataset_id, "Dataset")
    split = None if input.split is None else values(Split, input.split)
    outcome = await write(
        info, versions.publish, id, by=by, name=input.name, description=input.description, divided=split
    )
    return PublishVersionPayload(
        version=reference("Version", outcome.version), dataset=reference("Dataset", outcome.dataset_id)
    )


@strawberry.mutation(
    description="Makes the working set what the version is: its samples, their labels, the labels and their names. "
    "One change, which can be undone; the ids of samples and labels stay. Samples whose image is gone come back "
    "without it. Refused with UNPUBLISHED_CHANGES, and with DATASET_BUSY while a sync runs."
)
async def set_current_version(info: Info, input: SetCurrentVersionInput) -> SetCurrentVersionPayload:
    by, id, discard = info.context.identity, number(input.version_id, "Version"), enum_name(input.on_unpublished)
    outcome = await write(info, versions.switch, id, by=by, on_unpublished=discard)
    return SetCurrentVersionPayload(
        dataset=reference("Dataset", outcome.dataset_id), change=reference("Change", outcome.change)
    )


@strawberry.mutation(
    description="Deletes a version. The working set and files stay as they are; deleting the current version "
    "leaves the dataset without one, and versions that followed it without a parent."
)
async def delete_version(info: Info, input: DeleteVersionInput) -> DeleteVersionPayload:
    by, id = info.context.identity, number(input.version_id, "Version")
    outcome = await write(info, versions.remove, id, by=by)
    return DeleteVersionPayload(
        deleted_version_id=global_id("Version", outcome.version), dataset=reference("Dataset", outcome.dataset_id)
    )


@strawberry.mutation(
    description="Writes a version's manifest to the output path, as publishing does: again after it failed, or was "
    "deleted. One that is there already stays as it is. While a job writes it, that job is the answer. "
    "VALIDATION_FAILED for a dataset without an output path."
)
async def write_manifest(info: Info, input: WriteManifestInput) -> WriteManifestPayload:
    by, id = info.context.identity, number(input.version_id, "Version")
    outcome = await write(info, versions.write_manifest, id, by=by)
    return WriteManifestPayload(job=reference("ManifestJob", outcome.job))
