from typing import Annotated

import strawberry

from schema.enums import SampleChangeKind
from schema.types.label import Label
from schema.types.node import compiled
from schema.types.pagination import After, Before, Connection, First, Last
from schema.types.sample import Sample


@strawberry.type(description="A sample that differs between two states.")
class SampleChange:
    kind: SampleChangeKind = strawberry.field(description="What became of it.")
    sample: Sample = strawberry.field(
        description="The sample as it is in the head; a removed one as it was in the base."
    )
    added_label_names: list[str] = strawberry.field(
        description="Labels that it has in the head only, as the head calls them; all labels of an added sample."
    )
    removed_label_names: list[str] = strawberry.field(
        description="Labels that it has in the base only, as the base calls them; all labels of a removed sample."
    )


@strawberry.type(description="A label that differs between two states.")
class LabelChange:
    before: Label | None = strawberry.field(description="The label in the base; null if it is in the head only.")
    after: Label | None = strawberry.field(description="The label in the head; null if it is in the base only.")


@strawberry.type(
    description="The differences from one state of a dataset, the base, to another, the head. Costs what changed in "
    "between, however large the dataset is."
)
class Comparison:
    added_count: int = strawberry.field(description="How many samples are in the head only.")
    removed_count: int = strawberry.field(description="How many samples are in the base only.")
    relabeled_count: int = strawberry.field(description="How many samples are in both, with other labels.")
    edited_count: int = strawberry.field(
        description="How many samples are in both, with the same labels, and were written in between: other shapes, "
        "marks or another file, or back and forth. They are not among `changes`."
    )
    labels: list[LabelChange] = strawberry.field(
        description="The labels that were made or deleted, or have another name, colour or shortcut, in the order of "
        "their ids."
    )

    @strawberry.field(description="The samples that differ, in the order of their ids.")
    def changes(
        self,
        kind: Annotated[SampleChangeKind | None, strawberry.argument(description="Only these.")] = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[SampleChange]:
        compiled()
