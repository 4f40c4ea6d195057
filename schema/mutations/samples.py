"""labelSamples, replaceSampleLabel, deleteSamples."""

from enum import Enum
from typing import Annotated

import strawberry

from db.labelling.samples.delete import delete
from db.labelling.samples.label import LabelWith, ReplaceWith, label, replace_label
from db.labelling.samples.outcomes import Deleted, Labelled
from schema.inputs.filters import SampleSelection
from schema.inputs.selections import selected
from schema.mutations.payloads import NOT_FOUND, Labelling, WithSources, change_of, dataset_of, impacts, labelling
from schema.mutations.resolver import Info, given, number, word, write
from schema.mutations.sources import delete_objects, failures

EXPECTED_COUNT = (
    "Refuse with COUNT_MISMATCH unless exactly so many samples are selected. With it, a filter without a criterion is "
    "accepted."
)


@strawberry.enum(description="How labels are put on samples.")
class LabelingMode(Enum):
    ADD = strawberry.enum_value(
        "ADD",
        description="Put the labels on whole images; what is there stays, with shapes or without.",
    )
    SET = strawberry.enum_value(
        "SET",
        description="Exactly these labels, shapes of them kept; others go with their shapes, and with `[]` all go.",
    )
    REMOVE = strawberry.enum_value(
        "REMOVE", description="Take the labels off, with all their shapes; without any left, it is UNLABELED."
    )


@strawberry.input(description="Labels for samples.")
class LabelSamplesInput:
    dataset_id: strawberry.ID = strawberry.field(description="Global id of the dataset.")
    select: SampleSelection = strawberry.field(
        description="Which samples: at most 1,000 ids, or a filter or all without limit."
    )
    labels: list[str] = strawberry.field(description="Names of at most 100 labels; one given twice counts once.")
    mode: LabelingMode = strawberry.field(default=LabelingMode.ADD, description="How the labels are put.")
    create_missing: bool = strawberry.field(
        default=False, description="Make labels that the dataset has not; otherwise they are LABEL_NOT_FOUND."
    )
    expected_count: int | None = strawberry.field(default=None, description=EXPECTED_COUNT)
    expected_revision: int | None = strawberry.field(
        default=None,
        description="Refuse with CONFLICT unless the dataset is still at this revision; `details` hold the current "
        "`revision` and the ids of at most 100 `changes` since. Without it the last writer wins.",
    )


@strawberry.type(description="The outcome of `labelSamples`.")
class LabelSamplesPayload(Labelling):
    pass


@strawberry.input(description="One label to be turned into another, on some samples.")
class ReplaceSampleLabelInput:
    dataset_id: strawberry.ID = strawberry.field(description="Global id of the dataset.")
    select: SampleSelection = strawberry.field(
        description="Which samples: at most 1,000 ids, or a filter or all without limit."
    )
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
class DeleteSamplesInput:
    dataset_id: strawberry.ID = strawberry.field(description="Global id of the dataset.")
    select: SampleSelection = strawberry.field(
        description="Which samples: at most 1,000 ids, or a filter or all without limit."
    )
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


@strawberry.type
class SampleMutations:
    @strawberry.mutation(
        description="Puts labels on samples, sets them, or takes them off; one change, however many samples. Refused "
        "with EMPTY_SELECTION for an empty list of ids, LABEL_NOT_FOUND, COUNT_MISMATCH or CONFLICT. For shapes there "
        "is `annotateSamples`."
    )
    async def label_samples(self, info: Info, input: Annotated[LabelSamplesInput, given()]) -> LabelSamplesPayload:
        id, by = number(input.dataset_id, "Dataset"), info.context.identity
        wanted = selected(info, input.select, input.expected_count)
        how = LabelWith(
            labels=input.labels,
            mode=word(input.mode),
            create_missing=input.create_missing,
            expected_count=input.expected_count,
            expected_revision=input.expected_revision,
        )
        outcome = await write(info, lambda session: label(session, id, wanted.selection, how, by=by), Labelled)
        return LabelSamplesPayload(**labelling(outcome, wanted.not_found(outcome.not_found)))

    @strawberry.mutation(
        description="Turns one label into another on the selected samples alone. Samples without `from` stay "
        "unchanged. Shapes are kept, with the new label; where `to` is there already, a `from` of the whole image is "
        "just taken off. Refused with EMPTY_SELECTION for an empty list of ids, LABEL_NOT_FOUND or COUNT_MISMATCH."
    )
    async def replace_sample_label(
        self, info: Info, input: Annotated[ReplaceSampleLabelInput, given()]
    ) -> ReplaceSampleLabelPayload:
        id, by = number(input.dataset_id, "Dataset"), info.context.identity
        wanted = selected(info, input.select, input.expected_count)
        how = ReplaceWith(
            before=input.from_,
            after=input.to,
            create_missing=input.create_missing,
            expected_count=input.expected_count,
        )
        outcome = await write(info, lambda session: replace_label(session, id, wanted.selection, how, by=by), Labelled)
        return ReplaceSampleLabelPayload(**labelling(outcome, wanted.not_found(outcome.not_found)))

    @strawberry.mutation(
        description="Deletes samples from the working set. Their files stay unless `deleteSources` is given, and no "
        "sync brings them back unless they change or `restoreRemoved` is given. Refused with EMPTY_SELECTION for an "
        "empty list of ids, or COUNT_MISMATCH."
    )
    async def delete_samples(self, info: Info, input: Annotated[DeleteSamplesInput, given()]) -> DeleteSamplesPayload:
        id, by = number(input.dataset_id, "Dataset"), info.context.identity
        wanted = selected(info, input.select, input.expected_count)
        outcome = await write(
            info,
            lambda session: delete(
                session,
                id,
                wanted.selection,
                by=by,
                delete_sources=input.delete_sources,
                expected_count=input.expected_count,
                dry_run=input.dry_run,
            ),
            Deleted,
        )
        result = await delete_objects(info, outcome.change, outcome.deleted if outcome.with_sources else 0)
        return DeleteSamplesPayload(
            deleted=outcome.deleted,
            not_found=wanted.not_found(outcome.not_found),
            deleted_sources=result.deleted,
            failed_sources=failures(result),
            warnings=impacts(outcome.warnings),
            dataset=dataset_of(outcome.dataset_id),
            change=change_of(outcome.change),
        )
