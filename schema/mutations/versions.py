"""publishVersion, setCurrentVersion, deleteVersion, writeManifest."""

import strawberry

from db.history import versions
from db.history.split import Split
from schema.enums import SplitGroup, UnpublishedChanges, enum_name
from schema.mutations.payloads import OfDataset, WithChange
from schema.mutations.resolver import Info, global_id, number, values, write
from schema.references import reference
from schema.types.job import ManifestJob
from schema.types.version import Version


@strawberry.input(
    description="How to split the labelled samples of a version into training, evaluation and test. Each label is in "
    "each part whose ratio is not 0."
)
class SplitInput:
    train_ratio: float = strawberry.field(
        description="The fraction for training, 0–1: exact for all labelled samples (rounded half up), and to within "
        "one sample for each combination of labels. The other samples are for evaluation, or for test as well."
    )
    seed: int = strawberry.field(
        default=0,
        description="Seed of the random split. The same seed gives the same split of the same samples, in whatever "
        "order they were added.",
    )
    eval_ratio: float | None = strawberry.field(
        default=None, description="The fraction for evaluation, 0–1. Null: what the other ratios leave."
    )
    test_ratio: float | None = strawberry.field(
        default=None,
        description="The fraction for test, 0–1: exact for all labelled samples (rounded half up). Null: what the "
        "other ratios leave if `evalRatio` is given, else 0.",
    )
    keep_from: strawberry.ID | None = strawberry.field(
        default=None,
        description="Global id of a version of the dataset. What is for evaluation or test in it stays that, whatever "
        "has been labelled since; with `groupBy`, whole groups do. The ratios are of all samples: they are reached "
        "with the other samples as far as that is possible, first with those that are not for training in it.",
    )
    group_by: SplitGroup | None = strawberry.field(
        default=None,
        description="Samples that belong together are in the same part. The ratios are then reached as nearly as the "
        "sizes of groups allow. Null: each sample on its own.",
    )


@strawberry.input(description="The version to publish.")
class PublishVersionInput:
    dataset_id: strawberry.ID = strawberry.field(description="Global id of the dataset.")
    name: str | None = strawberry.field(
        default=None,
        description="Name, unique in the dataset: 1–32 characters of `A–Z a–z 0–9 _ -` and Han ideographs. Null: the "
        "next of `V001`, `V002`, …; a default name is never used twice.",
    )
    description: str = strawberry.field(default="", description="Free text, at most 256 characters.")
    split: SplitInput | None = strawberry.field(
        default=None,
        description="How to split the labelled samples. Null: all of them are for training. With a split, "
        "publishing reads every labelled sample, which takes longer for more samples.",
    )


@strawberry.type(
    description="How many labelled samples of a version are in each part of its split. Where samples stay together, or "
    "stay where they were, the ratios are reached as nearly as that allows: here is how nearly."
)
class SplitCounts:
    train_count: int = strawberry.field(description="Number of samples for training.")
    eval_count: int = strawberry.field(description="Number of samples for evaluation.")
    test_count: int = strawberry.field(description="Number of samples for test.")


@strawberry.type(description="Return type of `publishVersion`.")
class PublishVersionPayload(OfDataset):
    version: Version = strawberry.field(description="The new version, which is now the current version.")
    split: SplitCounts | None = strawberry.field(description="The parts of the split. Null without one.")


@strawberry.input(description="The version to switch to.")
class SetCurrentVersionInput:
    version_id: strawberry.ID = strawberry.field(description="Global id of the version.")
    on_unpublished: UnpublishedChanges = strawberry.field(
        default=UnpublishedChanges.ERROR, description="What to do with changes that are not in any version."
    )


@strawberry.type(description="Return type of `setCurrentVersion`.")
class SetCurrentVersionPayload(WithChange):
    pass


@strawberry.input(description="The version to delete.")
class DeleteVersionInput:
    version_id: strawberry.ID = strawberry.field(description="Global id of the version.")


@strawberry.type(description="Return type of `deleteVersion`.")
class DeleteVersionPayload(OfDataset):
    deleted_version_id: strawberry.ID = strawberry.field(description="Id of the deleted version.")


@strawberry.input(description="The version whose manifest is to be written.")
class WriteManifestInput:
    version_id: strawberry.ID = strawberry.field(description="Global id of the version.")


@strawberry.type(description="Return type of `writeManifest`.")
class WriteManifestPayload:
    job: ManifestJob = strawberry.field(description="The job that writes the manifest. Follow it with `jobProgress`.")


@strawberry.mutation(
    description="Publishes the current working set as a version. Takes the same time for any number of samples, and "
    "does not block labelling. Refused with VERSION_ALREADY_EXISTS, INVALID_NAME, EMPTY_VERSION, "
    "SPLIT_CONDITIONS_NOT_MET if a label has too few samples for all parts of a split, VALIDATION_FAILED if its "
    "ratios are more than 1 together, VERSION_NOT_FOUND for `keepFrom`, or DATASET_BUSY while a sync runs."
)
async def publish_version(info: Info, input: PublishVersionInput) -> PublishVersionPayload:
    by, id = info.context.identity, number(input.dataset_id, "Dataset")
    split = None
    if input.split is not None:
        kept = None if input.split.keep_from is None else number(input.split.keep_from, "Version")
        split = values(Split, input.split, keep_from=kept)
    outcome = await write(
        info, versions.publish, id, by=by, name=input.name, description=input.description, divided=split
    )
    split_counts = None
    if outcome.parts is not None:
        train, evaluation, test = outcome.parts
        split_counts = SplitCounts(train_count=train, eval_count=evaluation, test_count=test)
    return PublishVersionPayload(
        version=reference("Version", outcome.version),
        dataset=reference("Dataset", outcome.dataset_id),
        split=split_counts,
    )


@strawberry.mutation(
    description="Makes the working set equal to the version: its samples, their labels, and the labels with their "
    "names. This is one change, which can be undone. Samples and labels keep their ids. Samples whose image is gone "
    "are restored without it. Refused with UNPUBLISHED_CHANGES, or DATASET_BUSY while a sync runs."
)
async def set_current_version(info: Info, input: SetCurrentVersionInput) -> SetCurrentVersionPayload:
    by, id, discard = info.context.identity, number(input.version_id, "Version"), enum_name(input.on_unpublished)
    outcome = await write(info, versions.switch, id, by=by, on_unpublished=discard)
    return SetCurrentVersionPayload(
        dataset=reference("Dataset", outcome.dataset_id), change=reference("Change", outcome.change)
    )


@strawberry.mutation(
    description="Deletes a version. The working set and all files stay unchanged. After deleting the current version, "
    "the dataset has no current version; versions that were based on a deleted version have no parent."
)
async def delete_version(info: Info, input: DeleteVersionInput) -> DeleteVersionPayload:
    by, id = info.context.identity, number(input.version_id, "Version")
    outcome = await write(info, versions.remove, id, by=by)
    return DeleteVersionPayload(
        deleted_version_id=global_id("Version", outcome.version), dataset=reference("Dataset", outcome.dataset_id)
    )


@strawberry.mutation(
    description="Starts a job that writes the manifest of a version to the output path, for example after the first "
    "job failed or the manifest was deleted. An existing manifest stays unchanged. If a job is already writing it, "
    "that job is returned. Refused with VALIDATION_FAILED for a dataset without an output path."
)
async def write_manifest(info: Info, input: WriteManifestInput) -> WriteManifestPayload:
    by, id = info.context.identity, number(input.version_id, "Version")
    outcome = await write(info, versions.write_manifest, id, by=by)
    return WriteManifestPayload(job=reference("ManifestJob", outcome.job))
