"""Embeddings of a dataset's samples, and plain Python that finds the nearest of them."""

import random
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from math import sqrt
from pathlib import Path
from typing import Any

import asyncpg

from db.postgres import pgvector
from db.postgres.engine import Database, driver_url
from tests.schema.mutation_fixture import DatasetClient, create_client

MODEL = {"name": "clip", "modelVersion": "1"}
NEAR = """query ($d: ID!, $near: NearInput, $filter: SampleFilter, $first: Int, $after: String) {
    dataset(by: {id: $d}) { samples(near: $near, filter: $filter, first: $first, after: $after) {
        totalCount pageInfo { hasNextPage endCursor } edges { distance node { id } } } } }"""
PUT = "storedCount notFoundIds notFoundPaths dataset { embeddingModels { name modelVersion dimension embeddingCount } }"

Vector = Sequence[float]


def stored(vector: Vector) -> list[float]:
    """A vector as it is stored: of the length 1, in half precision."""
    numbers = struct.unpack(f"{len(vector)}f", struct.pack(f"{len(vector)}f", *vector))
    length = sqrt(sum(number * number for number in numbers))
    return list(struct.unpack(f"{len(vector)}e", struct.pack(f"{len(vector)}e", *(each / length for each in numbers))))


def distance(one: Vector, other: Vector) -> float:
    """1 − the cosine of the angle between them."""
    product = sum(a * b for a, b in zip(one, other, strict=True))
    return 1 - product / sqrt(sum(a * a for a in one) * sum(b * b for b in other))


@dataclass(slots=True)
class Embedded:
    """A dataset, and the vectors of its samples by their ids."""

    client: DatasetClient
    vectors: dict[str, list[float]] = field(default_factory=dict)

    async def put(self, vectors: dict[str, Vector], model: dict[str, str] = MODEL) -> Any:
        samples = [{"sampleId": id, "vector": list(vector)} for id, vector in vectors.items()]
        return await self.client.mutate(
            "putEmbeddings", PUT, datasetId=self.client.dataset, model=model, samples=samples
        )

    def nearest(self, vector: Vector, among: Iterable[str] | None = None) -> list[tuple[float, str]]:
        ids = self.vectors if among is None else [id for id in among if id in self.vectors]
        return sorted((distance(stored(vector), stored(self.vectors[id])), id) for id in ids)

    async def find(self, near: dict[str, Any], document: str = NEAR, **more: Any) -> Any:
        """The list, with edges as pairs of distance and id."""
        variables = {"d": self.client.dataset, "near": near, "first": 100, **more}
        found = (await self.client.direct.execute(document, variables))["dataset"]["samples"]
        return {**found, "edges": [(edge["distance"], edge["node"]["id"]) for edge in found["edges"]]}


def is_same(found: Sequence[tuple[float, str]], expected: Sequence[tuple[float, str]]) -> bool:
    """Whether both have the same distances in the same order, as exact as sums are, and each id its own."""
    own = {id: far for far, id in expected}
    return [round(far, 4) for far, _ in found] == [round(far, 4) for far, _ in expected[: len(found)]] and all(
        abs(own[id] - far) < 1e-5 for far, id in found
    )


def drawn(seed: int, dimension: int = 24) -> list[float]:
    """Vectors in all directions, of any length."""
    source = random.Random(seed)
    return [source.gauss(0, 1) * 10 ** (seed % 7 - 3) for _ in range(dimension)]


async def embedded(database: Database, root: Path, *, samples: int = 60, dimension: int = 24) -> Embedded:
    """All samples but the last three have a vector; every third is labelled."""
    assert await pgvector.enable(database.url)
    made = Embedded(await create_client(database, root, samples=samples))
    ids = made.client.ids(*range(samples))
    made.vectors = {id: drawn(seed, dimension) for seed, id in enumerate(ids[:-3])}
    await made.put(made.vectors)  # type: ignore[arg-type]
    select = {"ids": ids[::3]}
    await made.client.mutate(
        "labelSamples", "changedCount", datasetId=made.client.dataset, select=select, labels=["cat"]
    )
    return made


async def execute(database: Database, statement: str, *values: object) -> None:
    connection = await asyncpg.connect(driver_url(database.url))
    try:
        await connection.execute(statement, *values)
    finally:
        await connection.close()
