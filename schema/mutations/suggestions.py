"""suggestAnnotations, decideSuggestions."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

import strawberry

from db.concurrency_limits import Turns
from db.errors import Invalid
from db.labelling.suggestions.decide import DecideWith, decide
from db.labelling.suggestions.suggest import SampleSuggestions, Suggestion, SuggestWith, suggest
from schema.enums import SuggestionDecision, enum_name
from schema.inputs.limits import MAX_ITEMS
from schema.inputs.models import ModelInput, model_name
from schema.inputs.shapes import ShapeInput, plain_shape
from schema.mutations.annotations import label_of, sample_number
from schema.mutations.payloads import NOT_FOUND, NOT_FOUND_PATHS, WithChange, WithDryRun
from schema.mutations.resolver import LABEL_IDS, Info, number, only, only_labels, write
from schema.mutations.samples import SelectedSamplesInput, not_found, selected
from schema.references import reference, references
from schema.types.sample import Sample

SAMPLES = (
    "The samples after the mutation. Selected by ids or paths, all that were found, in that order; selected otherwise, "
    "the newest, at most 100."
)


@strawberry.input(description="An annotation that a model suggests.")
class SuggestionInput:
    label: str | None = strawberry.field(default=None, description="Name of the label.")
    label_id: strawberry.ID | None = strawberry.field(
        default=None, description="Global id of the label, instead of `label`."
    )
    shape: ShapeInput | None = strawberry.field(
        default=None, description="The shape on the image. Null: the label is suggested for the whole image."
    )
    confidence: float = strawberry.field(description="How sure the model is: 0–1, both included.")


@strawberry.input(description="Everything that a model suggests of one sample.")
class SampleSuggestionsInput:
    sample_id: strawberry.ID | None = strawberry.field(default=None, description="Global id of the sample.")
    path: str | None = strawberry.field(
        default=None, description="Path of the sample below the input path, instead of `sampleId`."
    )
    annotations: list[SuggestionInput] = strawberry.field(
        metadata={MAX_ITEMS: 10_000},
        description="The suggestions. Of two with the same label and shape the surer one counts. An empty list, with "
        "`replace`, withdraws what the model suggested before.",
    )


@strawberry.input(description="A model, and what it suggests of samples.")
class SuggestAnnotationsInput:
    dataset_id: strawberry.ID = strawberry.field(description="Global id of the dataset.")
    model: ModelInput = strawberry.field(
        description="The model. It is listed in `Dataset.models` from then on. Its name and version have no control "
        "characters, and no white space at the ends."
    )
    samples: list[SampleSuggestionsInput] = strawberry.field(
        description="At most 1,000 samples with at most 100,000 suggestions in total; a sample can have at most "
        "10,000 annotations and suggestions."
    )
    replace: bool = strawberry.field(
        default=True,
        description="Withdraw the undecided suggestions of this model, in any version, on these samples that it does "
        "not repeat. Without it, they stay, in addition to the new ones.",
    )
    create_missing: bool = strawberry.field(
        default=False,
        description="Create labels that do not exist in the dataset. Without it, an unknown label is refused with "
        "LABEL_NOT_FOUND.",
    )


@strawberry.type(description="Return type of `suggestAnnotations`.")
class SuggestAnnotationsPayload(WithChange):
    matched_count: int = strawberry.field(description="Number of samples that were found.")
    changed_count: int = strawberry.field(description="Number of samples whose suggestions changed.")
    suggested_count: int = strawberry.field(
        description="Number of the given suggestions that wait for a decision now, those that already did included."
    )
    kept_count: int = strawberry.field(
        description="Number of the given suggestions of what is confirmed already, which stays as it is."
    )
    rejected_before_count: int = strawberry.field(
        description="Number of the given suggestions that were rejected or corrected before, and are not made again."
    )
    not_found_ids: list[strawberry.ID] = strawberry.field(description=NOT_FOUND)
    not_found_paths: list[str] = strawberry.field(description=NOT_FOUND_PATHS)
    samples: list[Sample] = strawberry.field(description=SAMPLES)


@strawberry.input(
    description="Which suggestions to decide, and how. All given conditions must match; without any, all suggestions "
    "of the selected samples are decided."
)
class DecideSuggestionsInput(SelectedSamplesInput):
    decision: SuggestionDecision = strawberry.field(description="Whether to accept or to reject them.")
    labels: list[str] | None = strawberry.field(
        default=None,
        description="Only suggestions of these labels. Together with `labelIds` at most 100; duplicates are ignored.",
    )
    label_ids: list[strawberry.ID] | None = strawberry.field(default=None, description=LABEL_IDS)
    models: list[ModelInput] | None = strawberry.field(
        default=None,
        description="Only suggestions of these models, at most 100. Suggestions from an import have no model.",
    )
    min_confidence: float | None = strawberry.field(
        default=None,
        description="Only suggestions with at least this confidence, 0–1. A suggestion without a confidence has 0.",
    )
    max_confidence: float | None = strawberry.field(
        default=None,
        description="Only suggestions with at most this confidence, 0–1. A suggestion without a confidence has 0.",
    )
    expected_count: int | None = strawberry.field(
        default=None,
        description="Refuse with COUNT_MISMATCH unless exactly this many suggestions would be decided. With it, a "
        "filter without conditions is accepted.",
    )
    dry_run: bool = strawberry.field(
        default=False, description="Return what the mutation would do, and change nothing."
    )


@strawberry.type(description="Return type of `decideSuggestions`. For a dry run, what the mutation would do.")
class DecideSuggestionsPayload(WithDryRun):
    suggestion_count: int = strawberry.field(description="Number of decided suggestions.")
    sample_count: int = strawberry.field(description="Number of samples that had them.")
    not_found_ids: list[strawberry.ID] = strawberry.field(description=NOT_FOUND)
    not_found_paths: list[str] = strawberry.field(description=NOT_FOUND_PATHS)
    samples: list[Sample] = strawberry.field(description=SAMPLES)


async def sample_suggestions(samples: Iterable[Mapping[str, Any]]) -> list[SampleSuggestions]:
    """Straight from the coerced values, as in `annotateSamples`."""
    turns, suggestions = Turns(), []
    for sample in samples:
        annotations = []
        for one in sample["annotations"]:
            await turns.step()
            label = label_of(one, sample, "annotations")
            annotations.append(Suggestion(label, one["confidence"], plain_shape(one.get("shape"))))
        suggestions.append(SampleSuggestions(sample_number(sample), annotations, sample.get("path")))
    return suggestions


SampleSuggestionsInput.__strawberry_definition__.from_input = lambda _type, value, _context: value  # type: ignore[attr-defined]


@strawberry.mutation(
    description="Records what a model suggests, as annotations that are not confirmed until someone decides: with "
    "`decideSuggestions`, or by labelling. Confirmed annotations never change, and what was rejected of the same "
    "version of the model is not suggested again. One change for any number of samples. Refused with EMPTY_SELECTION "
    "without samples, LABEL_NOT_FOUND, INVALID_NAME, and VALIDATION_FAILED for a shape or confidence that cannot be."
)
async def suggest_annotations(info: Info, input: SuggestAnnotationsInput) -> SuggestAnnotationsPayload:
    samples = cast(Sequence[Mapping[str, Any]], input.samples)  # as they were coerced
    id, by, limit = number(input.dataset_id, "Dataset"), info.context.identity, info.context.limits.max_ids
    if len(samples) > limit:
        raise Invalid(f"At most {limit} samples are accepted in one call.", most=limit, given=len(samples))
    suggestions = await sample_suggestions(samples)
    model = model_name(input.model)
    how = SuggestWith(model=model, replace=input.replace, create_missing=input.create_missing)
    outcome = await write(info, suggest, id, suggestions, how, by=by)
    missing = frozenset(outcome.not_found)
    given = ((each.get("sampleId"), one.sample) for each, one in zip(samples, suggestions, strict=True))
    return SuggestAnnotationsPayload(
        matched_count=outcome.matched,
        changed_count=outcome.changed,
        suggested_count=outcome.suggested,
        kept_count=outcome.kept,
        rejected_before_count=outcome.rejected_before,
        not_found_ids=list(dict.fromkeys(id for id, sample in given if id is not None and sample in missing)),
        not_found_paths=list(outcome.not_found_paths),
        samples=references("Sample", outcome.samples),
        dataset=reference("Dataset", outcome.dataset_id),
        change=reference("Change", outcome.change),
    )


@strawberry.mutation(
    description="Accepts or rejects suggestions of models, in one change for any number of them. Accepting confirms "
    "them; what other models suggested alike was right, too. A rejected suggestion goes, and the same version of the "
    "model does not suggest it again. Undoing the change makes them suggestions again. Refused with EMPTY_SELECTION "
    "for an empty list, LABEL_NOT_FOUND, NOT_FOUND for a model, or COUNT_MISMATCH."
)
async def decide_suggestions(info: Info, input: DecideSuggestionsInput) -> DecideSuggestionsPayload:
    how = DecideWith(
        decision=enum_name(input.decision),
        labels=only_labels(input.labels, input.label_ids),
        models=[model_name(each) for each in only(input.models, "models")],
        min_confidence=input.min_confidence,
        max_confidence=input.max_confidence,
        expected_count=input.expected_count,
        dry_run=input.dry_run,
    )
    id, selection = number(input.dataset_id, "Dataset"), selected(info, input, input.expected_count)
    outcome = await write(info, decide, id, selection, how, by=info.context.identity)
    return DecideSuggestionsPayload(
        suggestion_count=outcome.suggestions,
        sample_count=outcome.sample_count,
        not_found_ids=not_found(input, outcome.not_found),
        not_found_paths=list(outcome.not_found_paths),
        samples=references("Sample", outcome.samples),
        dataset=reference("Dataset", outcome.dataset_id),
        change=reference("Change", outcome.change),
    )
