from datetime import datetime
from typing import Optional

import strawberry

from schema.enums import ChangeKind
from schema.types.facets import SampleConnection
from schema.types.label import Label
from schema.types.node import LazyDataset, Node
from schema.types.pagination import page_of


@strawberry.type(
    description="A change of the working set of a dataset, which a mutation or a job made at once. To update a cache, "
    "query `samples` and `labels`, and evict `deletedSampleIds`."
)
class Change(Node):
    dataset: LazyDataset = strawberry.field(description="The dataset, as it is now.")
    revision: int = strawberry.field(
        description="Number of the change in its dataset: 1, 2, 3 … without gaps. `Dataset.revision` is that of the "
        "latest change."
    )
    kind: ChangeKind = strawberry.field(description="Which mutation or job made the change.")
    actor: str = strawberry.field(description="Name of the token that sent the mutation, or requested the job.")
    created_at: datetime = strawberry.field(
        description="When the change was made. Never earlier than that of the change before it."
    )
    summary: str = strawberry.field(
        description="What was done, as a short text in English, such as `Uploaded 3 images`. For people: programs use "
        "`kind`."
    )

    samples = page_of(
        SampleConnection,
        "The samples that the change added or updated, as they are now, in the order of their ids. Samples that no "
        "longer exist are left out. Renaming a label does not update its samples.",
    )

    sample_count: int = strawberry.field(description="Number of `samples`, the same as `samples { totalCount }`.")
    deleted_sample_ids: list[strawberry.ID] = strawberry.field(
        description="Global ids of the samples that the change deleted, without those that were restored since. At "
        "most 1,000, in the order of the ids."
    )
    deleted_sample_count: int = strawberry.field(
        description="Number of samples that the change deleted, without those that were restored since. Can be more "
        "than the 1,000 of `deletedSampleIds`."
    )
    labels: list[Label] = strawberry.field(
        description="The labels that the change created, or whose name, colour or shortcut it changed, as they are "
        "now. Labels that no longer exist are left out, and so are labels of which only `sampleCount` or "
        "`annotationCount` changed: for those, query `Dataset.labels`."
    )
    is_undoable: bool = strawberry.field(
        description="False if the change deleted source files: `undoChange` then refuses it."
    )
    is_undoable_by_viewer: bool = strawberry.field(
        description="Whether `isUndoable` is true and the token of the request may undo the change. A token with the "
        "scope MANAGE may undo every change; one with the scope LABEL may undo labelling that was done under its own "
        "name, and its own undoing of that. `undoChange` can still be refused with CONFLICT, if later changes affect "
        "the same samples or labels."
    )
    undone_by: Optional["Change"] = strawberry.field(
        description="The change that undid this one. Null if it was not undone."
    )
