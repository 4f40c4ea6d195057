"""A fresh copy of a database, which Labelgraph and the statements by hand change, each in tables of its own.

Nothing else writes to it: autovacuum is off.
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from hashlib import blake2b
from itertools import repeat
from typing import Any, Final

import asyncpg

from benchmarks import servers
from benchmarks.hand import SQL as BY_HAND
from benchmarks.hand import TABLES
from benchmarks.load import Server
from benchmarks.others import Others
from benchmarks.runner import Bench, Measure, Side
from db.postgres import engine, sql

SQL: Final = sql.load(__file__)
ONE: Final = '{ node(id: "Sample:1") { ... on Sample { id path } } }'
CLIENTS: Final = 16  # with a token each
UNLIMITED: Final = {
    "LABELGRAPH_LIMIT_BODY": str(64 << 20),
    "LABELGRAPH_LIMIT_INPUTS": "1000000",
    "LABELGRAPH_TIMEOUT_MUTATION": "3600",
}


@dataclass(frozen=True, slots=True)
class Arena:
    """`control`: a connection that measures and compares. `tokens`: those of some clients."""

    bench: Bench
    ours: Server
    hand: Server
    control: "asyncpg.Connection[asyncpg.Record]"
    dataset: int
    tokens: tuple[str, ...]

    @property
    def dataset_id(self) -> str:
        return f"Dataset:{self.dataset}"

    async def by_hand(self, path: str, **values: Any) -> Measure:
        """One request of the server by hand."""
        measure, _ = await self.hand.time(self.hand.post(path, {"dataset": self.dataset, **values}))
        return measure

    def readers(self) -> tuple[Others, Others]:
        """A client of each server that reads one sample."""
        seconds = self.bench.seconds
        ours, hand = self.ours.graphql(ONE, {}), self.hand.post("/one", {"sample": 1})
        return Others(self.ours, repeat(ours), seconds), Others(self.hand, repeat(hand), seconds)

    def sized(self, schema: str, side: Side, *, samples: int = 1, checkpoint: bool = True) -> Side:
        """Also how much WAL it writes, and how much its tables and indexes grow: in bytes, of each of `samples` times
        its count. After a checkpoint, each page that it changes is written to the WAL as a whole, once."""

        async def measure() -> Measure:
            if checkpoint:
                await self.control.execute("CHECKPOINT")
            before = await sql.first(self.control, SQL.sizes, schema=schema)
            measured = await side()
            after = await sql.first(self.control, SQL.sizes, schema=schema)
            assert before is not None
            assert after is not None
            count = measured.count * samples
            more = {f"{name} B": (after[name] - before[name]) / count for name in ("WAL", "tables", "indexes")}
            return replace(measured, more={**measured.more, **more})

        return measure

    async def expect_equal(self) -> None:
        """Both must have done the same, or there is nothing to compare."""
        if differences := await sql.value(self.control, BY_HAND.differences):
            raise SystemExit(f"{differences} samples, labels or counters differ between ours and those by hand.")

    async def follow(self) -> None:
        """Bring the tables by hand to the state of ours."""
        await self.control.execute(BY_HAND.follow)


@asynccontextmanager
async def opened(bench: Bench, *arguments: str) -> AsyncGenerator[Arena, None]:
    """`arguments` are those of our server."""
    template = await servers.bench_database(bench.postgres, bench.rows)
    await _make_plain_tables(template)
    async with servers.copied(template) as url:
        control = await asyncpg.connect(engine.driver_url(url))
        try:
            await control.execute(SQL.without_autovacuum)
            dataset = await control.fetchval("SELECT id FROM dataset WHERE name = 'bench'")
            tokens = tuple(await servers.create_tokens(url, CLIENTS))
            async with (
                servers.by_hand(url, bench.data) as hand,
                servers.labelgraph(url, bench.data, *arguments, **UNLIMITED) as ours,
            ):
                yield Arena(bench, ours, hand, control, dataset, tokens)
        finally:
            await control.close()


async def _make_plain_tables(url: str) -> None:
    """In the database that is copied, once, and again when they are others: a comment tells which they are."""
    parts = TABLES.create, TABLES.fill, TABLES.index
    digest = blake2b("".join(parts).encode(), digest_size=8).hexdigest()
    connection = await asyncpg.connect(engine.driver_url(url))
    try:
        if await connection.fetchval("SELECT obj_description(to_regnamespace('hand'), 'pg_namespace')") == digest:
            return
        async with connection.transaction():
            for part in ("DROP SCHEMA IF EXISTS hand CASCADE", *parts, f"COMMENT ON SCHEMA hand IS '{digest}'"):
                await connection.execute(part)
        await connection.execute("VACUUM ANALYZE")
    finally:
        await connection.close()
