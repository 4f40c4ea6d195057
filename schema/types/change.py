from datetime import datetime
from typing import Optional

import strawberry

from schema.enums import ChangeKind
from schema.types.label import Label
from schema.types.node import LazyDataset, Node
from schema.types.pagination import connection_of
from schema.types.sample import Sample


@strawberry.type(
    description="A committed change of the working set of a dataset. `samples`, `labels` and `deletedSampleIds` tell a "
    "client that shows them what to read again and what to remove."
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
        "The samples that the change added or updated and that still exist, in their current state, ordered by id. "
        "Renaming a label updates no sample.",
    )

    sample_count: int = strawberry.field(
        description="Number of `samples`: the same as their `totalCount`. Counted when selected."
    )
    deleted_sample_ids: list[strawberry.ID] = strawberry.field(
        description="Ids of the samples that the change removed and that have not been restored: the first 1,000, "
        "ordered by id."
    )
    deleted_sample_count: int = strawberry.field(
        description="Number of samples that the change removed and that have not been restored. It may be higher than "
        "the number of `deletedSampleIds`."
    )
    labels: list[Label] = strawberry.field(
        description="The labels that the change created, or whose name, colour or shortcut it changed, and that still "
        "exist, in their current state. Labels whose counts alone changed are not included: see `Dataset.labels`."
    )
    is_undoable: bool = strawberry.field(
        description="Whether the change can be undone. False if it deleted source files."
    )
    is_undoable_by_viewer: bool = strawberry.field(
        description="Whether the change can be undone and the token is permitted to undo it. The scope `manage` "
        "permits it for every change, `label` for changes by which the same token name labelled, or undid such a "
        "change. Later changes of the same samples or labels may still prevent it (CONFLICT)."
    )
    undone_by: Optional["Change"] = strawberry.field(
        description="The change that undid this one. Null if it was not undone."
    )
