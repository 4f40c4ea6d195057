import strawberry


@strawberry.type(description="How many samples there are, and in which state. `total = labeled + unlabeled + pending`.")
class Statistics:
    total: int = strawberry.field(description="All samples.")
    labeled: int = strawberry.field(description="Samples with at least one confirmed label.")
    unlabeled: int = strawberry.field(description="Samples with no label at all.")
    pending: int = strawberry.field(description="Samples with nothing but unconfirmed machine suggestions.")
