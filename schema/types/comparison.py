from typing import Annotated

import strawberry

from schema.enums import SampleChangeKind
from schema.types.label import Label
from schema.types.node import compiled
from schema.types.pagination import After, Before, Connection, First, Last
from schema.types.sample import Sample


@strawberry.type(description="A sample that differs between two states.")
class SampleChange:
    kind: SampleChangeKind = strawberry.field(description="How the sample differs.")
    sample: Sample = strawberry.field(
        description="The sample in the head. For a removed sample, the sample in the base."
    )
    added_label_names: list[str] = strawberry.field(
        description="Names of the labels that the sample has only in the head, as they are named there. All labels of "
        "an added sample."
    )
    removed_label_names: list[str] = strawberry.field(
        description="Names of the labels that the sample has only in the base, as they are named there. All labels of "
        "a removed sample."
    )


@strawberry.type(description="A label that differs between two states.")
class LabelChange:
    before: Label | None = strawberry.field(description="The label in the base. Null if it is only in the head.")
    after: Label | None = strawberry.field(description="The label in the head. Null if it is only in the base.")


@strawberry.type(
    description="The differences between two states of a dataset, the base and the head. The time to compute them "
    "depends on how much changed in between, not on the size of the dataset."
)
class Comparison:
    added_count: int = strawberry.field(description="Number of samples that are only in the head.")
    removed_count: int = strawberry.field(description="Number of samples that are only in the base.")
    relabeled_count: int = strawberry.field(description="Number of samples that are in both, with different labels.")
    edited_count: int = strawberry.field(
        description="Number of samples that are in both with the same labels, but were changed in between: other "
        "shapes, marks or another file, or a change that was later reversed. `changes` does not contain them."
    )
    labels: list[LabelChange] = strawberry.field(
        description="The labels that were created or deleted, or have another name, colour or shortcut, in the order "
        "of their ids."
    )

    @strawberry.field(description="The samples that differ, in the order of their ids.")
    def changes(
        self,
        kind: Annotated[
            SampleChangeKind | None, strawberry.argument(description="Return only samples that differ in this way.")
        ] = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[SampleChange]:
        compiled()
