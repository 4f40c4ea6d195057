"""The compiler against the reference reader: generated queries, equal answers, whatever plans Postgres uses."""

import os
from collections.abc import Mapping
from random import Random

import asyncpg
import pytest

from db.identity.tokens import Identity, Scope
from db.postgres.engine import Database, driver_url
from tests.schema.random_operations import Writer
from tests.schema.read_fixture import ANN, learn, open_reads

# Few, so that the suite stays short; `LABELGRAPH_SEEDS=0:5000` looks further, and `=42:43` repeats one.
FIRST, LAST = map(int, os.environ.get("LABELGRAPH_SEEDS", "0:150").split(":"))
CONFINED = Identity("bob", Scope.READ, token_id=2, dataset_ids=frozenset({4}))
PLANNERS: tuple[Mapping[str, str], ...] = (
    {},
    {"enable_nestloop": "off", "enable_mergejoin": "off", "plan_cache_mode": "force_generic_plan"},
    {"enable_nestloop": "off", "enable_hashjoin": "off", "enable_indexscan": "off"},
    {"enable_seqscan": "off", "enable_sort": "off", "enable_hashagg": "off", "plan_cache_mode": "force_custom_plan"},
)


@pytest.mark.portable
@pytest.mark.parametrize("planner", PLANNERS)
async def test_answers_as_the_reference_reader_does(database: Database, planner: Mapping[str, str]) -> None:
    await _persuade(database, planner)
    reads = await open_reads(database)
    await learn(reads)
    for seed in range(FIRST, LAST):
        random = Random(f"{seed} {planner}")
        source, variables = Writer(random, reads.language, reads.known).operation()
        identity = random.choice((ANN, ANN, CONFINED))
        expected = reads.expected_answer(source, variables, identity)
        found = reads.with_plain_cursors(await reads.data(source, variables, identity))
        assert found == expected, f"LABELGRAPH_SEEDS={seed}:{seed + 1}\n{source}\n{variables}"


async def _persuade(database: Database, planner: Mapping[str, str]) -> None:
    connection = await asyncpg.connect(driver_url(database.url))
    name = await connection.fetchval("SELECT current_database()")
    for setting, value in planner.items():
        await connection.execute(f"ALTER DATABASE {name} SET {setting} = {value}")
    await connection.close()
