"""Generated queries with refused fields: the answers and the paths of errors are those of GraphQL's own execution."""

from random import Random
from typing import Any

import pytest
from graphql import GraphQLField

from db.postgres.engine import Database
from db.queries.refusals import MAX_ERRORS
from tests.schema import reference_reader
from tests.schema.random_operations import Writer
from tests.schema.read_fixture import fill, learn, open_reads

QUERIES = 30


class RefusedWriter(Writer):
    """Many lists, and thumbnails; some pages and thumbnails are too large."""

    depth = 2

    def selection(self, kind: Any, depth: int) -> str:
        body, fields = super().selection(kind, depth), getattr(kind, "fields", {})
        names = ["thumbnailUrl"] if depth < 1 else ["samples", "thumbnailUrl", "samples"]
        if kind is self.schema.query_type:
            names = ["nodes", "dataset", "nodes"]
        added = [self.field(kind.name, (name, fields[name]), depth) for name in names if name in fields]
        return f"{body[:-1]} {' '.join(added)} }}"

    def values(self, parent: str, name: str, declared: GraphQLField) -> dict[str, Any]:
        values = super().values(parent, name, declared)
        if parent != "SampleFacets" and self.chance(2):
            values |= {key: 5000 for key in ("first", "size") if key in declared.args}
        return values


@pytest.mark.slow
async def test_refused_fields_are_null_as_in_the_reference_reader(database: Database) -> None:
    await fill(database.url)
    reads = await open_reads(database)
    await learn(reads)
    partial = several = 0
    for seed in range(QUERIES):
        source, variables = RefusedWriter(Random(seed), reads.language, reads.known).operation()
        expected = reference_reader.run(reads.language, source, dict(variables), reads.tables)
        found = await reads.run(source, variables)
        paths = [error["path"] for error in found.get("errors", ())]
        expected_paths = [error.path for error in expected.errors or ()]
        assert paths == expected_paths[:MAX_ERRORS], f"{seed}\n{source}\n{variables}"
        is_answered = len(paths) < MAX_ERRORS
        assert reads.with_plain_cursors(found["data"]) == (expected.data if is_answered else None), f"{seed}\n{source}"
        partial += bool(paths) and found["data"] is not None
        several += len(paths) > 1
    assert partial > QUERIES / 5, (partial, several)
    assert several > QUERIES / 10, (partial, several)
