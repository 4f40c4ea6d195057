from datetime import datetime

import strawberry

from schema.types.label import Label
from schema.types.node import LazyDataset, Node


@strawberry.type
class SuggestionCounts:
    suggested_count: int = strawberry.field(
        description="Number of its suggestions: the sum of the four counts below. A suggestion that a later one of the "
        "same model replaced is not counted."
    )
    pending_count: int = strawberry.field(description="Number of suggestions that nobody has decided.")
    accepted_count: int = strawberry.field(
        description="Number of suggestions that were right: confirmed as they were, or the same was confirmed when "
        "someone labelled, or decided the suggestion of another model."
    )
    rejected_count: int = strawberry.field(
        description="Number of suggestions that were rejected, or whose label was taken away when someone labelled."
    )
    corrected_count: int = strawberry.field(
        description="Number of suggestions that got another label or shape, or that other labels replaced."
    )
    precision: float | None = strawberry.field(
        description="`acceptedCount` as a share of all decided suggestions, 0–1. Null before anything was decided."
    )


@strawberry.type(description="How good the suggestions of a label by a model were.")
class ModelLabel(SuggestionCounts):
    label: Label = strawberry.field(description="The label that was suggested.")


@strawberry.type(
    description="A version of a model that has suggested annotations in a dataset: `suggestAnnotations`. The counts "
    "are of the working set: undoing a decision, or deleting the sample or the label, takes it back."
)
class Model(SuggestionCounts, Node):
    dataset: LazyDataset = strawberry.field(description="The dataset.")
    name: str = strawberry.field(description="Name of the model.")
    model_version: str = strawberry.field(description="Version of the model.")
    created_at: datetime = strawberry.field(description="When it first suggested something.")
    last_suggested_at: datetime = strawberry.field(description="When it last suggested something new.")
    labels: list[ModelLabel] = strawberry.field(
        description="The labels that it has suggested, in the order of creation, each with its counts."
    )
