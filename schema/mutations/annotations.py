"""annotateSamples."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

import strawberry

from db.concurrency_limits import Turns
from db.errors import Invalid
from db.labelling.labels import LabelReference
from db.labelling.samples.annotate import Addition, AnnotateWith, Edit, Update, annotate, no_such_annotations
from schema.inputs.limits import MAX_ITEMS
from schema.inputs.shapes import ShapeInput, plain_shape
from schema.mutations.payloads import EXPECTED_REVISION, Labelling, labelling
from schema.mutations.resolver import Info, label_reference, number, values, write


@strawberry.input(description="An annotation to add.")
class AnnotationInput:
    label: str | None = strawberry.field(default=None, description="Name of the label.")
    label_id: strawberry.ID | None = strawberry.field(
        default=None, description="Global id of the label, instead of `label`."
    )
    shape: ShapeInput | None = strawberry.field(
        default=None,
        description="The shape on the image. Null applies the label to the whole image, at most once per sample.",
    )


@strawberry.input(
    description="An existing annotation to move, relabel or confirm. It keeps its id. The update sets `labeledBy` to "
    "the token's name, `origin` to MANUAL and `isConfirmed` to true; with only the id, it confirms a suggestion "
    "unchanged."
)
class AnnotationUpdateInput:
    id: strawberry.ID = strawberry.field(description="Global id of the annotation, from `Sample.annotations`.")
    label: str | None = strawberry.field(
        default=None, description="Name of the new label. Without it and `labelId`, the label stays unchanged."
    )
    label_id: strawberry.ID | None = strawberry.field(
        default=None, description="Global id of the new label, instead of `label`."
    )
    shape: ShapeInput | None = strawberry.field(
        default=None,
        description="The new shape, of any kind that the dataset accepts. Null leaves the shape unchanged. To apply "
        "the label to the whole image instead, remove the annotation and add one without a shape.",
    )


@strawberry.input(
    description="The annotations to add, update and remove on one sample. Other annotations stay unchanged."
)
class SampleAnnotationsInput:
    sample_id: strawberry.ID | None = strawberry.field(default=None, description="Global id of the sample.")
    path: str | None = strawberry.field(
        default=None, description="Path of the sample below the input path, instead of `sampleId`."
    )
    add: list[AnnotationInput] = strawberry.field(
        default_factory=list,
        metadata={MAX_ITEMS: 10_000},
        description="Annotations to add. One that exists already with the same label and shape, for example after a "
        "retry, is not added again; if it was a suggestion, it is confirmed.",
    )
    update: list[AnnotationUpdateInput] = strawberry.field(
        default_factory=list,
        metadata={MAX_ITEMS: 10_000},
        description="Annotations to move, to relabel or to confirm. Each at most once.",
    )
    remove: list[strawberry.ID] = strawberry.field(
        default_factory=list,
        metadata={MAX_ITEMS: 10_000},
        description="Ids of annotations to remove. Annotations that are already removed are ignored.",
    )


@strawberry.input(description="The samples, with the annotations to add, update and remove.")
class AnnotateSamplesInput:
    dataset_id: strawberry.ID = strawberry.field(description="Global id of the dataset.")
    samples: list[SampleAnnotationsInput] = strawberry.field(
        description="At most 1,000 samples with at most 100,000 annotations in total; a sample can have at most "
        "10,000. A JSON body is at most 1 MiB, about 10,000 boxes, unless the server is configured otherwise."
    )
    create_missing: bool = strawberry.field(
        default=False,
        description="Create labels that do not exist in the dataset. Without it, an unknown label is refused with "
        "LABEL_NOT_FOUND.",
    )
    expected_revision: int | None = strawberry.field(default=None, description=EXPECTED_REVISION)


@strawberry.type(description="Return type of `annotateSamples`.")
class AnnotateSamplesPayload(Labelling):
    pass


async def sample_edits(samples: Iterable[Mapping[str, Any]]) -> list[Edit]:
    """Straight from the coerced values: Strawberry's objects would cost 0.1 ms a box."""
    turns, edits = Turns(), []
    for sample in samples:
        add, update, remove = list[Addition](), list[Update](), list[int]()
        for new in sample["add"]:
            await turns.step()
            add.append(Addition(label_of(new, sample, "add"), plain_shape(new.get("shape"))))
        for up in sample["update"]:
            await turns.step()
            shape = plain_shape(up.get("shape"))
            update.append(Update(annotation_number(up["id"]), new_label_of(up, sample), shape))
        for id in sample["remove"]:
            await turns.step()
            remove.append(annotation_number(id))
        edits.append(Edit(sample_number(sample), add, update, remove, sample.get("path")))
    return edits


def sample_number(value: Mapping[str, Any]) -> int:
    """0 for a path. Raises Invalid."""
    id = value.get("sampleId")
    if (id is None) == (value.get("path") is None):
        raise Invalid("Give either `sampleId` or `path` of each sample.", path="samples")
    return 0 if id is None else number(id, "Sample")


def label_of(value: Mapping[str, Any], edit: Mapping[str, Any], field: str) -> LabelReference:
    """The label of an annotation in this field of the edit. Raises Invalid, with the sample and the place below it."""
    try:
        return label_reference(value.get("label"), value.get("labelId"), "label")
    except Invalid as refused:
        place = next(index for index, each in enumerate(edit[field]) if each is value)
        refused.details |= {"sample": edit.get("sampleId") or edit.get("path"), "path": f"{field}.{place}.label"}
        raise


def new_label_of(value: Mapping[str, Any], edit: Mapping[str, Any]) -> LabelReference | None:
    if value.get("label") is None and value.get("labelId") is None:
        return None
    return label_of(value, edit, "update")


def annotation_number(id: strawberry.ID) -> int:
    if annotation := number(id, "Annotation"):
        return annotation
    raise no_such_annotations([str(id)])


SampleAnnotationsInput.__strawberry_definition__.from_input = lambda _type, value, _context: value  # type: ignore[attr-defined]


@strawberry.mutation(
    description="Adds, updates and removes annotations of samples, in one change for any number of samples. "
    "Annotations can have shapes, for object detection and image segmentation. A shape that is not within its image "
    "is refused with VALIDATION_FAILED; `details` have the `sample`, the position in the input (`at`) and the image's "
    "`width` and `height`. An annotation that is not of the given sample is refused with NOT_FOUND; `details` have "
    "the `ids`. Also refused with EMPTY_SELECTION without samples, LABEL_NOT_FOUND, or CONFLICT."
)
async def annotate_samples(info: Info, input: AnnotateSamplesInput) -> AnnotateSamplesPayload:
    samples = cast(Sequence[Mapping[str, Any]], input.samples)  # as they were coerced
    id, by, limit = number(input.dataset_id, "Dataset"), info.context.identity, info.context.limits.max_ids
    if len(samples) > limit:
        message = f"At most {limit} samples are annotated in one call."
        raise Invalid(message, most=limit, given=len(samples))
    edits = await sample_edits(samples)
    outcome = await write(info, annotate, id, edits, values(AnnotateWith, input), by=by)
    missing = frozenset(outcome.not_found)
    given = ((each.get("sampleId"), edit.sample) for each, edit in zip(samples, edits, strict=True))
    not_found = list(dict.fromkeys(id for id, sample in given if id is not None and sample in missing))
    return AnnotateSamplesPayload(**labelling(outcome, not_found))
