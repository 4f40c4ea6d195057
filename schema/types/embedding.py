from datetime import datetime

import strawberry


@strawberry.type(description="A model whose embeddings are stored: vectors that stand for images.")
class EmbeddingModel:
    name: str = strawberry.field(description="Name of the model.")
    model_version: str = strawberry.field(description="Version of the model.")
    dimension: int = strawberry.field(description="How many numbers each vector has.")
    embedding_count: int = strawberry.field(
        description="How many images have an embedding, including those of deleted samples and of former images."
    )
    created_at: datetime = strawberry.field(description="When the first embeddings were stored.")
