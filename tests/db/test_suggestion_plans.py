"""The plans of lists by suggestions: with many and with few, each reads only what an index says, shown by EXPLAIN."""

import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from typing import Any

import asyncpg
import pytest

from benchmarks import dataset as benchmark
from db import queries
from db.labelling import verdicts
from db.labelling.samples.selection import OF_IDS
from db.labelling.suggestions import suggest
from db.postgres import engine, sql
from db.queries import Plan, SelectedField
from db.queries.filters import SampleFilter
from db.queries.suggestions import FloatFilter, ModelFilter, SuggestionFilter
from tests.conftest import Databases
from tests.db.test_select_plans import INPUTS, explain, explained, input_, page, rows_read

SAMPLES = 20_000
FIELDS = ("CONFIDENCE", "MARGIN", "ENTROPY", "DISAGREEMENT")


async def fill(url: str) -> None:
    """One label is suggested of a quarter of the samples."""
    made = await benchmark.make(url, samples=SAMPLES)
    await benchmark.suggest(url, made)
    connection = await asyncpg.connect(engine.driver_url(url))
    try:
        common = "UPDATE annotation SET label_id = $1 WHERE model_id = 1 AND sample_id % 4 = 0"
        await connection.execute(common, made.label_ids[4])
        await connection.execute("VACUUM ANALYZE annotation")
    finally:
        await connection.close()


@pytest.fixture
def database_url(databases: Databases, server_url: str, template: str) -> Iterator[str]:
    with databases.fresh(server_url, databases.prepared(server_url, template, fill)) as url:
        yield url


@pytest.fixture
async def connection(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    async with engine.connect(database_url) as database, database.reading() as connection:
        yield connection


def suggested(**criteria: Any) -> SampleFilter:
    return SampleFilter(suggestions=SuggestionFilter(**criteria))


def by_model(version: str, **criteria: Any) -> SampleFilter:
    return suggested(models=[ModelFilter("net", version)], **criteria)


def samples_read(found: dict[str, list[dict[str, Any]]]) -> float:
    return sum(rows_read(nodes) for name, nodes in found.items() if name.startswith("sample"))


async def test_lists_by_suggestions_read_what_an_index_says(connection: asyncpg.Connection) -> None:
    for field in FIELDS:  # whether filtered or not
        for filter_ in (None, suggested()):
            found = await explain(connection, page(filter_, order=f"SUGGESTION_{field}"))
            assert rows_read(found[f"sample_suggestion_{field.lower()}"]) == 101, field
            assert samples_read(found) == 101
            assert "Sort" not in found

    many = by_model("1", confidence=FloatFilter(min=0.5))
    for order in (None, "SUGGESTION_CONFIDENCE", "PATH"):
        found = await explain(connection, page(many, order=order))
        assert samples_read(found) < 1_000, order

    # Of a model or a label with few suggestions among many; and of a label that many samples have, and none suggests.
    few = {
        "a model": (by_model("3"), 20),
        "a model and a label": (by_model("3", labels=["label_49"]), 20),
        "a label": (suggested(labels=["label_49"]), 20),
        "sure ones of it": (suggested(labels=["label_49"], confidence=FloatFilter(min=0.5)), 20),
        "no suggestion": (suggested(labels=["label_50"]), 0),
        "none by this model": (by_model("2", labels=["label_49"]), 0),
        "no such model": (by_model("4"), 0),
    }
    for name, (filter_, most) in few.items():
        for order in (None, "SUGGESTION_MARGIN"):
            found = await explain(connection, page(filter_, order=order))
            assert samples_read(found) <= most, (name, order)
        counted = await explain(connection, page(filter_, fields="totalCount"))
        assert samples_read(counted) <= most, name

    found = await explain(connection, page(suggested(confidence=FloatFilter(min=0.999))))
    assert samples_read(found) < 100
    disputed = await explain(connection, page(suggested(disagrees=True, confidence=FloatFilter(min=0.999))))
    assert rows_read(disputed["sample_suggestion_conflict"]) == samples_read(disputed) < 100


async def test_suggestions_of_a_label_are_read_in_the_order_of_the_list(connection: asyncpg.Connection) -> None:
    """However few or many there are, and wherever in the list: from an index."""
    filters = {
        "common": suggested(labels=["label_5"]),
        "by id": suggested(label_ids=["Label:5"]),
        "of a state": replace(suggested(labels=["label_5"]), state="PENDING"),
        "rare": suggested(labels=["label_49"]),
        "none": suggested(labels=["label_50"]),
        "unknown": suggested(labels=["label_51"]),
    }
    directions: list[dict[str, Any]] = [
        {},
        {"orderBy": {"field": "CREATED_AT", "direction": "ASC"}},
        {"last": 100},
    ]
    for name, filter_ in filters.items():
        for by in directions:
            found = await explain(connection, listed(filter_, **by))
            assert rows_read(found.get("annotation_suggested_newest", [])) < 250, (name, by)
            assert samples_read(found) < 250, (name, by)
    answer = json.loads(await connection.fetchval(*called(listed(filters["common"], first=150))))
    cursor = answer["dataset"]["samples"]["pageInfo"]["endCursor"]
    behind: list[dict[str, Any]] = [{"after": input_("cursor")}, {"last": 20, "before": input_("cursor")}]
    for by in behind:
        found = await explain(connection, listed(filters["common"], **by), cursor=cursor)
        assert rows_read(found["annotation_suggested_newest"]) < 250, by
    # Of a model and of confidences, too; few in all are looked up.
    for filter_ in (
        by_model("1", labels=["label_5"]),
        by_model("3", labels=["label_49"], confidence=FloatFilter(max=0.5)),
        suggested(labels=["label_5"], confidence=FloatFilter(min=0.9)),
    ):
        found = await explain(connection, page(filter_))
        assert samples_read(found) < 250


async def test_low_confidences_are_found_without_the_suggestions(connection: asyncpg.Connection) -> None:
    for order in ("SUGGESTION_ENTROPY", "CREATED_AT"):
        found = await explain(connection, page(suggested(confidence=FloatFilter(max=0.3)), order=order))
        assert not [name for name in found if name.startswith("annotation")], order
        assert samples_read(found) < 2_000, order


async def test_whether_suggestions_are_few_is_asked_once(connection: asyncpg.Connection) -> None:
    async def blocks_read() -> int:
        statement = "SELECT pg_stat_get_xact_blocks_fetched('annotation_suggested_by'::regclass)"
        return int(await connection.fetchval(statement))

    async with connection.transaction():
        before = await blocks_read()
        await connection.fetchval("SELECT samples_suggested(1, '{1}', NULL, 0.5, 1, 1000)")
        asked = await blocks_read()
        text, *values = called(page(by_model("1", confidence=FloatFilter(min=0.5))))
        await connection.fetch(f"EXPLAIN {text}", *values)
        planned = await blocks_read()
    assert 0 < planned - asked <= 1.5 * (asked - before)


def listed(filter_: SampleFilter | None = None, **arguments: Any) -> Plan:
    end = SelectedField("endCursor", "endCursor"), SelectedField("hasPreviousPage", "hasPreviousPage")
    info = SelectedField("pageInfo", "pageInfo", fields={"PageInfo": end})
    nodes = SelectedField("nodes", "nodes", fields={"Sample": (SelectedField("id", "id"),)})
    args: dict[str, Any] = {} if filter_ is None else {"filter": filter_}
    args |= arguments if "last" in arguments else {"first": 100, **arguments}
    samples = SelectedField("samples", "samples", args, {"SampleConnection": (nodes, info)})
    root = SelectedField("dataset", "dataset", {"by": {"id": input_("id")}}, {"Dataset": (samples,)})
    return queries.compile_query([root], confined=False, page=SAMPLES)


def called(plan: Plan) -> tuple[Any, ...]:
    return plan.text, *plan.arguments(INPUTS)


def page_after(order: str, first: int, **cursor: Any) -> Plan:
    return listed(first=first, orderBy={"field": order}, **cursor)


async def test_a_page_behind_a_cursor_is_found_at_once_among_either_kind(connection: asyncpg.Connection) -> None:
    """Those with a value for the order, and the others."""
    suggested_count = await connection.fetchval("SELECT count(*) FROM sample WHERE suggestion_margin IS NOT NULL")
    for passed in (suggested_count // 2, suggested_count + 5_000):
        plan = page_after("SUGGESTION_MARGIN", passed)
        answer = json.loads(await connection.fetchval(plan.text, *plan.arguments(INPUTS)))
        cursor = answer["dataset"]["samples"]["pageInfo"]["endCursor"]
        behind = page_after("SUGGESTION_MARGIN", 100, after=input_("cursor"))
        found = await explain(connection, behind, cursor=cursor)
        assert samples_read(found) < 300, passed


async def test_what_is_suggested_is_compared_once_however_many_shapes_a_sample_has(
    connection: asyncpg.Connection,
) -> None:
    """A join compares each with each: 9,000 boxes that a sample had took longer than a minute."""
    statement, names = sql.numbered(suggest.SQL.compare)
    samples = [row["id"] for row in await connection.fetch("SELECT id FROM sample ORDER BY id LIMIT 1000")]
    for given in ([samples[0]] * 1_000, samples):
        values = {"samples": given, "labels": [1] * 1_000, "shapes": ["{}"] * 1_000, "model": 1}
        plan = "\n".join(row[0] for row in await connection.fetch(f"EXPLAIN {statement}", *map(values.get, names)))
        assert "Join" not in plan
        assert "Nested Loop" not in plan
        assert "Seq Scan" not in plan


@pytest.fixture
def empty_url(databases: Databases, server_url: str, template: str) -> Iterator[str]:
    with databases.fresh(server_url, template) as url:
        yield url


async def test_how_sure_a_sample_is_is_read_from_its_own_rows(empty_url: str) -> None:
    """Also before Postgres has statistics of suggestions: an index of all of them was read for each sample."""
    read = (
        "SELECT idx_blks_hit + idx_blks_read FROM pg_statio_user_indexes WHERE indexrelname = 'annotation_suggested_by'"
    )
    made = await benchmark.make(empty_url, samples=2_000)
    connection = await asyncpg.connect(engine.driver_url(empty_url))
    try:
        models = await connection.fetch(benchmark.MODELS, made.dataset_id)
        values = made.dataset_id, models[0]["id"], made.label_ids[0], len(made.label_ids), 0, 1
        await connection.execute(benchmark.SUGGESTIONS, *values)
        await connection.execute("SELECT pg_stat_force_next_flush()")
        before = await connection.fetchval(read)
        await connection.execute("SELECT derived_state(id) FROM sample LIMIT 100")
        await connection.execute("SELECT pg_stat_force_next_flush()")
        assert await connection.fetchval(read) - before < 100
    finally:
        await connection.close()


SHAPES = 1_000
SHAPED = f"""
    INSERT INTO annotation (dataset_id, sample_id, label_id, labeled_by, origin, confirmed, confidence, model_id, shape,
                            since)
    SELECT $1, $2, $3, 'net', 'MODEL', $4, 0.5, $5, jsonb_build_object('n', n), 1 FROM generate_series(1, {SHAPES}) n
"""


async def test_what_models_agree_on_is_compared_once_however_many_shapes_a_sample_has(empty_url: str) -> None:
    """Two models suggested the same 2,500 shapes: it took 5 s to accept them, as each was compared with each."""
    made = await benchmark.make(empty_url, samples=2_000)
    connection = await asyncpg.connect(engine.driver_url(empty_url))
    try:
        first, second = (row["id"] for row in (await connection.fetch(benchmark.MODELS, made.dataset_id))[:2])
        sample = await connection.fetchval("SELECT min(id) FROM sample")
        for model, confirmed in ((first, True), (second, False)):
            await connection.execute(SHAPED, made.dataset_id, sample, made.label_ids[0], confirmed, model)
        every = {"ids": [sample], "dataset_id": made.dataset_id, "since": 2, "outcome": "REJECTED"}
        for name in ("add_agreeing", "delete_agreeing", "take_back"):
            statement, names = sql.numbered(OF_IDS + getattr(verdicts.SQL, name))
            nodes = await explained(connection, statement, *map(every.get, names))
            assert rows_read([each for each in nodes if each["Node Type"] != "ModifyTable"]) < 40 * SHAPES, name
            assert max(each["Actual Loops"] for each in nodes if "Scan" in each["Node Type"]) <= SHAPES, name
            assert await connection.fetchval("SELECT count(*) FROM verdict") == SHAPES, name
        assert await connection.fetchval("SELECT count(*) FROM annotation WHERE NOT confirmed") == 0
    finally:
        await connection.close()


def test_no_value_of_a_suggestion_is_written_into_a_statement() -> None:
    filter_ = suggested(labels=["needle"], models=[ModelFilter("needle", "1")], confidence=FloatFilter(min=0.125))
    plan = page(filter_)
    assert "needle" not in plan.text
    assert "0.125" not in plan.text
