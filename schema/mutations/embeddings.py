"""putEmbeddings, deleteEmbeddings."""

import strawberry

from db.embeddings import vectors
from db.embeddings.vectors import SampleVector
from db.errors import Invalid
from schema.inputs.limits import MAX_ITEMS
from schema.inputs.models import ModelInput, model_name
from schema.mutations.payloads import NOT_FOUND, NOT_FOUND_PATHS, OfDataset
from schema.mutations.resolver import Info, number, write
from schema.references import reference


@strawberry.input(description="The embedding of a sample.")
class SampleEmbeddingInput:
    sample_id: strawberry.ID | None = strawberry.field(default=None, description="Global id of the sample.")
    path: str | None = strawberry.field(
        default=None, description="Path of the sample below the input path, instead of `sampleId`."
    )
    vector: list[float] = strawberry.field(
        metadata={MAX_ITEMS: 4_000},
        description="1–4,000 finite numbers, not all of them zero; as many as in all other vectors of the model. Only "
        "the direction is stored, in half precision.",
    )


@strawberry.input(description="The samples, and the embeddings that a model has computed of their images.")
class PutEmbeddingsInput:
    dataset_id: strawberry.ID = strawberry.field(description="Global id of the dataset.")
    model: ModelInput = strawberry.field(description="The model that computed the embeddings.")
    samples: list[SampleEmbeddingInput] = strawberry.field(
        description="1–1,000 samples, each once. A JSON body is at most 1 MiB, about 80 vectors of 1,280 numbers, "
        "unless the server is configured otherwise."
    )


@strawberry.type(description="Return type of `putEmbeddings`.")
class PutEmbeddingsPayload(OfDataset):
    stored_count: int = strawberry.field(
        description="Number of embeddings that were stored, including those that replaced others."
    )
    not_found_ids: list[strawberry.ID] = strawberry.field(description=NOT_FOUND)
    not_found_paths: list[str] = strawberry.field(description=NOT_FOUND_PATHS)


@strawberry.input(description="The model whose embeddings to delete.")
class DeleteEmbeddingsInput:
    dataset_id: strawberry.ID = strawberry.field(description="Global id of the dataset.")
    model: ModelInput = strawberry.field(description="The model.")


@strawberry.type(description="Return type of `deleteEmbeddings`.")
class DeleteEmbeddingsPayload(OfDataset):
    deleted_count: int = strawberry.field(description="Number of deleted embeddings.")


@strawberry.mutation(
    description="Stores embeddings that a model has computed of images, for `samples(near: …)` and `Sample.similar`. "
    "They belong to the images: a sample whose image changes has none. They are no part of the dataset's history: this "
    "is no change, is not undone, and a version shows what is stored now. Refused with VALIDATION_FAILED for a vector "
    "that cannot be compared with the model's others, INVALID_NAME, EMPTY_SELECTION without samples, or "
    "FEATURE_UNAVAILABLE."
)
async def put_embeddings(info: Info, input: PutEmbeddingsInput) -> PutEmbeddingsPayload:
    limit = info.context.limits.max_ids
    if len(input.samples) > limit:
        message = f"At most {limit} embeddings are stored in one call."
        raise Invalid(message, most=limit, given=len(input.samples))
    given = [SampleVector(sample_number(each), each.path, each.vector) for each in input.samples]
    id, by, model = number(input.dataset_id, "Dataset"), info.context.identity, model_name(input.model)
    outcome = await write(info, vectors.put, id, model, given, by=by)
    missing = frozenset(outcome.not_found)
    pairs = [(each.sample_id, sample.sample) for each, sample in zip(input.samples, given, strict=True)]
    return PutEmbeddingsPayload(
        dataset=reference("Dataset", id),
        stored_count=outcome.count,
        not_found_ids=list(dict.fromkeys(id for id, sample in pairs if id is not None and sample in missing)),
        not_found_paths=list(outcome.not_found_paths),
    )


def sample_number(input: SampleEmbeddingInput) -> int:
    """0 for a path. Raises Invalid."""
    if (input.sample_id is None) == (input.path is None):
        raise Invalid("Give either `sampleId` or `path` of each sample.", path="samples")
    return 0 if input.sample_id is None else number(input.sample_id, "Sample")


@strawberry.mutation(
    description="Deletes a model of `Dataset.embeddingModels` with all its embeddings. Refused with NOT_FOUND if there "
    "is no such model."
)
async def delete_embeddings(info: Info, input: DeleteEmbeddingsInput) -> DeleteEmbeddingsPayload:
    id, model = number(input.dataset_id, "Dataset"), model_name(input.model)
    outcome = await write(info, vectors.delete, id, model, by=info.context.identity)
    return DeleteEmbeddingsPayload(dataset=reference("Dataset", id), deleted_count=outcome.count)
