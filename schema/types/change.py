from datetime import datetime
from typing import Optional

import strawberry

from schema.types.node import Node


@strawberry.type(description="A committed change of the working set of a dataset.")
class Change(Node):
    revision: int = strawberry.field(
        description="The revision of the dataset that the change created: 1, 2, 3 … without gaps."
    )
    kind: str = strawberry.field(description="What was done, such as `LABEL_SAMPLES` or `SYNC`.")
    actor: str = strawberry.field(description="Name of the token that made the change.")
    created_at: datetime = strawberry.field(description="When the change was committed.")
    summary: str = strawberry.field(description="What was done, in one sentence.")
    is_undoable: bool = strawberry.field(
        description="Whether the change can be undone. False if it deleted source files."
    )
    undone_by: Optional["Change"] = strawberry.field(
        description="The change that undid this one. Null if it was not undone."
    )
