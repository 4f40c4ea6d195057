"""Orders of lists, as clients write them."""

import strawberry

from schema.enums import DatasetOrderField, OrderDirection, SampleOrderField


@strawberry.input(description="The order of a list of samples.")
class SampleOrderInput:
    field: SampleOrderField = strawberry.field(description="The field to sort by.")
    direction: OrderDirection | None = strawberry.field(
        default=OrderDirection.ASC, description="The direction of the order."
    )
    seed: str | None = strawberry.field(
        default=None,
        description="For RANDOM, any text: a different seed gives a different order. Null is a seed, too. "
        "Ignored for other fields.",
    )


@strawberry.input(description="The order of a list of datasets.")
class DatasetOrderInput:
    field: DatasetOrderField = strawberry.field(description="The field to sort by.")
    direction: OrderDirection | None = strawberry.field(
        default=OrderDirection.ASC, description="The direction of the order."
    )


NEWEST_SAMPLES = SampleOrderInput(field=SampleOrderField.CREATED_AT, direction=OrderDirection.DESC)
NEWEST_DATASETS = DatasetOrderInput(field=DatasetOrderField.CREATED_AT, direction=OrderDirection.DESC)
