"""Facets of many filters, compared with `SELECT count(*)` by hand of their samples: the processor time of Postgres."""

from dataclasses import dataclass
from functools import partial
from itertools import islice, repeat
from pathlib import Path
from typing import Any, Final

import asyncpg

from benchmarks.load import Server
from benchmarks.questions import DATASET
from benchmarks.runner import Bench, Measure, Row, Side, expect_equal
from db.postgres import engine

REQUESTS: Final = 5  # of each measurement
GOAL: Final = 1 / 3
COUNT: Final = """query Count($dataset: String!, $filter: SampleFilter) {
    dataset(by: {name: $dataset}) { samples(filter: $filter) { totalCount } } }"""
FACETS: Final = """query Facets($dataset: String!, $filter: SampleFilter) { dataset(by: {name: $dataset}) {
    samples(filter: $filter) { facets {
        states { value count } labels { count label { name } } labelers { value count } directories { value count }
    } } } }"""


@dataclass(frozen=True, slots=True)
class Filter:
    """In GraphQL, and as a condition by hand on the samples of a dataset."""

    name: str
    graphql: dict[str, Any] | None
    sql: str


FILTERS: Final = (
    Filter("none", None, "true"),
    Filter("state LABELED, 75 %", {"state": "LABELED"}, "state = 'LABELED'"),
    Filter("state UNLABELED, 25 %", {"state": "UNLABELED"}, "state = 'UNLABELED'"),
    Filter("createdAt, 50 %", {"createdAt": {"from": "2026-07-02T12:00:00Z"}}, "created_at >= '2026-07-02 12:00Z'"),
    Filter("createdAt, 10 %", {"createdAt": {"from": "2026-11-25T12:00:00Z"}}, "created_at >= '2026-11-25 12:00Z'"),
    Filter("changedSince, all", {"changedSince": 0}, "since > 0"),
    Filter("addedAt, all", {"addedAt": {"from": "2020-01-01T00:00:00Z"}}, "added_at >= '2020-01-01Z'"),
    Filter("labeledBy, 11 %", {"labeledBy": ["user_3"]}, "labeled_by = 'user_3'"),
    Filter("isHard false, 99 %", {"isHard": False}, "NOT hard"),
    Filter("isHard true, 1 %", {"isHard": True}, "hard"),
    Filter(
        "one label, 24 %",
        {"labels": {"names": ["label_1"]}},
        "label_ids @> ARRAY[(SELECT l.id FROM label l JOIN d ON d.id = l.dataset_id WHERE l.name = 'label_1')]",
    ),
    Filter("fileName contains, 11 %", {"fileName": {"contains": "77"}}, "lower(split_part(path, '/', -1)) LIKE '%77%'"),
    Filter(
        "width, all",
        {"width": {"min": 1}},
        "source_id IN (SELECT o.id FROM source o JOIN d ON d.id = o.dataset_id WHERE o.width >= 1)",
    ),
    Filter("a directory, 0.1 %", {"path": {"directory": "part_7"}}, "path >= 'part_7/' AND path < 'part_70'"),
)


def statement(filter_: Filter) -> str:
    return f"""
        WITH d AS (SELECT id FROM dataset WHERE name = :dataset AND deleted_at IS NULL)
        SELECT concat('{{"data":', count(*), '}}') FROM sample s
        WHERE s.dataset_id = (SELECT id FROM d) AND {filter_.sql}"""


async def run(bench: Bench, url: str, ours: Server, hand: Server) -> None:
    control = await asyncpg.connect(engine.driver_url(url))
    try:
        for number, filter_ in enumerate(FILTERS):
            name = f"facets: {filter_.name}"
            if not bench.wants(name):
                continue
            values = {"dataset": DATASET, "filter": filter_.graphql}
            by_hand = hand.post(f"/count/{number}", {"dataset": DATASET})
            counted = await ours.ask(ours.graphql(COUNT, values))
            expect_equal(name, counted["dataset"]["samples"]["totalCount"], await hand.ask(by_hand))
            facets = spent_by_postgres(control, partial(ask, ours, ours.graphql(FACETS, values)))
            counting = spent_by_postgres(control, partial(ask, hand, by_hand))
            await bench.run(Row(name, "ms", facets, counting, "count by hand", GOAL, warm_up=True))
    finally:
        await control.close()


async def ask(server: Server, request: bytes) -> Measure:
    return await server.measure(islice(repeat(request), REQUESTS))


def spent_by_postgres(control: "asyncpg.Connection[asyncpg.Record]", side: Side) -> Side:
    """The processor time of the connections to a database, but for the one that measures; and by the clock."""

    async def measure() -> Measure:
        before = await nanoseconds(control)
        measured = await side()
        after = await nanoseconds(control)
        spent = sum(each - before.get(pid, 0) for pid, each in after.items())
        return Measure(measured.count, spent / 1e9, {**measured.more, "clock ms": 1e3 / measured.speed})

    return measure


async def nanoseconds(control: "asyncpg.Connection[asyncpg.Record]") -> dict[int, int]:
    """The processor time that each connection has used."""
    found = await control.fetch(
        """SELECT pid FROM pg_stat_activity
           WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()"""
    )
    return {row["pid"]: int(Path(f"/proc/{row['pid']}/schedstat").read_text().split()[0]) for row in found}
