from datetime import datetime
from typing import Annotated, Optional

import strawberry

from schema.enums import VersionStatus
from schema.inputs.filters import SampleFilter
from schema.inputs.near import NearInput
from schema.inputs.orders import NEWEST_SAMPLES, SampleOrderInput
from schema.types.facets import SampleConnection
from schema.types.job import ManifestJob
from schema.types.label import Label
from schema.types.node import LazyDataset, Node, compiled
from schema.types.pagination import After, Before, First, Last


@strawberry.type(description="Number of samples by state. `totalCount` is the sum of the other three.")
class Statistics:
    total_count: int = strawberry.field(description="Number of samples.")
    labeled_count: int = strawberry.field(description="Number of samples with at least one confirmed label.")
    unlabeled_count: int = strawberry.field(description="Number of samples without labels.")
    pending_count: int = strawberry.field(description="Number of samples with only unconfirmed suggestions.")


def page_of_samples(
    filter: Annotated[
        SampleFilter | None, strawberry.argument(description="Return only samples that match this filter.")
    ] = None,
    order_by: Annotated[
        SampleOrderInput, strawberry.argument(description="The order of the items; newest first by default.")
    ] = NEWEST_SAMPLES,
    near: Annotated[
        NearInput | None,
        strawberry.argument(
            description="Return the samples whose embeddings are nearest to this, the nearest first: at most 1,000 "
            "in total. `orderBy` is ignored then. Needs `EMBEDDINGS` in `serverInfo { features }`."
        ),
    ] = None,
    first: First = None,
    after: After = None,
    last: Last = None,
    before: Before = None,
) -> SampleConnection:
    """The field `samples`, of datasets and versions."""
    compiled()


@strawberry.type(
    description="A published snapshot of the working set. It never changes: later changes of labels, samples and names "
    "do not affect it. Samples whose image is gone have `isSourceAvailable: false`."
)
class Version(Node):
    dataset: LazyDataset = strawberry.field(description="The dataset that it was published from, in its current state.")
    name: str = strawberry.field(description="Name, unique in the dataset.")
    description: str = strawberry.field(description="Free text, at most 256 characters.")
    status: VersionStatus = strawberry.field(description="Whether the version is ready to use.")
    is_current: bool = strawberry.field(description="Whether the working set is based on this version.")
    parent: Optional["Version"] = strawberry.field(
        description="The version that the working set was based on when this one was published. Null for the first "
        "version, and if the parent was deleted."
    )
    created_at: datetime = strawberry.field(description="When the version was published.")
    created_by: str = strawberry.field(description="Name of the token that published the version.")
    statistics: Statistics = strawberry.field(
        description="Number of samples in each state. Read from counters, so it is as fast as any other field."
    )
    labels: list[Label] = strawberry.field(
        description="The labels with the names and counts that they had when the version was published, in the order "
        "of creation."
    )

    samples = strawberry.field(
        page_of_samples,
        description="The samples as they were when the version was published. `usage` is `TRAIN` for every labelled "
        "sample, unless the version was split or the sample had another usage.",
    )

    manifest_path: str | None = strawberry.field(
        description="Location of the manifest. Null until it is written, and for a dataset without an output path."
    )
    manifest_job: ManifestJob | None = strawberry.field(
        description="The latest job that writes the manifest, with its `error` if it failed. Null for a dataset "
        "without an output path."
    )
