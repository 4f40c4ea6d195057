"""The compiler against the reference reader: generated queries, equal answers, whatever plans Postgres uses."""

import os
from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack, ExitStack
from dataclasses import replace
from random import Random

import asyncpg
import pytest

from db.identity.tokens import Identity, Scope
from db.postgres import engine
from tests.conftest import Databases
from tests.schema.random_operations import Writer
from tests.schema.read_fixture import ANN, fill, learn, open_reads
from tests.waiting import LIMITS

# Few, so that the suite stays short; `LABELGRAPH_SEEDS=0:5000` looks further, and `=42:43` repeats one.
FIRST, LAST = map(int, os.environ.get("LABELGRAPH_SEEDS", "0:150").split(":"))
CONFINED = Identity("bob", Scope.READ, token_id=2, dataset_ids=frozenset({4}))
PLANNERS: tuple[Mapping[str, str], ...] = (
    {},
    {"enable_nestloop": "off", "enable_mergejoin": "off", "plan_cache_mode": "force_generic_plan"},
    {"enable_nestloop": "off", "enable_hashjoin": "off", "enable_indexscan": "off"},
    {"enable_seqscan": "off", "enable_sort": "off", "enable_hashagg": "off", "plan_cache_mode": "force_custom_plan"},
)


@pytest.fixture
def urls(databases: Databases, server_url: str, template: str) -> Iterator[list[str]]:
    """Copies of one database, as many as there are planners."""
    filled = databases.prepared(server_url, template, fill)
    with ExitStack() as stack:
        yield [stack.enter_context(databases.fresh(server_url, filled)) for _ in PLANNERS]


@pytest.mark.slow
@pytest.mark.portable
async def test_answers_as_the_reference_reader_does(urls: list[str]) -> None:
    async with AsyncExitStack() as stack:
        by_planner = []
        for planner, url in zip(PLANNERS, urls, strict=True):
            await _persuade(url, planner)
            by_planner.append(await stack.enter_async_context(engine.connect(url, LIMITS)))
        reads = await open_reads(by_planner[0])
        await learn(reads)
        for seed in range(FIRST, LAST):
            random = Random(seed)
            source, variables = Writer(random, reads.language, reads.known).operation()
            identity = random.choice((ANN, ANN, CONFINED))
            expected = reads.expected_answer(source, variables, identity)
            for planner, database in zip(PLANNERS, by_planner, strict=True):
                found = await replace(reads, database=database).data(source, variables, identity)
                where = f"LABELGRAPH_SEEDS={seed}:{seed + 1} {planner}\n{source}\n{variables}"
                assert reads.with_plain_cursors(found) == expected, where


async def _persuade(url: str, planner: Mapping[str, str]) -> None:
    connection = await asyncpg.connect(engine.driver_url(url))
    name = await connection.fetchval("SELECT current_database()")
    for setting, value in planner.items():
        await connection.execute(f"ALTER DATABASE {name} SET {setting} = {value}")
    await connection.close()
