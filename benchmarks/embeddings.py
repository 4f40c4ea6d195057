"""The nearest of many embeddings: recall, compared with all vectors, and the processor time of Postgres, compared with
SQL by hand that uses the same index. The vectors are made up, in clusters."""

import json
import time
from collections.abc import Awaitable, Callable
from functools import partial
from random import Random
from typing import Any, Final

import asyncpg

from benchmarks import dataset, servers
from benchmarks.facets import spent_by_postgres
from benchmarks.load import Server
from benchmarks.runner import Bench, Measure, Row
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
    connection, control = [await asyncpg.connect(engine.driver_url(url)) for _ in range(2)]
    await connection.execute("SET hnsw.ef_search = 100; SET hnsw.iterative_scan = strict_order; SET jit = off")
    model = await connection.fetchval("SELECT id FROM embedding_model")
    asked = Random(1).sample(range(1, bench.rows + 1), ASKED)
    async with servers.labelgraph(url, bench.data, "--no-worker") as server:
        for name, (filter_, condition) in FILTERS.items():
            if not bench.wants(name):
                continue
            gaps = {"condition": condition, "model": model, "dimension": DIMENSION}
            statements = {each: getattr(SQL, each).format(**gaps) for each in ("exact", "by_hand")}
            exact = {each: set(await sql.value(connection, statements["exact"], sample_id=each)) for each in asked}
            found = partial(found_by_us, server, filter_), partial(found_by_hand, connection, statements["by_hand"])
            ours, by_hand = [await recall(exact, each) for each in found]
            print(f"recall of the nearest 10 of {name}: {ours:.3f}, by hand {by_hand:.3f}", flush=True)
            requests = [server.graphql(NEAREST, {"s": f"Sample:{each}", "f": filter_}) for each in asked]
            us = spent_by_postgres(control, partial(ask_us, server, requests))
            hand = spent_by_postgres(control, partial(ask, found[1], asked))
            await bench.run(Row(f"the nearest 10 of {name}", "ms", us, hand, goal=1 / 3, warm_up=True))
    await connection.close()
    await control.close()


async def fill(url: str, rows: int) -> None:
    await dataset.make(url, samples=rows)
    assert await pgvector.enable(url)
    connection = await asyncpg.connect(engine.driver_url(url))
    await sql.run(connection, SQL.fill, rows=rows, dimension=DIMENSION)
    await connection.execute("VACUUM ANALYZE embedding")
    await connection.close()


Find = Callable[[int], Awaitable[set[str]]]  # the ids of the samples that are nearest to one


async def found_by_us(server: Server, filter_: dict[str, Any], sample_id: int) -> set[str]:
    answer = await server.ask(server.graphql(NEAREST, {"s": f"Sample:{sample_id}", "f": filter_}))
    return {edge["node"]["id"] for edge in answer["dataset"]["samples"]["edges"]}


async def found_by_hand(connection: asyncpg.Connection, statement: str, sample_id: int) -> set[str]:
    found = json.loads(await sql.value(connection, statement, sample_id=sample_id) or "[]")
    return {f"Sample:{each['id']}" for each in found}


async def recall(exact: dict[int, set[str]], find: Find) -> float:
    """The share of the nearest ten that is found, of all that there are."""
    hits = sum([len(nearest & await find(sample_id)) for sample_id, nearest in exact.items()])
    return hits / max(sum(map(len, exact.values())), 1)


async def ask_us(server: Server, requests: list[bytes]) -> Measure:
    return await server.measure(iter(requests))


async def ask(find: Find, asked: list[int]) -> Measure:
    started = time.perf_counter()
    for sample_id in asked:
        await find(sample_id)
    return Measure(len(asked), time.perf_counter() - started)
