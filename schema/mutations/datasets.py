"""createDataset, updateDataset, deleteDataset."""

import strawberry

from db import datasets
from db.formats.images import USUAL
from db.labelling.labels import LabelValues
from schema.enums import DatasetType, ImageFormat, LabelNameRule
from schema.mutations.labels import LabelInput
from schema.mutations.payloads import OfDataset, WithChange
from schema.mutations.resolver import Info, global_id, number, values, write
from schema.references import reference
from schema.types.job import SyncJob

INCLUDE = (
    "Patterns of the images that a sync includes, at most 50 with at most 256 characters each, such as `train/**` or "
    "`**/*.jpg`. Empty: all images that are not hidden. A pattern matches the whole path below the input path: `*` "
    "matches any characters within one name, `?` one character, `**` as a whole segment any number of directories, and "
    "at the end, like a final `/`, everything below. All other characters match themselves, case-sensitively; `[ ] { } "
    "! \\` are refused. Wildcards do not match hidden names (`.name`, `__MACOSX`, `@eaDir`, `Thumbs.db` and the like): "
    "to include such files, write the name, as in `.cache/**`. Label files are included with their images. Existing "
    "samples stay while their file exists."
)
EXCLUDE = (
    "Patterns, as for `include`, of images and label files that a sync ignores, even if they match `include`. Here, "
    "wildcards also match hidden names. A file that matches is not uploaded, and not imported as a new sample."
)
IMAGE_FORMATS = (
    "The formats of images that syncs, imports and uploads add, at least one. A sync ignores files with the suffix of "
    "another format. Existing samples stay while their file exists."
)

COMPARES_LOOKS = "Find images that look alike, for `Dataset.duplicates`: a worker then reads every image once."


@strawberry.input(description="The dataset to create.")
class CreateDatasetInput:
    name: str = strawberry.field(description="Name, unique on this server: 1–100 characters of `A–Z a–z 0–9 _ -`.")
    type: DatasetType = strawberry.field(
        default=DatasetType.IMAGE_CLASSIFICATION,
        description="The kind of annotations in the dataset. Cannot be changed.",
    )
    description: str = strawberry.field(default="", description="Free text, at most 256 characters.")
    input_path: str = strawberry.field(
        description="Where the images are stored: `s3://bucket/prefix/`, or an absolute path or a `file://` URL of a "
        "directory below one of the server's allowed roots. Everything below it belongs to the dataset. Cannot be "
        "changed."
    )
    output_path: str | None = strawberry.field(
        default=None,
        description="Where published versions are written: a directory as for `inputPath`, which is neither "
        "`inputPath` itself nor below it. Null: they are not written.",
    )
    labels: list[LabelInput] = strawberry.field(
        default_factory=list, description="Labels to create, at most 1,000. Each name and shortcut must be unique."
    )
    include: list[str] = strawberry.field(default_factory=list, description=INCLUDE)
    exclude: list[str] = strawberry.field(default_factory=list, description=EXCLUDE)
    label_names: LabelNameRule = strawberry.field(
        default=LabelNameRule.STANDARD, description="Which names the labels of the dataset may have."
    )
    image_formats: list[ImageFormat] = strawberry.field(
        default_factory=lambda: [ImageFormat[name] for name in USUAL], description=IMAGE_FORMATS
    )
    compares_looks: bool = strawberry.field(default=False, description=COMPARES_LOOKS)
    sync_now: bool = strawberry.field(
        default=True, description="Start the first sync, which reads images and label files from `inputPath`."
    )


@strawberry.type(description="Return type of `createDataset`.")
class CreateDatasetPayload(WithChange):
    job: SyncJob | None = strawberry.field(description="The first sync, queued. Null if `syncNow` is false.")


@strawberry.input(description="The dataset to update, and the new values.")
class UpdateDatasetInput:
    dataset_id: strawberry.ID = strawberry.field(description="Global id of the dataset.")
    name: str | None = strawberry.field(default=None, description="The new name. Null leaves it unchanged.")
    description: str | None = strawberry.field(
        default=None,
        description="The new description, at most 256 characters. Null leaves it unchanged; an empty text removes it.",
    )
    include: list[str] | None = strawberry.field(default=None, description=f"{INCLUDE} Null leaves them unchanged.")
    exclude: list[str] | None = strawberry.field(default=None, description=f"{EXCLUDE} Null leaves them unchanged.")
    label_names: LabelNameRule | None = strawberry.field(
        default=None,
        description="Which names the labels of the dataset may have. Null leaves it unchanged. ANY takes effect with "
        "the next sync, which reads all label files again. STANDARD is refused with VALIDATION_FAILED if a present or "
        "former label name does not fit, and with DATASET_BUSY while a sync or an import runs.",
    )
    image_formats: list[ImageFormat] | None = strawberry.field(
        default=None, description=f"{IMAGE_FORMATS} Null leaves them unchanged; the next sync adds the new ones."
    )
    compares_looks: bool | None = strawberry.field(
        default=None, description=f"{COMPARES_LOOKS} False stops that, and what was found stays. Null changes nothing."
    )


@strawberry.type(description="Return type of `updateDataset`.")
class UpdateDatasetPayload(OfDataset):
    pass


@strawberry.input(description="The dataset to delete.")
class DeleteDatasetInput:
    dataset_id: strawberry.ID = strawberry.field(description="Global id of the dataset.")


@strawberry.type(description="Return type of `deleteDataset`.")
class DeleteDatasetPayload:
    deleted_dataset_id: strawberry.ID = strawberry.field(description="Id of the deleted dataset.")


@strawberry.mutation(
    description="Creates a dataset, its labels and its first sync in one transaction. Refused with "
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
    description="Updates the name, description, file patterns, image formats or label name rule of a dataset. None of "
    "this is a change of the working set. A token that is limited to certain datasets cannot change the name, because "
    "names are unique on the server: refused with FORBIDDEN."
)
async def update_dataset(info: Info, input: UpdateDatasetInput) -> UpdateDatasetPayload:
    by, id, settings = info.context.identity, number(input.dataset_id, "Dataset"), values(datasets.Settings, input)
    outcome = await write(
        info, datasets.update, id, by=by, name=input.name, description=input.description, settings=settings
    )
    return UpdateDatasetPayload(dataset=reference("Dataset", outcome.dataset_id))


@strawberry.mutation(
    description="Deletes a dataset permanently, with its labels, samples, changes and jobs. Its name can be used again "
    "at once, and its jobs stop. Files in the input path and output path are kept."
)
async def delete_dataset(info: Info, input: DeleteDatasetInput) -> DeleteDatasetPayload:
    id = number(input.dataset_id, "Dataset")
    outcome = await write(info, datasets.delete, id, by=info.context.identity)
    return DeleteDatasetPayload(deleted_dataset_id=global_id("Dataset", outcome.dataset_id))
