import strawberry

from schema.types.node import LazyDataset
from schema.types.version import Version


@strawberry.type(description="What deleting the source files of some samples affects.")
class DeleteImpact:
    sample_count: int = strawberry.field(description="Number of selected samples.")
    shared_source_count: int = strawberry.field(
        description="Number of their source files that samples of other datasets use, too, including datasets that the "
        "token may not access. A deleted file is deleted for all of them."
    )
    versions: list[Version] = strawberry.field(
        description="Published versions that contain one of these files, of all datasets that the token may access, "
        "newest first, at most 100. Their samples will have `isSourceAvailable: false`."
    )
    datasets: list[LazyDataset] = strawberry.field(
        description="The other datasets that use these files, as far as the token may access them. They lose these "
        "images, too."
    )
