"""labelSamples, replaceSampleLabel, updateSamples, deleteSamples."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any, cast

import strawberry

from db.errors import Invalid
from db.labelling.samples.delete import delete
from db.labelling.samples.label import LabelWith, ReplaceWith, replace_label
from db.labelling.samples.label_together import label_together
from db.labelling.samples.selection import Selection
from db.labelling.samples.update import update
from db.queries.filters import SampleFilter, has_criteria
from schema.enums import LabelingMode, SampleUsage, enum_name
from schema.inputs.filters import SampleSelectionInput, sample_filter
from schema.mutations.payloads import (
    EXPECTED_REVISION,
    NOT_FOUND,
    NOT_FOUND_PATHS,
    Labelling,
    WithSources,
    labelling,
)
from schema.mutations.resolver import (
    LABEL_IDS,
    Info,
    keyed,
    label_reference,
    label_references,
    number,
    values,
    write,
    written,
)
from schema.mutations.sources import delete_sources

FILTER = "select.filter"
EXPECTED_COUNT = (
    "Refuse with COUNT_MISMATCH unless exactly this many samples are selected. With it, a filter without conditions is "
    "accepted."
)


@strawberry.input
class SelectedSamplesInput:
    dataset_id: strawberry.ID = strawberry.field(description="Global id of the dataset.")
    select: SampleSelectionInput = strawberry.field(
        description="The samples: at most 1,000 ids or paths, or a filter or all without limit."
    )


@strawberry.input(description="The samples to label, and the labels.")
class LabelSamplesInput(SelectedSamplesInput):
    labels: list[str] = strawberry.field(
        default_factory=list,
        description="Names of labels. Together with `labelIds` at most 100; duplicates are ignored.",
    )
    label_ids: list[strawberry.ID] = strawberry.field(default_factory=list, description=LABEL_IDS)
    mode: LabelingMode = strawberry.field(
        default=LabelingMode.ADD, description="Whether to add, set or remove the labels."
    )
    create_missing: bool = strawberry.field(
        default=False,
        description="Create labels that do not exist in the dataset. Without it, an unknown label is refused with "
        "LABEL_NOT_FOUND.",
    )
    expected_count: int | None = strawberry.field(default=None, description=EXPECTED_COUNT)
    expected_revision: int | None = strawberry.field(default=None, description=EXPECTED_REVISION)


@strawberry.type(description="Return type of `labelSamples`.")
class LabelSamplesPayload(Labelling):
    pass


@strawberry.input(description="The samples, the label to replace, and the new label.")
class ReplaceSampleLabelInput(SelectedSamplesInput):
    from_: str | None = strawberry.field(name="from", default=None, description="Name of the label to replace.")
    from_id: strawberry.ID | None = strawberry.field(
        default=None, description="Global id of the label to replace, instead of `from`."
    )
    to: str | None = strawberry.field(default=None, description="Name of the new label.")
    to_id: strawberry.ID | None = strawberry.field(
        default=None, description="Global id of the new label, instead of `to`."
    )
    create_missing: bool = strawberry.field(
        default=False,
        description="Create the label `to` if it does not exist in the dataset. Without it, an unknown label is "
        "refused with LABEL_NOT_FOUND.",
    )
    expected_count: int | None = strawberry.field(default=None, description=EXPECTED_COUNT)


@strawberry.type(description="Return type of `replaceSampleLabel`.")
class ReplaceSampleLabelPayload(Labelling):
    pass


@strawberry.input(description="The samples to update, and the new values. Omitted fields stay unchanged.")
class UpdateSamplesInput(SelectedSamplesInput):
    is_hard: bool | None = strawberry.field(
        default=None, description="Whether the samples are hard examples. Null leaves it unchanged."
    )
    usage: strawberry.Maybe[SampleUsage | None] = strawberry.field(
        default=None, description="What the samples are used for. Null removes the usage."
    )
    expected_count: int | None = strawberry.field(default=None, description=EXPECTED_COUNT)
    expected_revision: int | None = strawberry.field(default=None, description=EXPECTED_REVISION)


@strawberry.type(description="Return type of `updateSamples`.")
class UpdateSamplesPayload(Labelling):
    pass


@strawberry.input(description="The samples to delete.")
class DeleteSamplesInput(SelectedSamplesInput):
    delete_sources: bool = strawberry.field(
        default=False,
        description="Also delete the source files, even if other datasets use them (see `impacts`). Cannot be undone.",
    )
    expected_count: int | None = strawberry.field(default=None, description=EXPECTED_COUNT)
    dry_run: bool = strawberry.field(
        default=False, description="Return what the mutation would do, and change nothing."
    )


@strawberry.type(description="Return type of `deleteSamples`. For a dry run, what the mutation would do.")
class DeleteSamplesPayload(WithSources):
    deleted_sample_count: int = strawberry.field(description="Number of deleted samples.")
    not_found_ids: list[strawberry.ID] = strawberry.field(description=NOT_FOUND)
    not_found_paths: list[str] = strawberry.field(description=NOT_FOUND_PATHS)


@strawberry.mutation(
    description="Adds, sets or removes labels of samples, in one change for any number of samples. Refused with "
    "EMPTY_SELECTION for an empty list of ids, LABEL_NOT_FOUND, COUNT_MISMATCH or CONFLICT. For shapes, use "
    "`annotateSamples`."
)
async def label_samples(info: Info, input: LabelSamplesInput) -> LabelSamplesPayload:
    how = values(LabelWith, input, labels=label_references(input.labels, input.label_ids))
    id, selection = number(input.dataset_id, "Dataset"), selected(info, input, input.expected_count)
    by, key = info.context.identity, keyed(info)
    outcome = written(info, await label_together(info.context.database, id, selection, how, by=by, keyed=key))
    return LabelSamplesPayload(**labelling(outcome, not_found(input, outcome.not_found)))


@strawberry.mutation(
    description="Replaces one label with another on the selected samples only. Samples without `from` stay unchanged. "
    "Shapes stay and get the new label; where a sample already has `to`, a `from` without a shape is removed. Refused "
    "with EMPTY_SELECTION for an empty list of ids, LABEL_NOT_FOUND or COUNT_MISMATCH."
)
async def replace_sample_label(info: Info, input: ReplaceSampleLabelInput) -> ReplaceSampleLabelPayload:
    before = label_reference(input.from_, input.from_id, "from")
    after = label_reference(input.to, input.to_id, "to")
    how = values(ReplaceWith, input, before=before, after=after)
    id, selection = number(input.dataset_id, "Dataset"), selected(info, input, input.expected_count)
    outcome = await write(info, replace_label, id, selection, how, by=info.context.identity)
    return ReplaceSampleLabelPayload(**labelling(outcome, not_found(input, outcome.not_found)))


@strawberry.mutation(
    description="Marks samples as hard examples or not, and sets their usage, in one change for any number of samples. "
    "Refused with EMPTY_SELECTION for an empty list of ids, COUNT_MISMATCH, CONFLICT, and VALIDATION_FAILED if "
    "neither is given."
)
async def update_samples(info: Info, input: UpdateSamplesInput) -> UpdateSamplesPayload:
    marks: dict[str, Any] = {} if input.is_hard is None else {"hard": input.is_hard}
    if input.usage is not None:
        marks["usage"] = enum_name(input.usage.value)
    outcome = await write(
        info,
        update,
        number(input.dataset_id, "Dataset"),
        selected(info, input, input.expected_count),
        marks,
        by=info.context.identity,
        expected_count=input.expected_count,
        expected_revision=input.expected_revision,
    )
    return UpdateSamplesPayload(**labelling(outcome, not_found(input, outcome.not_found)))


@strawberry.mutation(
    description="Deletes samples from the working set. Their files are kept unless `deleteSources` is true. A sync "
    "does not bring the samples back unless their files change or `restoreRemoved` is true. Refused with "
    "EMPTY_SELECTION for an empty list of ids, or COUNT_MISMATCH."
)
async def delete_samples(info: Info, input: DeleteSamplesInput) -> DeleteSamplesPayload:
    id, selection = number(input.dataset_id, "Dataset"), selected(info, input, input.expected_count)
    outcome = await write(
        info,
        delete,
        id,
        selection,
        by=info.context.identity,
        delete_sources=input.delete_sources,
        expected_count=input.expected_count,
        dry_run=input.dry_run,
    )
    return DeleteSamplesPayload(
        deleted_sample_count=outcome.deleted,
        not_found_ids=not_found(input, outcome.not_found),
        not_found_paths=list(outcome.not_found_paths),
        **await delete_sources(info, outcome, outcome.deleted),
    )


# -- selections --------------------------------------------------------------------------------------------------------


# An object of the class does not distinguish a null criterion from a missing one: the coerced value does.
SampleSelectionInput.__strawberry_definition__.from_input = lambda _type, value, _context: value  # type: ignore[attr-defined]


def selected(info: Info, input: SelectedSamplesInput, expected_count: int | None) -> Selection:
    return selection(info, cast(Mapping[str, Any], input.select), expected_count)


def selection(info: Info, select: Mapping[str, Any], expected_count: int | None = None) -> Selection:
    """Raises Invalid for a filter that may select more than the client meant."""
    limit = info.context.limits.max_ids
    match select:
        case {"ids": ids}:
            if len(ids) > limit:
                message = f"At most {limit} ids are accepted in one call; for more, select by filter."
                raise Invalid(message, most=limit, given=len(ids))
            return Selection(ids=tuple(number(id, "Sample") for id in ids))
        case {"paths": paths}:
            if len(paths) > limit:
                message = f"At most {limit} paths are accepted in one call; for more, select by filter."
                raise Invalid(message, most=limit, given=len(paths))
            return Selection(paths=tuple(paths))
        case {"filter": value}:
            return Selection(filter=narrowing_filter(value, expected_count))
        case {"all": True}:
            return Selection(filter=SampleFilter())
    raise Invalid("`select.all` must be true; to select fewer samples, give ids, paths or a filter.", path="select.all")


def not_found(input: SelectedSamplesInput, missing: Collection[int]) -> list[strawberry.ID]:
    """The ids of no sample, as the client wrote them."""
    ids = cast(Mapping[str, Any], input.select).get("ids", ())
    return [id for id in dict.fromkeys(ids) if number(id, "Sample") in missing]


def narrowing_filter(value: Mapping[str, Any], expected_count: int | None) -> SampleFilter:
    path = next(paths_without_value(value, FILTER), None)
    if path is not None:
        message = f"`{path}` is null or an empty list. In a mutation, leave it out or give it a value."
        raise Invalid(message, path=path)
    filter_ = sample_filter(value)
    if expected_count is None and not has_criteria(filter_):
        message = "The filter has no condition. To select every sample, use `select: {all: true}` or `expectedCount`."
        raise Invalid(message, path=FILTER)
    return filter_


def paths_without_value(value: object, path: str) -> Iterator[str]:
    """The paths of nulls and empty lists."""
    match value:
        case None | []:
            yield path
        case dict():
            for name, each in value.items():
                yield from paths_without_value(each, f"{path}.{name}")
        case list():
            for index, each in enumerate(value):
                yield from paths_without_value(each, f"{path}.{index}")
