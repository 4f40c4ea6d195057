import strawberry

from schema.types.dataset import Dataset


@strawberry.type(description="What deleting the source files of some samples does elsewhere.")
class DeleteImpact:
    sample_count: int = strawberry.field(description="How many samples were asked about.")
    shared_sources: int = strawberry.field(description="How many of their files samples of other datasets use too.")
    datasets: list[Dataset] = strawberry.field(
        description="Those datasets, as far as the token may see them: their images go missing too."
    )
