"""The nearest of many embeddings: recall, compared with all vectors, and times, compared with SQL by hand that uses
the same index. The vectors are made up, in clusters."""

import time
from random import Random
from typing import Any, Final

import asyncpg

from benchmarks import dataset, servers
from benchmarks.load import Server
from benchmarks.runner import Bench, Measure, Row, Side
from db.embeddings import indexes
from db.postgres import engine, pgvector, sql

SQL: Final = sql.load(__file__)
DIMENSION: Final = 256
ASKED: Final = 50  # samples
FILTERS: Final[dict[str, tuple[dict[str, Any], str]]] = {
    "all": ({}, "true"),
    "a quarter": ({"state": "UNLABELED"}, "state = 'UNLABELED'"),
    "a hundredth": ({"isHard": True}, "hard"),
    "a thousandth": ({"path": {"directory": "part_7"}}, "path LIKE 'part\\_7/%'"),
}
NEAREST: Final = """query ($s: ID!, $f: SampleFilter) { dataset(by: {name: "bench"}) {
    samples(near: {sampleId: $s}, filter: $f, first: 10) { edges { distance node { id path } } } } }"""


async def run(bench: Bench) -> None:
    url = await servers.migrated(bench.postgres, f"bench_embeddings_{bench.rows}", lambda url: fill(url, bench.rows))
    assert await pgvector.enable(url)
    async with engine.connect(url) as database:
        await indexes.sweep(database, url, many=bench.rows // 2)
    connection = await asyncpg.connect(engine.driver_url(url))
    await connection.execute("SET hnsw.ef_search = 200; SET hnsw.iterative_scan = strict_order; SET jit = off")
    model = await connection.fetchval("SELECT id FROM embedding_model")
    asked = Random(1).sample(range(1, bench.rows + 1), ASKED)
    async with servers.labelgraph(url, bench.data, "--no-worker") as server:
        for name, (filter_, condition) in FILTERS.items():
            if not bench.wants(name):
                continue
            gaps = {"condition": condition, "model": model, "dimension": DIMENSION}
            found = await recall(server, connection, asked, filter_, SQL.exact.format(**gaps))
            print(f"recall of the nearest 10 of {name}: {found:.3f}", flush=True)
            requests = [server.graphql(NEAREST, {"s": f"Sample:{each}", "f": filter_}) for each in asked]

            async def ours(requests: list[bytes] = requests) -> Measure:
                return await server.measure(iter(requests))

            twin = by_hand(connection, SQL.by_hand.format(**gaps), asked)
            await bench.run(Row(f"the nearest 10 of {name}", "ms", ours, twin, goal=1 / 3, warm_up=True))
    await connection.close()


async def fill(url: str, rows: int) -> None:
    await dataset.make(url, samples=rows)
    assert await pgvector.enable(url)
    connection = await asyncpg.connect(engine.driver_url(url))
    await sql.run(connection, SQL.fill, rows=rows, dimension=DIMENSION)
    await connection.execute("VACUUM ANALYZE embedding")
    await connection.close()


async def recall(
    server: Server, connection: asyncpg.Connection, asked: list[int], filter_: dict[str, Any], exact: str
) -> float:
    """The share of the nearest ten that the server finds, of all that there are."""
    hits = total = 0
    for sample_id in asked:
        answer = await server.ask(server.graphql(NEAREST, {"s": f"Sample:{sample_id}", "f": filter_}))
        found = {edge["node"]["id"] for edge in answer["dataset"]["samples"]["edges"]}
        nearest = await sql.value(connection, exact, sample_id=sample_id)
        hits, total = hits + len(found.intersection(nearest)), total + len(nearest)
    return hits / max(total, 1)


def by_hand(connection: asyncpg.Connection, statement: str, asked: list[int]) -> Side:
    async def measure() -> Measure:
        started = time.perf_counter()
        for sample_id in asked:
            await sql.value(connection, statement, sample_id=sample_id)
        return Measure(len(asked), time.perf_counter() - started)

    return measure
