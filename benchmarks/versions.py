"""What versions cost: publishing, pages of versions compared with the working set, and comparing.

Two datasets, of a thousand samples and of `--rows`. The large one gets ten versions, before each of which a
twentieth of its samples is relabelled.
"""

from functools import partial
from itertools import cycle
from typing import Any, Final

import asyncpg
from sqlalchemy import Boolean, literal_column

from benchmarks import dataset, servers
from benchmarks.runner import Bench, Measure, Row, Side
from benchmarks.writes import PUBLISH
from db.history import versions
from db.history.changes import lock_dataset, record
from db.history.transactions import write
from db.identity.tokens import Identity, Scope
from db.labelling import annotations
from db.labelling.samples.selection import lock_samples_where
from db.labelling.verdicts import SuggestionFlags
from db.postgres import engine
from db.postgres.engine import Database

SMALL: Final = 1_000
VERSIONS, PART = 10, 20
BY: Final = Identity("bench", Scope.MANAGE, token_id=1)
PAGE: Final = "samples(first: 100, filter: $f) { nodes { id path state labels { id name } imageUrl } }"
WORKING_SET: Final = "query ($id: ID!, $f: SampleFilter) { node(id: $id) { ... on Dataset { PAGE } } }".replace(
    "PAGE", PAGE
)
VERSION: Final = "query ($id: ID!, $f: SampleFilter) { node(id: $id) { ... on Version { PAGE } } }".replace(
    "PAGE", PAGE
)
COMPARISON: Final = """query ($d: ID!, $b: ID!, $h: ID) { dataset(by: {id: $d}) { comparison(baseId: $b, headId: $h) {
    addedCount removedCount relabeledCount
    changes(first: 100) { nodes { kind addedLabelNames removedLabelNames sample { id path } } } } } }"""
FILTERS: Final[dict[str, dict[str, Any]]] = {
    "plain": {},
    "a common label": {"labels": {"names": ["label_1"]}},
    "a label in fifty": {"labels": {"names": ["label_49"]}},
    "both of two labels": {"labels": {"names": ["label_2", "label_3"], "match": "ALL"}},
    "unlabelled": {"state": "UNLABELED"},
    "by a person": {"labeledBy": ["user_3"]},
    "hard": {"isHard": True},
    "a month": {"createdAt": {"from": "2026-03-01T00:00:00Z", "to": "2026-04-01T00:00:00Z"}},
    "a directory": {"path": {"directory": "part_7"}},
    "a substring": {"fileName": {"contains": "_77"}},
}


async def run(bench: Bench) -> None:
    url = await servers.migrated(bench.postgres, f"bench_versions_{bench.rows}")
    small, large = await find_or_make(url, "small", SMALL), await find_or_make(url, "large", bench.rows)
    async with engine.connect(url) as database:
        chain = await churn(database, large)
    async with servers.labelgraph(url, bench.data, "--no-worker") as server:

        def publish(id: int) -> Side:
            async def measure() -> Measure:
                return (await server.mutate(PUBLISH, datasetId=f"Dataset:{id}"))[0]

            return measure

        def ask(query: str, **variables: Any) -> Side:
            return partial(server.measure, cycle([server.graphql(query, variables)]), seconds=bench.seconds)

        baseline = f"of {SMALL:,} samples"
        rows = [
            Row(f"publishVersion, {bench.rows:,} samples", "ms", publish(large), publish(small), baseline, warm_up=True)
        ]
        for name, condition in FILTERS.items():
            working_set = ask(WORKING_SET, id=f"Dataset:{large}", f=condition)
            for age, id in {"newest": chain[-1], "middle": chain[len(chain) // 2], "oldest": chain[0]}.items():
                page = ask(VERSION, id=f"Version:{id}", f=condition)
                rows.append(
                    Row(f"page of the {age} version, {name}", "ms", page, working_set, "working set", warm_up=True)
                )
        neighbours = ask(COMPARISON, d=f"Dataset:{large}", b=f"Version:{chain[-2]}", h=f"Version:{chain[-1]}")
        head = ask(VERSION, id=f"Version:{chain[-1]}", f={})
        rows.append(Row("comparison of neighbours", "ms", neighbours, head, "a page of the newer", warm_up=True))
        for row in rows:
            if bench.wants(row.name):
                await bench.run(row)


async def find_or_make(url: str, name: str, samples: int) -> int:
    """The dataset of this name, found or made."""
    connection = await asyncpg.connect(engine.driver_url(url))
    try:
        found: int | None = await connection.fetchval("SELECT id FROM dataset WHERE name = $1", name)
    finally:
        await connection.close()
    return found or (await dataset.make(url, samples=samples, name=name)).dataset_id


async def churn(database: Database, dataset_id: int) -> list[int]:
    """Versions, a part of all samples relabelled between each and the next: labelled ones get one label more, so that
    what the filters look for is as common in one version as in another."""
    async with database.reading() as reader:
        known = await reader.fetch(
            "SELECT DISTINCT ON (revision) id FROM version WHERE dataset_id = $1 ORDER BY revision, id DESC", dataset_id
        )
        label = await reader.fetchval("SELECT id FROM label WHERE dataset_id = $1 AND name = 'label_5'", dataset_id)
    chain = [row["id"] for row in known] or [await _publish(database, dataset_id)]
    for part in range(len(chain) - 1, VERSIONS):
        async with database.writing() as session:
            await lock_dataset(session, dataset_id, None)
            selected = await lock_samples_where(
                session,
                dataset_id,
                literal_column(
                    f"(hashint8(sample.id) & 2147483647) % {PART} = {part}"
                    f" AND state = 'LABELED' AND NOT label_ids @> ARRAY[{label}::bigint]",
                    Boolean,
                ),
            )
            change = await record(session, dataset_id, kind="LABEL_SAMPLES", actor=BY.name, summary="churn")
            await annotations.add_labels(
                session, selected, [label], change, actor=f"user_{part % 7}", flags=SuggestionFlags(False, False)
            )
            await annotations.refresh_derived_state(session, selected, change, actor=f"user_{part % 7}")
        chain.append(await _publish(database, dataset_id))
    connection = await asyncpg.connect(engine.driver_url(database.url))
    await connection.execute("VACUUM ANALYZE")
    await connection.close()
    return chain


async def _publish(database: Database, dataset_id: int) -> int:
    outcome = await write(database, lambda session: versions.publish(session, dataset_id, by=BY), versions.Published)
    return outcome.version
