from datetime import datetime
from typing import Annotated, Optional

import strawberry

from schema.enums import SampleOrder, VersionStatus
from schema.inputs.filters import SampleFilter
from schema.types.job import ManifestJob
from schema.types.label import Label
from schema.types.node import LazyDataset, Node, compiled
from schema.types.pagination import After, Before, Connection, First, Last
from schema.types.sample import Sample


@strawberry.type(
    description="How many samples there are, and in which state. `totalCount` is the sum of the three others."
)
class Statistics:
    total_count: int = strawberry.field(description="All samples.")
    labeled_count: int = strawberry.field(description="Samples with at least one confirmed label.")
    unlabeled_count: int = strawberry.field(description="Samples with no label at all.")
    pending_count: int = strawberry.field(description="Samples with nothing but unconfirmed machine suggestions.")


def page_of_samples(
    filter: Annotated[SampleFilter | None, strawberry.argument(description="Only samples like this.")] = None,
    order_by: Annotated[SampleOrder, strawberry.argument(description="The order.")] = SampleOrder.NEWEST,
    first: First = None,
    after: After = None,
    last: Last = None,
    before: Before = None,
) -> Connection[Sample]:
    """The field `samples`, of datasets and versions."""
    compiled()


@strawberry.type(
    description="A published state of a working set. It never changes: whatever happens to labels, samples and names "
    "later, it answers as on the day it was published. Samples whose image is gone say `isSourceAvailable: false`."
)
class Version(Node):
    dataset: LazyDataset = strawberry.field(description="The dataset it was published from, as that is now.")
    name: str = strawberry.field(description="Unique in its dataset.")
    description: str = strawberry.field(description="Free text of at most 256 characters.")
    status: VersionStatus = strawberry.field(description="Whether it can be used.")
    is_current: bool = strawberry.field(description="Whether the working set is based on it.")
    parent: Optional["Version"] = strawberry.field(
        description="The version that the working set was based on when this one was published; null for the first, "
        "and when that one was deleted."
    )
    created_at: datetime = strawberry.field(description="When it was published.")
    created_by: str = strawberry.field(description="Who published it: the name of a token.")
    statistics: Statistics = strawberry.field(description="How many samples it has in which state. Costs nothing.")
    labels: list[Label] = strawberry.field(
        description="Its labels under the names they had, with the counts they had, in the order of their creation."
    )

    samples = strawberry.field(
        page_of_samples,
        description="Its samples, as they were. `usage` is `TRAIN` for every labelled sample, unless the version was "
        "split or the sample marked otherwise.",
    )

    manifest_path: str | None = strawberry.field(
        description="Where its manifest lies, once it is written; null for a dataset without an output path."
    )
    manifest_job: ManifestJob | None = strawberry.field(
        description="The latest job that writes its manifest, with its error if it failed; null for a dataset without "
        "an output path."
    )
