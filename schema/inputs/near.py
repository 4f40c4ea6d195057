"""What samples are compared with, as clients write it."""

import strawberry

from schema.inputs.limits import MAX_ITEMS
from schema.inputs.models import ModelInput

MODEL = "The model whose embeddings are compared. Without it: the one that the dataset has had for longest."


@strawberry.input(description="What samples are compared with: exactly one of `sampleId` and `vector`.")
class NearInput:
    sample_id: strawberry.ID | None = strawberry.field(
        default=None,
        description="The embedding of this sample; for the samples of a version, too, this is an id of the working "
        "set. Refused with SAMPLE_NOT_FOUND or, if the sample has no embedding, NOT_FOUND.",
    )
    vector: list[float] | None = strawberry.field(
        default=None,
        metadata={MAX_ITEMS: 4_000},
        description="This vector, of as many numbers as the model's. Only its direction matters.",
    )
    model: ModelInput | None = strawberry.field(default=None, description=MODEL)
