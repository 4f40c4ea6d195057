from typing import Annotated

import strawberry

from schema.types.node import compiled
from schema.types.pagination import Connection
from schema.types.sample import Sample


@strawberry.type(description="Samples that are duplicates of each other.")
class DuplicateGroup:
    sample_count: int = strawberry.field(description="Number of samples in the group, at least 2.")

    @strawberry.field(description="The samples of the group, those that were added first at first.")
    def samples(
        self,
        first: Annotated[int, strawberry.argument(description="How many: 0 to `serverInfo { maxPageSize }`.")] = 10,
    ) -> list[Sample]:
        compiled()


@strawberry.type(description="A page of groups of duplicates.")
class DuplicateGroupConnection(Connection[DuplicateGroup]):
    unhashed_count: int = strawberry.field(
        description="Number of samples whose images are in storage but were not compared yet. Counted only if selected."
    )
