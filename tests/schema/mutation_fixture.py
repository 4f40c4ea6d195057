"""Mutations in GraphQL through the schema, with a token, on a working set."""

from dataclasses import dataclass, replace
from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import Any

from api.settings import Settings
from db.datasets import check
from db.identity import tokens
from db.identity.tokens import Identity, Scope
from db.postgres.engine import Database
from schema import build_schema
from tests.client import Direct
from tests.db.dataset_rows import DatasetRows, make

schema = cache(build_schema)
CONTENT = b"image"
ETAG = blake2b(CONTENT, digest_size=16).hexdigest()


@dataclass(frozen=True, slots=True)
class DatasetClient:
    """`codes` returns the error codes of an answer, `do` the payload of a mutation's only field."""

    direct: Direct
    dataset_rows: DatasetRows
    root: Path

    @property
    def dataset(self) -> str:
        return f"Dataset:{self.dataset_rows.id}"

    def ids(self, *positions: int) -> list[str]:
        return [f"Sample:{self.dataset_rows.samples[position]}" for position in positions]

    def label(self, name: str) -> str:
        return f"Label:{self.dataset_rows.labels[name]}"

    async def mutate(self, field: str, selection: str, key: str | None = None, **input: Any) -> Any:
        data = await self.direct.execute(_mutation(field, selection), {"input": input}, key)
        return data[field]

    async def refused(self, field: str, **input: Any) -> dict[str, Any]:
        """The only error's extensions; nothing else may have happened: the revision stays."""
        before = await self.revision()
        answer = await self.direct.answer(_mutation(field, "__typename"), {"input": input})
        [error] = answer["errors"]
        assert await self.revision() == before
        return error["extensions"]  # type: ignore[no-any-return]

    async def revision(self) -> int:
        query = "query ($id: ID!) { dataset(by: {id: $id}) { revision } }"
        data = await self.direct.execute(query, {"id": self.dataset})
        return data["dataset"]["revision"]  # type: ignore[no-any-return]

    async def labelled(self) -> dict[int, list[str]]:
        """The names on every sample, by its index."""
        query = """query ($id: ID!) { dataset(by: {id: $id}) {
            samples(first: 100, orderBy: {field: CREATED_AT}) { nodes { id labels { name } } } } }"""
        data = await self.direct.execute(query, {"id": self.dataset})
        positions = {id: position for position, id in enumerate(self.ids(*range(len(self.dataset_rows.samples))))}
        nodes = data["dataset"]["samples"]["nodes"]
        return {positions[node["id"]]: [label["name"] for label in node["labels"]] for node in nodes}

    async def check(self) -> None:
        async with self.direct.database.reading() as reader:
            assert await check.recount(reader, self.dataset_rows.id) == []

    def as_somebody(self, name: str) -> "DatasetClient":
        return replace(self, direct=replace(self.direct, identity=replace(self.direct.identity, name=name)))

    def with_scope(self, scope: Scope) -> "DatasetClient":
        return replace(self, direct=replace(self.direct, identity=replace(self.direct.identity, scope=scope)))

    def confined_to(self, *dataset_ids: int) -> "DatasetClient":
        identity = replace(self.direct.identity, dataset_ids=frozenset(dataset_ids))
        return replace(self, direct=replace(self.direct, identity=identity))


async def create_client(
    database: Database, root: Path, *, samples: int = 6, labels: tuple[str, ...] = ("cat", "dog"), **more: Any
) -> DatasetClient:
    """A dataset whose files lie below `root`, and somebody who may do everything. `more` is for the working set."""
    images = root / "images"
    images.mkdir()
    dataset_rows = await make(database, samples=samples, labels=labels, input_path=str(images), etag=ETAG, **more)
    for position in range(samples):
        file = images / f"{position:06}.jpg"
        file.write_bytes(CONTENT)
    async with database.writing() as session:
        await tokens.create(session, name="ann", scope=Scope.MANAGE)
    async with database.reading() as reader:
        token_id = await reader.fetchval("SELECT id FROM token WHERE name = 'ann'")
    settings = Settings(allowed_roots=(root.resolve(),))
    direct = Direct(schema(), database, Identity("ann", Scope.MANAGE, token_id), settings)
    return DatasetClient(direct, dataset_rows, root)


def _mutation(field: str, selection: str) -> str:
    kind = field[0].upper() + field[1:] + "Input"
    return f"mutation ($input: {kind}!) {{ {field}(input: $input) {{ {selection} }} }}"
