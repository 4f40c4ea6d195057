"""exportDataset."""

from collections.abc import Mapping
from typing import Any, cast

import strawberry

from db.exports import requests
from db.formats.datasets.records import Options
from schema.enums import enum_name
from schema.inputs.filters import SampleFilter, sample_filter
from schema.job_enums import CocoSegmentation, ExportFormat, ExportImages, ExportPacking, SeveralLabels, YoloTask
from schema.mutations.resolver import Info, number, whole_bytes, write
from schema.references import reference
from schema.types.job import ExportJob


@strawberry.input(description="Options of an export. An option that the format does not have is refused.")
class ExportOptionsInput:
    packing: ExportPacking | None = strawberry.field(
        default=None,
        description="How the files are packed. Null: FILES where the format makes only a few documents and images are "
        "not included, else ZIP.",
    )
    max_file_bytes: float | None = strawberry.field(
        default=None,
        description="Size in bytes at which an archive ends and the next begins, 1 MiB to 64 GiB. An image and "
        "its own files are always in the same archive, and a document is always whole. Null: 1 GiB.",
    )
    has_splits: bool | None = strawberry.field(
        default=None,
        description="For formats with splits: whether samples with the usages TRAIN, EVAL and TEST are written apart, "
        "as `train`, `val` and `test`, and samples with another usage or none are left out. Null: true if any sample "
        "has one of these usages.",
    )
    several_labels: SeveralLabels | None = strawberry.field(
        default=None,
        description="For IMAGE_FOLDER, and YOLO with the task CLASSIFY: what to do with images that have several "
        "labels. Null: OMIT.",
    )
    yolo_task: YoloTask | None = strawberry.field(
        default=None,
        description="For YOLO: the task. Null: CLASSIFY, DETECT or SEGMENT, as the type of the dataset is.",
    )
    segmentation: CocoSegmentation | None = strawberry.field(
        default=None,
        description="For COCO, and not for image classification: how polygons are written. Null: POLYGONS.",
    )


@strawberry.input(description="What to export, and how.")
class ExportDatasetInput:
    dataset_id: strawberry.ID = strawberry.field(description="Global id of the dataset.")
    format: ExportFormat = strawberry.field(description="The format of the files.")
    version_id: strawberry.ID | None = strawberry.field(
        default=None,
        description="Global id of the version to export. Null: the working set, as it is when the job begins.",
    )
    filter: SampleFilter | None = strawberry.field(
        default=None, description="Export only samples that match this filter."
    )
    images: ExportImages | None = strawberry.field(
        default=None,
        description="What to export of the images themselves. Null: NONE, or INCLUDED for a format that "
        "is nothing without them.",
    )
    options: ExportOptionsInput | None = strawberry.field(default=None, description="Options of the format.")


@strawberry.type(description="Return type of `exportDataset`.")
class ExportDatasetPayload:
    job: ExportJob = strawberry.field(description="The export, queued. Follow it with `jobProgress`.")


# An object of the class does not distinguish a null criterion from a missing one: the coerced value does.
SampleFilter.__strawberry_definition__.from_input = lambda _type, value, _context: value  # type: ignore[attr-defined]


@strawberry.mutation(
    description="Starts a job that exports the working set or a version. The files are written to the output path of "
    "the dataset; without one, the server keeps them for 7 days. Labelling can go on while it runs, and changes "
    "nothing in the export. Needs the scope READ. Refused with VERSION_NOT_FOUND, VALIDATION_FAILED if the format does "
    "not fit the type of the dataset or has no such option, or DATASET_BUSY while your token has 5 exports of the "
    "dataset queued or running."
)
async def export_dataset(info: Info, input: ExportDatasetInput) -> ExportDatasetPayload:
    context, id = info.context, number(input.dataset_id, "Dataset")
    asked = requests.Request(
        format=enum_name(input.format),
        images=enum_name(input.images),
        options=options(input.options),
        version_id=None if input.version_id is None else number(input.version_id, "Version"),
        filter=None if input.filter is None else sample_filter(cast(Mapping[str, Any], input.filter)),
        base=context.links.base,
    )
    outcome = await write(info, requests.request, id, asked, by=context.identity)
    return ExportDatasetPayload(job=reference("ExportJob", outcome.job))


def options(given: ExportOptionsInput | None) -> Options:
    if given is None:
        return Options()
    size = given.max_file_bytes
    return Options(
        packing=enum_name(given.packing),
        max_file_bytes=None if size is None else whole_bytes(size, "options.maxFileBytes"),
        has_splits=given.has_splits,
        several_labels=enum_name(given.several_labels),
        yolo_task=enum_name(given.yolo_task),
        segmentation=enum_name(given.segmentation),
    )
