import strawberry

from schema.types.node import LazyDataset
from schema.types.version import Version


@strawberry.type(description="What deleting the source files of some samples does elsewhere.")
class DeleteImpact:
    sample_count: int = strawberry.field(description="How many samples were asked about.")
    shared_source_count: int = strawberry.field(
        description="How many of their files samples of other datasets use too, also of those that the token may not "
        "see: what is deleted for one is deleted for all."
    )
    versions: list[Version] = strawberry.field(
        description="Published versions that show one of those files, of other datasets too as far as the token may "
        "see, the newest first, at most 100: their samples will say `isSourceAvailable: false`."
    )
    datasets: list[LazyDataset] = strawberry.field(
        description="Those datasets, as far as the token may see them: their images go missing too."
    )
