"""Facets: the samples of a list, counted by their values. And the connection that has them."""

from typing import Annotated

import strawberry

from schema.enums import SampleState, SampleUsage
from schema.types.label import Label
from schema.types.node import compiled
from schema.types.pagination import Connection, Edge
from schema.types.sample import DISTANCE, Sample

First = Annotated[
    int | None,
    strawberry.argument(
        description="List at most this many values: 0 to `serverInfo { maxPageSize }`, which is 100 by default. "
        "Default: 50."
    ),
]
COUNT = "Number of samples with this value."


@strawberry.type(description="A labelling state and how many samples are in it.")
class StateFacet:
    value: SampleState = strawberry.field(description="The state.")
    count: int = strawberry.field(description=COUNT)


@strawberry.type(description="A label and how many samples have it.")
class LabelFacet:
    label: Label = strawberry.field(description="The label.")
    count: int = strawberry.field(description="Number of samples of the list that have this label, confirmed.")


@strawberry.type(description="A name and how many samples were last labelled under it.")
class LabelerFacet:
    value: str = strawberry.field(description="The name: a value for `SampleFilter.labeledBy`.")
    count: int = strawberry.field(description=COUNT)


@strawberry.type(description="A directory and how many samples are below it.")
class DirectoryFacet:
    value: str = strawberry.field(
        description="Path of the directory below the input path, in Unicode's NFC: a value for "
        "`PathFilter.directory` with `recursive: true`, and for `under`."
    )
    count: int = strawberry.field(description="Number of samples in this directory and all its subdirectories.")


@strawberry.type(description="A usage and how many samples have it.")
class UsageFacet:
    value: SampleUsage = strawberry.field(description="The usage.")
    count: int = strawberry.field(description=COUNT)


@strawberry.type(
    description="The samples of a list, counted by their values. All samples that match the filter count, on whatever "
    "page. Values without samples are not listed. Values with more samples come first, and those with as many in code "
    "point order. Only what is selected is counted; with a filter, the server reads all matching samples, once for all "
    "facets."
)
class SampleFacets:
    states: list[StateFacet] = strawberry.field(description="Samples by `state`.")

    @strawberry.field(
        description="Samples by label. A sample with several labels counts for each of them; suggestions do not count."
    )
    def labels(self, first: First = None) -> list[LabelFacet]:
        compiled()

    @strawberry.field(description="Samples by `labeledBy`. Samples without labels do not count.")
    def labelers(self, first: First = None) -> list[LabelerFacet]:
        compiled()

    @strawberry.field(
        description="Samples by directory: the directories that are directly in `under`, each with all samples below "
        "it. Samples that are in `under` itself do not count."
    )
    def directories(
        self,
        under: Annotated[
            str,
            strawberry.argument(description="Path of a directory below the input path. Empty: the input path itself."),
        ] = "",
        first: First = None,
    ) -> list[DirectoryFacet]:
        compiled()

    usages: list[UsageFacet] = strawberry.field(description="Samples by `usage`. Samples without one do not count.")
    hard_count: int = strawberry.field(description="Number of samples that are marked as hard examples.")


@strawberry.type(description="An item of a page and its cursor.")
class SampleEdge(Edge[Sample]):
    distance: float | None = strawberry.field(
        description=f"How far the sample is from `near`. {DISTANCE} Null without `near`."
    )


@strawberry.type(description="A page of a list of samples.")
class SampleConnection(Connection[Sample]):
    edges: list[SampleEdge] = strawberry.field(description="The items of the page, each with its cursor.")  # type: ignore[assignment]
    facets: SampleFacets = strawberry.field(description="All samples of the list, counted by their values.")
