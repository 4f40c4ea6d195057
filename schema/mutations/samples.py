"""labelSamples, replaceSampleLabel, deleteSamples."""

from collections.abc import Callable
from typing import Any

import strawberry

from db.labelling.samples.delete import Deleted, delete
from db.labelling.samples.label import Labelled, LabelWith, ReplaceWith, label, replace_label
from schema.enums import LabelingMode
from schema.inputs.filters import SampleSelection
from schema.inputs.selections import selected
from schema.mutations.payloads import EXPECTED_REVISION, NOT_FOUND, Labelling, WithSources, labelling
from schema.mutations.resolver import Info, Input, enum_name, write
from schema.mutations.sources import delete_sources

EXPECTED_COUNT = (
    "Refuse with COUNT_MISMATCH unless exactly so many samples are selected. With it, a filter without a criterion is "
    "accepted."
)


@strawberry.input
class SampleSelectionInput:
    dataset_id: strawberry.ID = strawberry.field(description="Global id of the dataset.")
    select: SampleSelection = strawberry.field(
        description="Which samples: at most 1,000 ids, or a filter or all without limit."
    )


@strawberry.input(description="Labels for samples.")
class LabelSamplesInput(SampleSelectionInput):
    labels: list[str] = strawberry.field(description="Names of at most 100 labels; one given twice counts once.")
    mode: LabelingMode = strawberry.field(default=LabelingMode.ADD, description="How the labels are put.")
    create_missing: bool = strawberry.field(
        default=False, description="Make labels that the dataset has not; otherwise they are LABEL_NOT_FOUND."
    )
    expected_count: int | None = strawberry.field(default=None, description=EXPECTED_COUNT)
    expected_revision: int | None = strawberry.field(default=None, description=EXPECTED_REVISION)


@strawberry.type(description="The outcome of `labelSamples`.")
class LabelSamplesPayload(Labelling):
    pass


@strawberry.input(description="One label to be turned into another, on some samples.")
class ReplaceSampleLabelInput(SampleSelectionInput):
    from_: str = strawberry.field(name="from", description="Name of the label to be replaced.")
    to: str = strawberry.field(description="Name of the label to be put in its place.")
    create_missing: bool = strawberry.field(
        default=False, description="Make the label `to` if the dataset has none; otherwise it is LABEL_NOT_FOUND."
    )
    expected_count: int | None = strawberry.field(default=None, description=EXPECTED_COUNT)


@strawberry.type(description="The outcome of `replaceSampleLabel`.")
class ReplaceSampleLabelPayload(Labelling):
    pass


@strawberry.input(description="Samples to delete.")
class DeleteSamplesInput(SampleSelectionInput):
    delete_sources: bool = strawberry.field(
        default=False,
        description="Delete their files too, also where other datasets use them (see `warnings`). Cannot be undone.",
    )
    expected_count: int | None = strawberry.field(default=None, description=EXPECTED_COUNT)
    dry_run: bool = strawberry.field(default=False, description="Only report what would happen; change nothing.")


@strawberry.type(description="The outcome of `deleteSamples`; of a dry run, what would be.")
class DeleteSamplesPayload(WithSources):
    deleted: int = strawberry.field(description="How many samples were deleted.")
    not_found: list[strawberry.ID] = strawberry.field(description=NOT_FOUND)


@strawberry.mutation(
    description="Puts labels on samples, sets them, or takes them off; one change, however many samples. Refused "
    "with EMPTY_SELECTION for an empty list of ids, LABEL_NOT_FOUND, COUNT_MISMATCH or CONFLICT. For shapes there "
    "is `annotateSamples`."
)
async def label_samples(info: Info, input: Input[LabelSamplesInput]) -> LabelSamplesPayload:
    how = LabelWith(
        labels=input.labels,
        mode=enum_name(input.mode),
        create_missing=input.create_missing,
        expected_count=input.expected_count,
        expected_revision=input.expected_revision,
    )
    return LabelSamplesPayload(**await change_labels(info, input, label, how))


@strawberry.mutation(
    description="Turns one label into another on the selected samples alone. Samples without `from` stay "
    "unchanged. Shapes are kept, with the new label; where `to` is there already, a `from` of the whole image is "
    "just taken off. Refused with EMPTY_SELECTION for an empty list of ids, LABEL_NOT_FOUND or COUNT_MISMATCH."
)
async def replace_sample_label(info: Info, input: Input[ReplaceSampleLabelInput]) -> ReplaceSampleLabelPayload:
    how = ReplaceWith(
        before=input.from_,
        after=input.to,
        create_missing=input.create_missing,
        expected_count=input.expected_count,
    )
    return ReplaceSampleLabelPayload(**await change_labels(info, input, replace_label, how))


async def change_labels(
    info: Info, input: LabelSamplesInput | ReplaceSampleLabelInput, change: Callable[..., Any], how: Any
) -> dict[str, Any]:
    """The fields of a Labelling: `change` is applied to the selected samples."""
    samples, by = selected(info, input, input.expected_count), info.context.identity
    outcome = await write(
        info, lambda session: change(session, samples.dataset, samples.selection, how, by=by), Labelled
    )
    return labelling(outcome, samples.not_found(outcome.not_found))


@strawberry.mutation(
    description="Deletes samples from the working set. Their files stay unless `deleteSources` is given, and no "
    "sync brings them back unless they change or `restoreRemoved` is given. Refused with EMPTY_SELECTION for an "
    "empty list of ids, or COUNT_MISMATCH."
)
async def delete_samples(info: Info, input: Input[DeleteSamplesInput]) -> DeleteSamplesPayload:
    samples, by = selected(info, input, input.expected_count), info.context.identity
    outcome = await write(
        info,
        lambda session: delete(
            session,
            samples.dataset,
            samples.selection,
            by=by,
            delete_sources=input.delete_sources,
            expected_count=input.expected_count,
            dry_run=input.dry_run,
        ),
        Deleted,
    )
    return DeleteSamplesPayload(
        deleted=outcome.deleted,
        not_found=samples.not_found(outcome.not_found),
        **await delete_sources(info, outcome, outcome.deleted),
    )
