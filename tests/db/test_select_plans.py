"""The plans of statements: which index they use, shown by EXPLAIN on a dataset large enough to matter."""

import json
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from typing import Any

import asyncpg
import pytest

from benchmarks import dataset as benchmark
from db import queries
from db.identity.tokens import Identity, Scope
from db.identity.urls import Links
from db.postgres import engine
from db.queries import Inputs, Parameter, Plan, SelectedField
from db.queries.filters import LabelFilter, SampleFilter, TimeFilter
from db.queries.paths import PathFilter, TextFilter
from tests.conftest import Databases

SAMPLES = 30_000
INPUTS = Inputs(
    variables={"seed": "a", "id": "Dataset:1", "names": ["label_1"], "text": "image_12345", "directory": "part_7"},
    identity=Identity("ann", Scope.READ, token_id=1),
    links=Links("http://test", "?e=1", b"k"),
)


def input_(name: str, **known: Any) -> Parameter:
    return Parameter(lambda inputs: inputs.variables[name], **known)


def page(
    filter_: SampleFilter | None = None, *, order: str | None = None, first: int = 100, fields: str = "nodes"
) -> Plan:
    label = SelectedField("labels", "labels", fields={"Label": (SelectedField("name", "name"),)})
    nodes = SelectedField("nodes", "nodes", fields={"Sample": (SelectedField("id", "id"), label)})
    total = SelectedField("totalCount", "totalCount")
    connection = {"SampleConnection": (nodes if fields == "nodes" else total,)}
    by = {} if order is None else {"orderBy": {"field": order, "seed": input_("seed")}}
    args = {"first": first, **by, **({} if filter_ is None else {"filter": filter_})}
    samples = SelectedField("samples", "samples", args, connection)
    root = SelectedField("dataset", "dataset", {"by": {"id": input_("id")}}, {"Dataset": (samples,)})
    return queries.compile_query([root], confined=False)


async def fill(url: str) -> None:
    await benchmark.make(url, samples=SAMPLES)


@pytest.fixture
def database_url(databases: Databases, server_url: str, template: str) -> Iterator[str]:
    with databases.fresh(server_url, databases.prepared(server_url, template, fill)) as url:
        yield url


@pytest.fixture
async def connection(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    async with engine.connect(database_url) as database, database.reading() as connection:
        yield connection


async def explain(connection: asyncpg.Connection, plan: Plan, **variables: Any) -> dict[str, list[dict[str, Any]]]:
    """The nodes that touched rows, by the index (or table) that they read."""
    inputs = Inputs({**INPUTS.variables, **variables}, INPUTS.identity, INPUTS.links)
    found: dict[str, list[dict[str, Any]]] = {}
    for node in await explained(connection, plan.text, *plan.arguments(inputs)):
        if node["Actual Loops"]:
            found.setdefault(node.get("Index Name", node.get("Relation Name", node["Node Type"])), []).append(node)
    return found


async def explained(connection: asyncpg.Connection, statement: str, *values: Any) -> list[dict[str, Any]]:
    """Every node of the plan of a statement, which is executed."""
    source = f"EXPLAIN (ANALYZE, TIMING OFF, SUMMARY OFF, FORMAT JSON) {statement}"
    (whole,) = json.loads(await connection.fetchval(source, *values))
    return _nodes(whole["Plan"])


def _nodes(node: dict[str, Any]) -> list[dict[str, Any]]:
    return [node, *(each for below in node.get("Plans", ()) for each in _nodes(below))]


def rows_read(nodes: list[dict[str, Any]]) -> float:
    """And those that a filter or a join discarded."""
    removed = ("Rows Removed by Filter", "Rows Removed by Join Filter")
    read: float = sum(
        (each["Actual Rows"] + sum(each.get(name, 0) for name in removed)) * each["Actual Loops"] for each in nodes
    )
    return read


async def test_each_page_is_found_by_an_index_that_fits_it(connection: asyncpg.Connection) -> None:
    for order, index in (
        (None, "sample_newest"),
        ("CREATED_AT", "sample_newest"),
        ("ADDED_AT", "sample_added"),
        ("LABELED_AT", "sample_labeled"),
        ("PATH", "sample_path_order"),
        ("SIZE", "source_size"),
    ):
        found = await explain(connection, page(order=order))
        assert rows_read(found[index]) == 101, order
        assert "Sort" not in found
    labels = await explain(connection, page(SampleFilter(state="UNLABELED")))
    assert rows_read(labels["sample_state"]) == 101
    hard = await explain(connection, page(SampleFilter(is_hard=True)))
    assert rows_read(hard["sample_hard"]) == 101
    someone = await explain(connection, page(SampleFilter(labeled_by=["nobody"])))
    assert rows_read(someone["sample_labeled_by"]) == 0


async def test_a_random_page_reads_few_of_the_buckets(connection: asyncpg.Connection) -> None:
    found = await explain(connection, page(order="RANDOM"))
    assert 101 <= rows_read(found["source_shuffled"]) < 101 + 3 * SAMPLES / 1024
    assert rows_read(found["sample_source_key"]) == rows_read(found["source_shuffled"])


async def test_common_labels_are_walked_to_and_rare_ones_found_by_the_labels_index(
    connection: asyncpg.Connection,
) -> None:
    plan = page(SampleFilter(labels=LabelFilter(input_("names"))))
    common = await explain(connection, plan, names=["label_1"])
    assert rows_read(common["sample_newest"]) < 2_000
    rare = await explain(connection, plan, names=["label_50"])
    assert rows_read(rare["sample_labels"]) == 10
    every = page(SampleFilter(labels=LabelFilter(input_("names"), "ALL")))
    both = await explain(connection, every, names=["label_1", "label_50"])
    assert rows_read(both["sample_labels"]) <= 10


async def test_which_samples_have_a_common_label_is_read_from_the_index_of_the_order(
    connection: asyncpg.Connection,
) -> None:
    for order, index in (("CREATED_AT", "sample_newest"), ("ADDED_AT", "sample_added")):
        plan = page(SampleFilter(labels=LabelFilter(input_("names", has_one_item=True))), order=order)
        found = await explain(connection, plan, names=["label_5"])
        [walked] = found[index]
        assert (walked["Node Type"], walked["Heap Fetches"]) == ("Index Only Scan", 0)
        assert rows_read([walked]) > 500
        assert rows_read(found["sample_pkey"]) == 101
        rare = await explain(connection, plan, names=["label_50"])
        assert rows_read(rare["sample_labels"]) == 10
        assert index not in rare


async def test_rare_substrings_are_found_by_their_index_and_common_ones_by_walking(
    connection: asyncpg.Connection,
) -> None:
    for filter_ in (
        SampleFilter(path=PathFilter(contains=input_("text"))),
        SampleFilter(file_name=TextFilter(input_("text"))),
    ):
        rare = await explain(connection, page(filter_))
        assert rows_read(rare["source_path_words"]) < 100
        common = await explain(connection, page(filter_), text="IMAGE")
        assert rows_read(common["sample_newest"]) < 1_000
    two_letters = input_("text", has_trigram=False)
    for filter_ in (
        SampleFilter(path=PathFilter(contains=two_letters)),
        SampleFilter(file_name=TextFilter(two_letters)),
    ):
        found = await explain(connection, page(filter_, fields="totalCount"), text="77")
        assert not any(name.startswith("source") for name in found)


async def test_a_directory_is_a_range_of_the_paths_index(connection: asyncpg.Connection) -> None:
    filter_ = SampleFilter(path=PathFilter(directory=input_("directory")))
    found = await explain(connection, page(filter_, order="PATH"))
    assert rows_read(found["sample_path_order"]) == SAMPLES / 1000
    assert "Sort" not in found


async def test_paths_ids_and_revisions_are_looked_up(connection: asyncpg.Connection) -> None:
    """In whatever order the page is."""
    some = SampleFilter(path=PathFilter(in_=input_("paths")))
    found = await explain(connection, page(some), paths=["part_7/image_7.jpg", "part_8/image_8.jpg", "none"])
    assert rows_read(found["sample_path_key"]) == 2
    for order in (None, "PATH", "SIZE"):
        prefix = SampleFilter(path=PathFilter(starts_with=input_("text")))
        found = await explain(connection, page(prefix, order=order), text="part_7/image_1")
        assert sum(rows_read(nodes) for name, nodes in found.items() if name.startswith("sample_path")) < 150, order
    found = await explain(connection, page(SampleFilter(ids=input_("ids"))), ids=["Sample:5", "Sample:7"])
    assert rows_read(found["sample_pkey"]) == 2
    found = await explain(connection, page(SampleFilter(changed_since=input_("revision"))), revision=1)
    assert rows_read(found["sample_since"]) == 0


async def test_labels_by_their_ids_are_found_like_those_by_names(connection: asyncpg.Connection) -> None:
    plan = page(SampleFilter(labels=LabelFilter(ids=input_("ids"))))
    [common, rare] = [
        f"Label:{await connection.fetchval('SELECT id FROM label WHERE name = $1', name)}"
        for name in ("label_1", "label_50")
    ]
    assert rows_read((await explain(connection, plan, ids=[common]))["sample_newest"]) < 2_000
    assert rows_read((await explain(connection, plan, ids=[rare]))["sample_labels"]) == 10


async def test_counting_everything_reads_no_sample(connection: asyncpg.Connection) -> None:
    found = await explain(connection, page(fields="totalCount"))
    assert not [name for name in found if name.startswith("sample")]


def facets(*names: str, filter_: SampleFilter | None = None) -> Plan:
    value = (SelectedField("value", "value"), SelectedField("count", "count"))
    types = {
        "states": "StateFacet",
        "labelers": "LabelerFacet",
        "directories": "DirectoryFacet",
        "usages": "UsageFacet",
    }
    lists = tuple(SelectedField(name, name, fields={types[name]: value}) for name in names if name in types)
    labels = SelectedField("labels", "labels", fields={"LabelFacet": value[1:]})
    hard = SelectedField("hardCount", "hardCount")
    more = tuple(each for each in (labels, hard) if each.name in names)
    found = SelectedField("facets", "facets", fields={"SampleFacets": (*lists, *more)})
    args = {} if filter_ is None else {"filter": filter_}
    samples = SelectedField("samples", "samples", args, {"SampleConnection": (found,)})
    root = SelectedField("dataset", "dataset", {"by": {"id": input_("id")}}, {"Dataset": (samples,)})
    return queries.compile_query([root], confined=False)


ALL_FACETS = ("states", "labels", "labelers", "directories", "usages", "hardCount")


async def test_what_is_counted_already_is_not_counted_for_facets(connection: asyncpg.Connection) -> None:
    for filter_ in (None, SampleFilter(state="LABELED"), SampleFilter(state="UNLABELED")):
        found = await explain(connection, facets("states", "labels", filter_=filter_))
        assert not [name for name in found if name.startswith("sample")]
    found = await explain(connection, facets("hardCount"))
    assert rows_read(found["sample_hard"]) == SAMPLES / 100


def reads_of_samples(found: dict[str, list[dict[str, Any]]]) -> tuple[dict[str, Any], float]:
    """The one node that reads the rows of a list, and how many samples were looked up by their ids, all at once."""
    by_id = found.pop("sample_pkey", [])
    assert all(node["Actual Loops"] == 1 for node in by_id)
    looked_up = rows_read(by_id)
    [read] = [node for name, nodes in found.items() if name.startswith("sample") for node in nodes]
    return read, looked_up


async def test_facets_are_read_from_the_index_that_counts_their_filter(connection: asyncpg.Connection) -> None:
    late = TimeFilter(from_=datetime(2026, 12, 1, tzinfo=UTC))
    for filter_, indexes in (
        (None, {"sample_newest", "sample_added", "sample_since"}),
        (SampleFilter(created_at=late), {"sample_newest"}),
        (SampleFilter(added_at=TimeFilter(from_=datetime(2026, 1, 1, tzinfo=UTC))), {"sample_added"}),
        (SampleFilter(state="LABELED"), {"sample_state"}),
        (SampleFilter(state="UNLABELED", created_at=late), {"sample_state"}),
        (SampleFilter(labeled_by=["user_3"]), {"sample_labeled_by"}),
        (SampleFilter(is_hard=True), {"sample_hard"}),
        (SampleFilter(changed_since=0), {"sample_since"}),
    ):
        read, looked_up = reads_of_samples(await explain(connection, facets(*ALL_FACETS[:-1], filter_=filter_)))
        assert (read["Node Type"], read["Heap Fetches"]) == ("Index Only Scan", 0), filter_
        assert read["Index Name"] in indexes, filter_
        assert looked_up <= 8 * 1000 + 10, filter_  # of each directory one by each labeler, and one without labels


async def test_the_rows_of_a_filter_are_read_once_for_all_facets_and_not_sorted(connection: asyncpg.Connection) -> None:
    await connection.execute("SET work_mem = '1MB'")  # as little for these samples as usual for a million
    for names in (ALL_FACETS, ("labels",), ("directories", "usages")):
        found = await explain(connection, facets(*names, filter_=SampleFilter(is_hard=False)))
        assert rows_read(found.get("Sort", [])) < SAMPLES / 10
        read, _ = reads_of_samples(found)
        assert rows_read([read]) == SAMPLES


async def test_one_label_is_not_counted_and_several_are(connection: asyncpg.Connection) -> None:
    rows = await connection.fetch("SELECT id, name FROM label ORDER BY id LIMIT 2")
    values = {"names": [row["name"] for row in rows], "ids": [f"Label:{row['id']}" for row in rows]}
    for name, match in (("names", "ANY"), ("names", "ALL"), ("ids", "ANY")):
        for items in (1, 2):
            labels = LabelFilter(**{name: input_(name, has_one_item=items == 1)}, match=match)
            counted = page(SampleFilter(labels=labels), fields="totalCount")
            found = await explain(connection, counted, **{name: values[name][:items]})
            reads_samples = any(each.startswith("sample") for each in found)
            assert (reads_samples, counted.costly) == (items == 2, items == 2)


async def test_those_who_label_are_found_by_one_step_each(connection: asyncpg.Connection) -> None:
    labelers = SelectedField("labelers", "labelers")
    root = SelectedField("dataset", "dataset", {"by": {"id": input_("id")}}, {"Dataset": (labelers,)})
    found = await explain(connection, queries.compile_query([root], confined=False))
    assert rows_read(found["sample_labeled_by"]) == pytest.approx(7, abs=0.5)


async def test_only_what_depends_on_values_is_planned_again_each_time(connection: asyncpg.Connection) -> None:
    filtered, plain = page(SampleFilter(labels=LabelFilter(input_("names")))), page()
    fields = (SelectedField("id", "id"),)
    anything = SelectedField("node", "node", {"id": input_("id")}, {"Sample": fields, "Version": fields})
    node = queries.compile_query([anything], confined=False)
    for plan in (filtered, plain, node):
        for _ in range(12):
            await connection.fetchval(plan.text, *plan.arguments(INPUTS))
    counted = "SELECT statement, generic_plans, custom_plans FROM pg_prepared_statements"
    used = {row["statement"]: (row["generic_plans"], row["custom_plans"]) for row in await connection.fetch(counted)}
    assert used[filtered.text] == (0, 12)
    assert used[plain.text][0] > 0
    assert used[node.text][0] > 0


def test_no_value_is_written_into_a_statement() -> None:
    filter_ = SampleFilter(
        labels=LabelFilter(["cat"]),
        file_name=TextFilter(contains="needle", eq="needle"),
        path=PathFilter(directory="needle", contains="needle"),
        labeled_by=["needle"],
    )
    plan = page(filter_)
    assert "needle" not in plan.text
    assert "cat'" not in plan.text
    assert "Dataset:1" not in plan.text


async def test_a_general_plan_finds_a_dataset_by_its_name_without_calling_a_function(
    connection: asyncpg.Connection,
) -> None:
    """A plan for all values would call it for each use, and for each dataset that it compares: as long as the rest."""
    names = SelectedField("labels", "labels", fields={"Label": (SelectedField("name", "name"),)})
    fields = (SelectedField("id", "id"), names, SelectedField("hasUnpublishedChanges", "hasUnpublishedChanges"))
    root = SelectedField("dataset", "dataset", {"by": {"name": input_("name")}}, {"Dataset": fields})
    plan = queries.compile_query([root], confined=False)
    inputs = Inputs({"name": "bench"}, INPUTS.identity, INPUTS.links)
    await connection.execute("SET track_functions = 'all'; SET plan_cache_mode = force_generic_plan")
    async with connection.transaction():
        answer = json.loads(await connection.fetchval(plan.text, *plan.arguments(inputs)))
        calls = "SELECT pg_stat_get_xact_function_calls('dataset_named(text)'::regprocedure)"
        assert not await connection.fetchval(calls)
        assert await connection.fetchval("SELECT dataset_named('bench')") == 1
        assert await connection.fetchval(calls) == 1
    assert answer["dataset"]["id"] == "Dataset:1"
    assert len(answer["dataset"]["labels"]) > 1
