"""Storing the embeddings of samples. They belong to the samples' images and are no part of a dataset's history."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Final

from sqlmodel.ext.asyncio.session import AsyncSession

from db.concurrency_limits import Turns
from db.errors import Invalid, NotFound
from db.formats.names import is_storable, nfc
from db.formats.vectors import checked
from db.history.changes import lock_dataset
from db.identity.tokens import Identity
from db.labelling.samples.selection import samples_at
from db.labelling.suggestions.models import ModelName
from db.postgres import sql
from db.postgres.pgvector import IS_ENABLED, expect_enabled

SQL: Final = sql.load(__file__)


@dataclass(frozen=True, slots=True)
class SampleVector:
    """The vector of a sample, which is known by its id or by its path."""

    sample: int
    path: str | None
    vector: Sequence[float]


@dataclass(frozen=True, slots=True)
class Stored:
    """How many embeddings a call stored, those that replaced others included."""

    dataset_id: int
    count: int
    not_found: tuple[int, ...] = ()
    not_found_paths: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Deleted:
    """How many embeddings a call deleted."""

    dataset_id: int
    count: int


async def put(
    session: AsyncSession, dataset_id: int, model: ModelName, samples: Sequence[SampleVector], *, by: Identity
) -> Stored:
    """Store the vectors of a model; the first ones say how many numbers all have. Samples that are not there are left
    out. Raises Invalid for a vector that cannot be compared with others, and nothing is stored then."""
    model, vectors = model.checked(), await _checked(samples)
    await lock_dataset(session, dataset_id, by)
    await expect_enabled(session)
    sources, not_found, not_found_paths = await _sources(session, dataset_id, samples)
    given = [(source, vector) for source, vector in zip(sources, vectors, strict=True) if source is not None]
    if not given:
        return Stored(dataset_id, 0, not_found, not_found_paths)
    return Stored(dataset_id, await _put(session, dataset_id, model, given), not_found, not_found_paths)


async def lacking(
    runner: sql.Runner, dataset_id: int, model: ModelName, dimension: int, sources: Sequence[int]
) -> list[int]:
    """The sources that may get a vector of this model and have none; no source where Postgres has no pgvector, or
    somebody has put vectors of another length under the model's name."""
    if not await sql.value(runner, f"SELECT {IS_ENABLED}"):
        return []
    values = {"dataset_id": dataset_id, "name": model.name, "version": model.version, "dimension": dimension}
    return [row["id"] for row in await sql.run(runner, SQL.lacking, sources=sources, **values)]


async def add(session: AsyncSession, dataset_id: int, model: ModelName, vectors: Mapping[int, Sequence[float]]) -> None:
    """Store vectors by source, as the server's own jobs compute them. Sources that were deleted since are left out."""
    rows = await sql.run(session, SQL.present, dataset_id=dataset_id, sources=list(vectors))
    if rows:
        await _put(session, dataset_id, model, [(row["id"], vectors[row["id"]]) for row in rows])


async def _put(
    session: AsyncSession, dataset_id: int, model: ModelName, given: Sequence[tuple[int, Sequence[float]]]
) -> int:
    """How many. Raises Invalid unless the model's other vectors have as many numbers."""
    values = {"name": model.name, "version": model.version, "dimension": len(given[0][1])}
    row = await sql.first(session, SQL.model, dataset_id=dataset_id, **values)
    assert row is not None
    if row["dimension"] != values["dimension"]:
        message = f"The vectors of this model have {row['dimension']} numbers, and these have {values['dimension']}."
        raise Invalid(message, dimension=row["dimension"], given=values["dimension"])
    count: int = await sql.value(
        session,
        SQL.put,
        model_id=row["id"],
        dimension=row["dimension"],
        sources=[source for source, _ in given],
        numbers=list(chain.from_iterable(vector for _, vector in given)),
    )
    return count


async def delete(session: AsyncSession, dataset_id: int, model: ModelName, *, by: Identity) -> Deleted:
    """Forget a model with all its embeddings."""
    await lock_dataset(session, dataset_id, by)
    known = is_storable(model.name) and is_storable(model.version)
    values = {"dataset_id": dataset_id, "name": nfc(model.name), "version": nfc(model.version)}
    model_id = await sql.value(session, SQL.find_model, **values) if known else None
    if model_id is None:
        raise NotFound("The dataset has no embeddings of such a model; `Dataset.embeddingModels` lists its models.")
    count = 0
    if await sql.value(session, f"SELECT {IS_ENABLED}"):
        count = await sql.count(session, SQL.delete_embeddings, model_id=model_id)
    await sql.run(session, SQL.delete_model, model_id=model_id)
    return Deleted(dataset_id, count)


async def _checked(samples: Sequence[SampleVector]) -> list[list[float]]:
    """The vectors, checked in steps between which other tasks run: there may be a million numbers."""
    if not samples:
        raise Invalid("No samples are given.", code="EMPTY_SELECTION")
    turns, vectors = Turns(20), list[list[float]]()
    for position, sample in enumerate(samples):
        await turns.step()
        try:
            vector = checked(sample.vector)
        except Invalid as refused:
            refused.details |= {"at": position}
            raise
        if vectors and len(vector) != len(vectors[0]):
            raise Invalid(
                f"The vectors of a model have the same length: the first has {len(vectors[0])} numbers, and this one "
                f"has {len(vector)}.",
                at=position,
                given=len(vector),
            )
        vectors.append(vector)
    return vectors


async def _sources(
    session: AsyncSession, dataset_id: int, samples: Sequence[SampleVector]
) -> tuple[list[int | None], tuple[int, ...], tuple[str, ...]]:
    """The source of each sample, and which samples are not there."""
    paths = [sample.path for sample in samples if sample.path is not None]
    at_path = await samples_at(session, dataset_id, paths) if paths else {}
    ids = [sample.sample if sample.path is None else at_path.get(sample.path, 0) for sample in samples]
    rows = await sql.run(session, SQL.sources, dataset_id=dataset_id, samples=ids)
    known: dict[int, int] = {row["id"]: row["source_id"] for row in rows}
    sources = [known.get(id) for id in ids]
    found = [source for source in sources if source is not None]
    if len(set(found)) < len(found):
        raise Invalid("A sample is given twice: give each sample once.")
    missing = [each for each, source in zip(samples, sources, strict=True) if source is None]
    not_found = dict.fromkeys(each.sample for each in missing if each.path is None)
    return sources, tuple(not_found), tuple(dict.fromkeys(each.path for each in missing if each.path is not None))
