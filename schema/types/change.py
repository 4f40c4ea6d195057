from datetime import datetime
from typing import Optional

import strawberry

from schema.types.node import Node


@strawberry.type(description="One committed operation on a dataset's working set.")
class Change(Node):
    revision: int = strawberry.field(description="The dataset's revision that it made: 1, 2, 3 … without gaps.")
    kind: str = strawberry.field(description="What was done, such as `LABEL_SAMPLES` or `SYNC`.")
    actor: str = strawberry.field(description="Who did it: the name of a token.")
    created_at: datetime = strawberry.field(description="When it was committed.")
    summary: str = strawberry.field(description="What was done, as a sentence for people.")
    is_undoable: bool = strawberry.field(description="Whether it can be undone: not what deleted source files.")
    undone_by: Optional["Change"] = strawberry.field(description="The change that undid it, if one did.")
