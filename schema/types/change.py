from datetime import datetime
from typing import Optional

import strawberry

from schema.enums import ChangeKind
from schema.types.label import Label
from schema.types.node import LazyDataset, Node
from schema.types.pagination import connection_of
from schema.types.sample import Sample


@strawberry.type(
    description="A committed change of the working set of a dataset. A client that caches objects updates `samples` "
    "and `labels`, and removes `deletedSampleIds`."
)
class Change(Node):
    dataset: LazyDataset = strawberry.field(description="The dataset, in its current state.")
    revision: int = strawberry.field(
        description="The revision of the dataset that the change created: 1, 2, 3 … without gaps."
    )
    kind: ChangeKind = strawberry.field(description="What was done.")
    actor: str = strawberry.field(description="Name of the token that made the change.")
    created_at: datetime = strawberry.field(description="When the change was committed.")
    summary: str = strawberry.field(description="What was done, in one sentence.")

    samples = connection_of(
        Sample,
        "The samples that the change added or updated and that still exist, in their current state, in the order of "
        "their ids. Renaming a label does not update samples.",
    )

    sample_count: int = strawberry.field(
        description="Number of `samples`, the same as their `totalCount`. Counted only if selected."
    )
    deleted_sample_ids: list[strawberry.ID] = strawberry.field(
        description="Ids of the samples that the change deleted and that were not restored since: the first 1,000, in "
        "the order of their ids."
    )
    deleted_sample_count: int = strawberry.field(
        description="Number of samples that the change deleted and that were not restored since. Can be more than "
        "`deletedSampleIds` has."
    )
    labels: list[Label] = strawberry.field(
        description="The labels that the change created, or whose name, colour or shortcut it changed, and that still "
        "exist, in their current state. Labels whose counts alone changed are not included: see `Dataset.labels`."
    )
    is_undoable: bool = strawberry.field(
        description="Whether the change can be undone. False if it deleted source files."
    )
    is_undoable_by_viewer: bool = strawberry.field(
        description="Whether the token of the request may undo the change, and the change can be undone. The scope "
        "MANAGE allows it for every change, LABEL for labelling by a token of the same name and for undoing such "
        "labelling. Later changes of the same samples or labels can still prevent it (CONFLICT)."
    )
    undone_by: Optional["Change"] = strawberry.field(
        description="The change that undid this one. Null if it was not undone."
    )
