from db.postgres.models import EmbeddingModel
from db.queries.compile_context import RowType
from db.queries.json_text import number
from db.queries.types.fields import column

EMBEDDING_MODEL = RowType(
    "EmbeddingModel",
    {
        "name": column("name"),
        "modelVersion": column("version"),
        "dimension": column("dimension", number),
        "embeddingCount": column("embeddings", number),
        "createdAt": column("created_at"),
    },
    model=EmbeddingModel,
)
