"""Reading as clients meet it; what any query answers is compared with the reference reader in test_reads_generated."""

import asyncio
import base64
from typing import Any

import asyncpg
import pytest

from db.identity.tokens import Identity, Scope
from db.postgres.engine import driver_url
from schema.errors import Refused
from schema.execution.plans import Plans
from tests.schema.read_fixture import ReadFixture

PAGE = """
query ($first: Int, $after: String, $last: Int, $before: String, $order: SampleOrderInput, $filter: SampleFilter) {
  dataset(by: {name: "pets"}) {
    samples(first: $first, after: $after, last: $last, before: $before, orderBy: $order, filter: $filter) {
      nodes { id path labels { name } }
      pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
    }
  }
}
"""
ALICE = Identity("alice", Scope.READ, token_id=3, dataset_ids=frozenset({4}))


async def page(reads: ReadFixture, **variables: Any) -> Any:
    return (await reads.data(PAGE, variables))["dataset"]["samples"]


async def refusal(reads: ReadFixture, **variables: Any) -> Any:
    (error,) = (await reads.run(PAGE, variables))["errors"]
    assert error["path"] == ["dataset", "samples"]
    return error["extensions"]


@pytest.mark.parametrize(
    "page_", [{"first": -1}, {"first": 101}, {"last": -1}, {"last": 101}, {"first": 1, "last": 1}, {"first": 2**31 - 1}]
)
async def test_refuses_a_page_out_of_its_bounds(reads: ReadFixture, page_: dict[str, int]) -> None:
    assert (await refusal(reads, **page_))["code"] == "VALIDATION_FAILED"


async def test_pages_hold_twenty_by_default(reads: ReadFixture) -> None:
    assert len((await page(reads))["nodes"]) == 20
    assert (await page(reads, first=0))["pageInfo"]["hasNextPage"] is True


async def test_a_cursor_of_another_order_or_altered_is_refused(reads: ReadFixture) -> None:
    cursor = (await page(reads, first=1))["pageInfo"]["endCursor"]
    text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
    altered = base64.urlsafe_b64encode((text[:-1] + chr(ord(text[-1]) ^ 1)).encode()).decode().rstrip("=")
    for input_ in (altered, cursor[:-1], cursor + "=", "", "é", "\x00", "A" * 5000, text):
        assert (await refusal(reads, after=input_))["code"] == "INVALID_CURSOR"
    for order in ({"field": "CREATED_AT"}, {"field": "ADDED_AT", "direction": "DESC"}, {"field": "RANDOM"}):
        assert (await refusal(reads, after=cursor, order=order))["code"] == "INVALID_CURSOR"


async def test_a_cursor_of_a_random_order_is_bound_to_its_seed(reads: ReadFixture) -> None:
    order = {"field": "RANDOM", "seed": "a"}
    first = await page(reads, first=1, order=order)
    cursor = first["pageInfo"]["endCursor"]
    rest = await page(reads, first=100, after=cursor, order=order)
    assert [*first["nodes"], *rest["nodes"]] == (await page(reads, first=100, order=order))["nodes"]
    for seed in ("", "b", "a:", None):
        assert (await refusal(reads, after=cursor, order={**order, "seed": seed}))["code"] == "INVALID_CURSOR"
    assert (await refusal(reads, order={**order, "seed": "a" * 1_025}))["code"] == "VALIDATION_FAILED"


async def test_another_seed_is_another_order_of_the_same_samples(reads: ReadFixture) -> None:
    orders = [
        [node["id"] for node in (await page(reads, first=100, order={"field": "RANDOM", "seed": str(seed)}))["nodes"]]
        for seed in range(10)
    ]
    assert len({tuple(order) for order in orders}) == len(orders)
    assert len({order[0] for order in orders}) > 5
    assert all(set(order) == set(orders[0]) for order in orders)


async def test_null_is_the_default_order_and_the_default_direction(reads: ReadFixture) -> None:
    newest = await page(reads, order={"field": "CREATED_AT", "direction": "DESC"})
    assert await page(reads) == await page(reads, order=None) == newest
    upwards = await page(reads, order={"field": "PATH"})
    assert await page(reads, order={"field": "PATH", "direction": None}) == upwards


@pytest.mark.parametrize("order", ["CREATED_AT", "ADDED_AT", "LABELED_AT", "PATH", "SIZE", "RANDOM"])
@pytest.mark.parametrize("backward", [False, True])
async def test_reading_to_the_end_sees_each_sample_once_while_others_write(
    reads: ReadFixture, order: str, backward: bool
) -> None:
    rows = reads.tables.having("sample", dataset_id=1)
    staying = {f"Sample:{row['id']}" for row in rows if row["id"] % 3}
    leaving = [row["id"] for row in rows if not row["id"] % 3]
    writer = await asyncpg.connect(driver_url(reads.database.url))
    size, cursor = ("last", "before") if backward else ("first", "after")
    seen: list[str] = []
    position = None
    more = True
    while more:
        found = await page(reads, **{size: 7, cursor: position, "order": {"field": order}})
        seen += [node["id"] for node in found["nodes"]]
        position = found["pageInfo"]["startCursor" if backward else "endCursor"]
        more = found["pageInfo"]["hasPreviousPage" if backward else "hasNextPage"]
        gone = [leaving.pop() for _ in range(min(4, len(leaving)))]
        await writer.execute("DELETE FROM annotation WHERE sample_id = ANY ($1)", gone)
        await writer.execute("DELETE FROM sample WHERE id = ANY ($1)", gone)
    await writer.close()
    assert len(seen) == len(set(seen))
    assert staying <= set(seen)


async def test_a_deleted_dataset_is_nowhere_nor_is_anything_of_it(reads: ReadFixture) -> None:
    rows = reads.tables.rows
    (gone,) = (row["id"] for row in rows["dataset"] if row["deleted_at"])
    ids = [f"Dataset:{gone}"]
    for kind, table in (("Sample", "sample"), ("Label", "label"), ("Change", "change"), ("SyncJob", "job")):
        ids += [f"{kind}:{row['id']}" for row in rows[table] if row["dataset_id"] == gone]
    data = await reads.data("query ($ids: [ID!]!) { nodes(ids: $ids) { id } }", {"ids": ids})
    assert len(ids) > 10
    assert data["nodes"] == [None] * len(ids)
    assert (await reads.data('{ dataset(by: {name: "Gone"}) { id } }'))["dataset"] is None


async def test_what_a_confined_token_may_not_see_does_not_exist(reads: ReadFixture) -> None:
    source = (
        '{ datasets { totalCount nodes { id } } a: dataset(by: {id: "Dataset:1"}) { id } node(id: "Sample:1") { id } }'
    )
    data = await reads.data(source, identity=ALICE)
    assert data == {"datasets": {"totalCount": 1, "nodes": [{"id": "Dataset:4"}]}, "a": None, "node": None}


async def test_purges_are_the_servers_own_business(reads: ReadFixture) -> None:
    purges = [f"SyncJob:{row['id']}" for row in reads.tables.having("job", kind="PURGE")]
    data = await reads.data("query ($ids: [ID!]!) { nodes(ids: $ids) { id } }", {"ids": purges})
    assert data["nodes"] == [None] * len(purges)


async def test_one_page_with_everything_on_it_is_one_statement(reads: ReadFixture) -> None:
    filter_ = {"labels": {"names": ["cat", "Cat"]}, "path": {"contains": "i"}}
    assert len(await _statements(reads, PAGE, {"first": 100, "filter": filter_})) == 1


async def _statements(reads: ReadFixture, source: str, variables: dict[str, Any]) -> list[str]:
    statements: list[str] = []
    async with reads.database.reading() as one, reads.database.reading() as other:
        for connection in (one, other):
            connection.add_query_logger(lambda record: statements.append(record.query))
    await reads.data(source, variables)
    await asyncio.sleep(0)  # loggers are called in the next turn of the event loop
    return statements


async def test_keys_may_be_longer_than_a_name_in_postgres_and_more_than_a_function_takes(reads: ReadFixture) -> None:
    aliases = [f"{'a' * 100}{number}" for number in range(150)]
    source = f'{{ dataset(by: {{id: "Dataset:1"}}) {{ {" ".join(f"{alias}: name" for alias in aliases)} }} }}'
    assert (await reads.data(source))["dataset"] == dict.fromkeys(aliases, "pets")


async def test_the_schema_and_the_data_can_be_asked_for_at_once(reads: ReadFixture) -> None:
    source = """query ($n: Int) {
      __schema { queryType { name } } viewer { name }
      dataset(by: {id: "Dataset:1"}) { ...Some } missing: dataset(by: {id: "Label:1"}) { id }
    } fragment Some on Dataset { samples(first: $n) { nodes { __typename path } } }"""
    data = await reads.data(source, {"n": 2})
    plain = await reads.data(source.replace("__schema { queryType { name } }", ""), {"n": 2})
    assert data == {"__schema": {"queryType": {"name": "Query"}}, **plain}
    errors = (await reads.run(source, {"n": 200}))["errors"]
    assert [(error["path"], error["extensions"]["code"]) for error in errors] == [(["dataset"], "VALIDATION_FAILED")]


@pytest.mark.parametrize("id", ["", "Dataset", "Dataset:", "Dataset:x", "Dataset:٣", "Label:1", "Dataset:1 ", "\x00"])
async def test_an_id_of_something_else_is_an_id_of_nothing(reads: ReadFixture, id: str) -> None:
    source = "query ($id: ID!) { dataset(by: {id: $id}) { id } node(id: $id) { ... on Dataset { id } } }"
    data = await reads.data(source, {"id": id})
    assert data["dataset"] is None


async def test_a_variable_that_may_be_null_is_refused_where_nothing_may_be(reads: ReadFixture) -> None:
    source = "query ($id: ID) { dataset(by: {id: $id}) { name } }"
    assert (await reads.data(source, {"id": "Dataset:1"}))["dataset"] == {"name": "pets"}
    with pytest.raises(Refused):
        await reads.run(source, {"id": None})


async def test_refuses_a_time_that_ends_before_it_begins(reads: ReadFixture) -> None:
    time = {"from": "2026-02-01T00:00:00Z", "to": "2026-01-01T00:00:00Z"}
    assert (await refusal(reads, filter={"not": {"createdAt": time}}))["code"] == "VALIDATION_FAILED"


async def test_refuses_a_filter_of_too_many_parts_and_too_many_ids(reads: ReadFixture) -> None:
    assert (await refusal(reads, filter={"or": [{"isHard": True}] * 100}))["code"] == "VALIDATION_FAILED"
    answer = await reads.run("query ($ids: [ID!]!) { nodes(ids: $ids) { id } }", {"ids": ["Sample:1"] * 101})
    assert answer["errors"][0]["extensions"]["code"] == "VALIDATION_FAILED"


@pytest.mark.parametrize(
    "text", ["a\x00b", "\ud800", "'; DROP TABLE sample; --", "%", "_", "\\", "$1", "\U0010ffff" * 256]
)
async def test_no_text_reaches_the_statement(reads: ReadFixture, text: str) -> None:
    filters = [
        {"labels": {"names": [text]}},
        {"labeledBy": [text]},
        {"fileName": {"eq": text}},
        {"fileName": {"contains": text}},
        {"path": {"directory": text}},
        {"path": {"directory": text, "recursive": True}},
        {"path": {"contains": text}},
    ]
    for filter_ in filters:
        found = await page(reads, filter=filter_, first=100)
        expected = reads.expected_answer(PAGE, {"first": 100, "filter": filter_})["dataset"]["samples"]
        assert [node["id"] for node in found["nodes"]] == [node["id"] for node in expected["nodes"]], filter_


async def test_plans_are_shared_by_all_values_of_one_shape(reads: ReadFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    plans = Plans(reads.schema.worker_thread)  # not full of what other tests read
    monkeypatch.setattr(reads.schema, "plans", plans)
    for names in (["cat"], ["dog-1", "狗"], ["nobody"]):
        await page(reads, filter={"labels": {"names": names}}, first=3)
    before = len(plans)
    await page(reads, filter={"labels": {"names": ["cat"]}}, first=3)
    assert len(plans) == before
    await page(reads, filter={"isHard": True}, first=4)
    assert len(plans) == before + 1


async def test_a_read_survives_the_loss_of_its_connection(reads: ReadFixture) -> None:
    await page(reads)
    killer = await asyncpg.connect(driver_url(reads.database.url))
    await killer.execute(
        """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE pid <> pg_backend_pid() AND datname = current_database()"""
    )
    await killer.close()
    assert len((await page(reads))["nodes"]) == 20
