"""annotateSamples."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

import strawberry

from db.errors import Invalid
from db.labelling.labels import LabelReference
from db.labelling.samples.annotate import Addition, AnnotateWith, Edit, Update, annotate, no_such_annotations
from schema.inputs.limits import MAX_ITEMS
from schema.inputs.shapes import ShapeInput, plain_shape
from schema.mutations.payloads import EXPECTED_REVISION, Labelling, labelling
from schema.mutations.resolver import Info, label_reference, number, values, write


@strawberry.input(description="An annotation to be put on a sample.")
class AnnotationInput:
    label: str | None = strawberry.field(default=None, description="Name of the label.")
    label_id: strawberry.ID | None = strawberry.field(default=None, description="Its id, instead of `label`.")
    shape: ShapeInput | None = strawberry.field(
        default=None, description="Where on the image; null puts the label on the image as a whole, which has it once."
    )


@strawberry.input(
    description="An annotation that is there already, moved, given another label, or confirmed. It keeps its id. "
    "Whoever updates it is its `labeledBy` then, its `origin` is MANUAL, and it is `isConfirmed`: with the id alone, a "
    "suggestion is confirmed as it is."
)
class AnnotationUpdateInput:
    id: strawberry.ID = strawberry.field(description="Id of the annotation, from `Sample.annotations`.")
    label: str | None = strawberry.field(
        default=None, description="Name of its new label. Without it and `labelId`, the label stays."
    )
    label_id: strawberry.ID | None = strawberry.field(default=None, description="Its id, instead of `label`.")
    shape: ShapeInput | None = strawberry.field(
        default=None,
        description="Its new shape, of any kind that the dataset takes; null leaves the shape. To put the label on the "
        "image as a whole instead, remove the annotation and add one without a shape.",
    )


@strawberry.input(description="What is to become of one sample's annotations. Those that are not named stay.")
class SampleAnnotationsInput:
    sample_id: strawberry.ID = strawberry.field(description="Global id of the sample.")
    add: list[AnnotationInput] = strawberry.field(
        default_factory=list,
        metadata={MAX_ITEMS: 10_000},
        description="Annotations to put. One of the same label and shape that is there already, from a retry maybe, "
        "is not put twice; if it was a suggestion, it is confirmed.",
    )
    update: list[AnnotationUpdateInput] = strawberry.field(
        default_factory=list,
        metadata={MAX_ITEMS: 10_000},
        description="Annotations to move, to give another label, or to confirm; each once.",
    )
    remove: list[strawberry.ID] = strawberry.field(
        default_factory=list,
        metadata={MAX_ITEMS: 10_000},
        description="Ids of annotations to take off. One that is off already stays off.",
    )


@strawberry.input(description="Annotations, with shapes, for samples.")
class AnnotateSamplesInput:
    dataset_id: strawberry.ID = strawberry.field(description="Global id of the dataset.")
    samples: list[SampleAnnotationsInput] = strawberry.field(
        description="At most 1,000 samples, with at most 100,000 annotations altogether; a sample can get 10,000. A "
        "body of JSON is at most 1 MiB, unless the server's owner allows more: about 10,000 boxes."
    )
    create_missing: bool = strawberry.field(
        default=False, description="Make labels that the dataset has not; otherwise they are LABEL_NOT_FOUND."
    )
    expected_revision: int | None = strawberry.field(default=None, description=EXPECTED_REVISION)


@strawberry.type(description="The outcome of `annotateSamples`.")
class AnnotateSamplesPayload(Labelling):
    pass


def sample_edit(_type: type, value: Mapping[str, Any], _context: object) -> tuple[strawberry.ID, Edit]:
    """The sample's id as the client wrote it, and the edit. Straight from the coerced values: Strawberry's objects
    would cost 0.1 ms a box, while all others wait."""
    edit = Edit(
        number(value["sampleId"], "Sample"),
        [Addition(label_of(new), plain_shape(new.get("shape"))) for new in value["add"]],
        [Update(annotation_number(up["id"]), new_label_of(up), plain_shape(up.get("shape"))) for up in value["update"]],
        [annotation_number(id) for id in value["remove"]],
    )
    return value["sampleId"], edit


def label_of(value: Mapping[str, Any]) -> LabelReference:
    return label_reference(value.get("label"), value.get("labelId"), "label")


def new_label_of(value: Mapping[str, Any]) -> LabelReference | None:
    return None if value.get("label") is None and value.get("labelId") is None else label_of(value)


def annotation_number(id: strawberry.ID) -> int:
    if annotation := number(id, "Annotation"):
        return annotation
    raise no_such_annotations([str(id)])


SampleAnnotationsInput.__strawberry_definition__.from_input = sample_edit  # type: ignore[attr-defined]


@strawberry.mutation(
    description="Puts annotations on samples, moves them, gives them other labels, and takes them off: labels with "
    "shapes, for object detection and image segmentation. One change, however many samples. Shapes lie on the "
    "image, or it is VALIDATION_FAILED; `details` name the `sample`, the place in the input (`at`) and the image's "
    "`width` and `height`. An annotation that is none of the sample it is named under is NOT_FOUND, with `ids`. "
    "Refused otherwise with EMPTY_SELECTION without samples, LABEL_NOT_FOUND, or CONFLICT."
)
async def annotate_samples(info: Info, input: AnnotateSamplesInput) -> AnnotateSamplesPayload:
    samples = cast(Sequence[tuple[strawberry.ID, Edit]], input.samples)
    id, by, limit = number(input.dataset_id, "Dataset"), info.context.identity, info.context.limits.max_ids
    if len(samples) > limit:
        message = f"At most {limit} samples are annotated in one call."
        raise Invalid(message, most=limit, given=len(samples))
    edits = [edit for _, edit in samples]
    outcome = await write(info, annotate, id, edits, values(AnnotateWith, input), by=by)
    missing = frozenset(outcome.not_found)
    not_found = list(dict.fromkeys(sample for sample, edit in samples if edit.sample in missing))
    return AnnotateSamplesPayload(**labelling(outcome, not_found))
