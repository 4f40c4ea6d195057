"""createDataset, updateDataset, deleteDataset."""

import strawberry

from db import datasets
from db.labelling.labels import LabelValues
from schema.enums import DatasetType, LabelNameRule
from schema.mutations.labels import LabelInput
from schema.mutations.payloads import OfDataset, WithChange
from schema.mutations.resolver import Info, global_id, number, values, write
from schema.references import reference
from schema.types.job import SyncJob

INCLUDE = (
    "Patterns of the images that a sync takes; empty: all. At most 50 of 256 characters, such as `train/**` or "
    "`**/*.jpg`. A pattern covers the whole path below the input path: `*` stands for any characters of one name, `?` "
    "for one, `**` as a whole part for any number of directories, and at the end, as `/` does, for everything below. "
    "All other characters stand for themselves; upper and lower case differ; `[ ] { } ! \\` are refused. Wildcards "
    "match no hidden name (`.name`, `__MACOSX`, `@eaDir`, `Thumbs.db` and the like): to take such files write the "
    "name, as in `.cache/**`. Label files come with their images. What is a sample already stays one while its "
    "file is there."
)
EXCLUDE = (
    "Patterns, as for `include`, of images and label files that a sync passes over, whatever `include` says. Here "
    "wildcards match hidden names, too."
)


@strawberry.input(description="A new dataset.")
class CreateDatasetInput:
    name: str = strawberry.field(description="Unique on this server: 1–100 of `A–Z a–z 0–9 _ -`.")
    type: DatasetType = strawberry.field(
        default=DatasetType.IMAGE_CLASSIFICATION, description="What its annotations will be. Cannot be changed later."
    )
    description: str = strawberry.field(default="", description="Free text of at most 256 characters.")
    input_path: str = strawberry.field(
        description="Where the images lie: `s3://bucket/prefix/`, or an absolute path or a `file://` URL of a "
        "directory below one of the server's allowed roots; everything below it belongs to the dataset. "
        "Cannot be changed later."
    )
    output_path: str | None = strawberry.field(
        default=None,
        description="Where published versions are written to: a directory as for `inputPath`, neither that one nor "
        "below it. Without it nothing is written.",
    )
    labels: list[LabelInput] = strawberry.field(
        default_factory=list, description="Labels to begin with, at most 1,000, each name and shortcut once."
    )
    include: list[str] = strawberry.field(default_factory=list, description=INCLUDE)
    exclude: list[str] = strawberry.field(default_factory=list, description=EXCLUDE)
    label_names: LabelNameRule = strawberry.field(
        default=LabelNameRule.STANDARD, description="Which names its labels may have."
    )
    sync_now: bool = strawberry.field(
        default=True, description="Start the first sync, which reads images and sidecar files from `inputPath`."
    )


@strawberry.type(description="The outcome of `createDataset`.")
class CreateDatasetPayload(WithChange):
    job: SyncJob | None = strawberry.field(
        description="The first sync, waiting for a worker; null if none was asked for."
    )


@strawberry.input(description="A dataset, and what to change of it.")
class UpdateDatasetInput:
    dataset_id: strawberry.ID = strawberry.field(description="Global id of the dataset.")
    name: str | None = strawberry.field(default=None, description="Its new name; null leaves it.")
    description: str | None = strawberry.field(
        default=None, description="Its new description, at most 256 characters; null leaves it, empty clears it."
    )
    include: list[str] | None = strawberry.field(default=None, description=f"{INCLUDE} Null leaves them.")
    exclude: list[str] | None = strawberry.field(default=None, description=f"{EXCLUDE} Null leaves them.")
    label_names: LabelNameRule | None = strawberry.field(
        default=None,
        description="Which names its labels may have; null leaves it. ANY applies from the next sync on, which reads "
        "all sidecars again. STANDARD is refused with VALIDATION_FAILED while a label has, or had, a name that does "
        "not fit, and with DATASET_BUSY while a sync or an import runs.",
    )


@strawberry.type(description="The outcome of `updateDataset`.")
class UpdateDatasetPayload(OfDataset):
    pass


@strawberry.input(description="A dataset to delete.")
class DeleteDatasetInput:
    dataset_id: strawberry.ID = strawberry.field(description="Global id of the dataset.")


@strawberry.type(description="The outcome of `deleteDataset`.")
class DeleteDatasetPayload:
    deleted_dataset_id: strawberry.ID = strawberry.field(description="The id that the dataset had.")


@strawberry.mutation(
    description="Makes a dataset, with its labels and its first sync in one transaction. Refused with "
    "DATASET_ALREADY_EXISTS, INVALID_NAME or INVALID_PATH."
)
async def create_dataset(info: Info, input: CreateDatasetInput) -> CreateDatasetPayload:
    by = info.context.identity
    source, output = await datasets.resolve_paths(input.input_path, input.output_path, info.context.stores, by=by)
    dataset = values(
        datasets.DatasetValues,
        input,
        input_path=source,
        output_path=output,
        labels=[values(LabelValues, label) for label in input.labels],
        settings=values(datasets.Settings, input),
    )
    outcome = await write(info, datasets.create, dataset, by=by, sync_now=input.sync_now)
    return CreateDatasetPayload(
        dataset=reference("Dataset", outcome.dataset_id),
        change=reference("Change", outcome.change),
        job=reference("SyncJob", outcome.job),
    )


@strawberry.mutation(
    description="Gives a dataset another name or description, or other rules for files and label names. None of it "
    "counts as a change of the working set. FORBIDDEN to give another name with a token that is confined to "
    "certain datasets: names are unique among all datasets."
)
async def update_dataset(info: Info, input: UpdateDatasetInput) -> UpdateDatasetPayload:
    by, id, settings = info.context.identity, number(input.dataset_id, "Dataset"), values(datasets.Settings, input)
    outcome = await write(
        info, datasets.update, id, by=by, name=input.name, description=input.description, settings=settings
    )
    return UpdateDatasetPayload(dataset=reference("Dataset", outcome.dataset_id))


@strawberry.mutation(
    description="Deletes a dataset with its labels, samples, changes and jobs, for good. Its name is free at once, "
    "its jobs stop. Files in the input and output path stay."
)
async def delete_dataset(info: Info, input: DeleteDatasetInput) -> DeleteDatasetPayload:
    id = number(input.dataset_id, "Dataset")
    outcome = await write(info, datasets.delete, id, by=info.context.identity)
    return DeleteDatasetPayload(deleted_dataset_id=global_id("Dataset", outcome.dataset_id))
