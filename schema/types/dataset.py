from datetime import datetime
from typing import Annotated

import strawberry

from schema.enums import DatasetType, LabelNameRule
from schema.inputs.filters import SampleSelectionInput
from schema.types.change import Change
from schema.types.comparison import Comparison
from schema.types.delete_impact import DeleteImpact
from schema.types.job import Job
from schema.types.label import Label
from schema.types.node import Node, compiled
from schema.types.pagination import connection_of
from schema.types.sample import Sample
from schema.types.version import Statistics, Version, page_of_samples


@strawberry.type(description="A set of images with their labels: the working set that everybody labels.")
class Dataset(Node):
    name: str = strawberry.field(description="Unique on this server: 1–100 of `A–Z a–z 0–9 _ -`.")
    description: str = strawberry.field(description="Free text of at most 256 characters.")
    type: DatasetType = strawberry.field(description="What its annotations are. Never changes.")
    input_path: str = strawberry.field(
        description="Where the images lie: a directory below one of the server's allowed roots, or "
        "`s3://bucket/prefix/`. Never changes."
    )
    output_path: str | None = strawberry.field(description="Where published versions are written to, if anywhere.")
    include: list[str] = strawberry.field(
        description="Patterns of the images that a sync takes, as for `createDataset`; empty: all that are not hidden."
    )
    exclude: list[str] = strawberry.field(description="Patterns of the files that a sync passes over.")
    label_names: LabelNameRule = strawberry.field(description="Which names its labels may have.")
    created_at: datetime = strawberry.field(description="When the dataset was created.")
    updated_at: datetime = strawberry.field(description="When it, or anything in its working set, last changed.")
    revision: int = strawberry.field(
        description="Number of committed changes of the working set. Pass it as `expectedRevision` to be refused when "
        "somebody else was quicker."
    )
    statistics: Statistics = strawberry.field(description="How many samples are in which state. Costs nothing.")
    labels: list[Label] = strawberry.field(
        description="All labels, in the order of their creation; those on no sample too."
    )

    @strawberry.field(description="The label of this name (case-sensitive), or null.")
    def label(self, name: Annotated[str, strawberry.argument(description="The exact name.")]) -> Label | None:
        compiled()

    @strawberry.field(description="The sample whose image lies at this path, or null.")
    def sample(
        self, path: Annotated[str, strawberry.argument(description="The path below the dataset's input path.")]
    ) -> Sample | None:
        compiled()

    labelers: list[str] = strawberry.field(
        description="Who last labelled some sample, in code point order: the choices of the `labeledBy` filter."
    )

    samples = strawberry.field(page_of_samples, description="The samples of the working set.")

    current_version: Version | None = strawberry.field(
        description="The version that the working set is based on: the one published or switched to last. Null before "
        "the first, and when it was deleted."
    )
    has_unpublished_changes: bool = strawberry.field(
        description="Whether the working set was changed since it was equal to `currentVersion`; without one, ever. "
        "`comparison` says what differs; what was changed and changed back is a change too, which going back to the "
        "version would undo."
    )

    @strawberry.field(description="The version of this name (case-sensitive), or null.")
    def version(self, name: Annotated[str, strawberry.argument(description="The exact name.")]) -> Version | None:
        compiled()

    versions = connection_of(Version, "The published versions, newest first.")

    @strawberry.field(
        description="What differs from one state of the dataset to another, sample by sample and label by label. "
        "VERSION_NOT_FOUND for a version that is not this dataset's."
    )
    def comparison(
        self,
        base_id: Annotated[strawberry.ID, strawberry.argument(description="Global id of the version to start from.")],
        head_id: Annotated[
            strawberry.ID | None,
            strawberry.argument(description="Global id of the version to end at; null for the working set."),
        ] = None,
    ) -> Comparison:
        compiled()

    @strawberry.field(
        description="What it would mean for others to delete these samples with their source files: ask before you "
        "pass `deleteSources`. Changes nothing."
    )
    def delete_impact(
        self,
        select: Annotated[
            SampleSelectionInput, strawberry.argument(description="Which samples: at most 1,000 ids, a filter, or all.")
        ],
    ) -> DeleteImpact:
        compiled()

    active_job: Job | None = strawberry.field(
        description="The sync or import that runs or waits for this dataset, if any."
    )

    jobs = connection_of(Job, "All jobs of the dataset, newest first.")

    changes = connection_of(
        Change, "Every committed change of the working set, newest first. Nothing is ever lost here."
    )
