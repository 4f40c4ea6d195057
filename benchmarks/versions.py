"""`python -m benchmarks.versions URL`: what versions cost, on a migrated database without datasets.

Two datasets, of a thousand and of a million samples; the large one gets ten versions, a twentieth of its samples
relabelled before each. Publishing in both, pages of every version and the same pages of the working set, and
comparing neighbours: medians of alternating rounds, in one process, through the schema.
"""

import argparse
import asyncio
import json
import statistics
import time
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
from sqlalchemy import Boolean, literal_column

from api.configuration import call_limits
from api.settings import Settings
from benchmarks import dataset
from db.history import versions
from db.history.changes import lock_dataset, record
from db.history.transactions import write
from db.identity.tokens import Identity, Scope
from db.identity.urls import Signer
from db.jobs.events import Events
from db.labelling import annotations
from db.labelling.samples.selection import lock_samples_where
from db.postgres import engine
from db.postgres.engine import Database
from schema import build_schema
from schema.context import Context
from schema.execution.messages import Answer, Request

VERSIONS, PART = 10, 20
ROUNDS = 15
BY = Identity("bench", Scope.MANAGE, token_id=1)
PAGE = "nodes { id path state labels { id name } imageUrl }"
FILTERS: dict[str, dict[str, Any]] = {
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url", help="a migrated database, postgresql://…")
    parser.add_argument("--rows", type=int, default=1_000_000, help="samples of the large dataset (default: a million)")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"alternating rounds (default: {ROUNDS})")
    asyncio.run(run(parser.parse_args()))


async def run(options: argparse.Namespace) -> None:
    small, large = await find_or_make(options.url, "small", 1_000), await find_or_make(options.url, "big", options.rows)
    async with engine.connect(options.url) as database:
        await publishing(database, small, large, options.rounds)
        chain = await churn(database, large)
        await pages(database, large, chain, options.rounds)
        await comparing(database, large, chain, options.rounds)


async def find_or_make(url: str, name: str, samples: int) -> int:
    """The dataset of this name, found or made."""
    connection = await asyncpg.connect(engine.driver_url(url))
    try:
        found: int | None = await connection.fetchval("SELECT id FROM dataset WHERE name = $1", name)
    finally:
        await connection.close()
    return found or (await dataset.make(url, samples=samples, name=name)).dataset_id


async def publishing(database: Database, small: int, large: int, rounds: int) -> None:
    times: dict[int, list[float]] = {small: [], large: []}
    for _ in range(rounds + 1):
        for each in (small, large):
            times[each].append(await timed(lambda each=each: publish(database, each)))  # type: ignore[misc]
    few, many = (statistics.median(times[each][1:]) for each in (small, large))
    print(f"publish     1,000 samples {few:.2f} ms, large {many:.2f} ms: {many / few:.2f} times", flush=True)


async def publish(database: Database, dataset_id: int) -> int:
    outcome = await write(database, lambda session: versions.publish(session, dataset_id, by=BY), versions.Published)
    return outcome.version


async def churn(database: Database, dataset_id: int) -> list[int]:
    """Versions, a part of all samples relabelled between each and the next: labelled ones get one label more, so that
    what the filters below look for is as common in one version as in another."""
    async with database.reading() as reader:
        known = await reader.fetch(
            "SELECT DISTINCT ON (revision) id FROM version WHERE dataset_id = $1 ORDER BY revision, id DESC", dataset_id
        )
        label = await reader.fetchval("SELECT id FROM label WHERE dataset_id = $1 AND name = 'label_5'", dataset_id)
    chain = [row["id"] for row in known]
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
            await annotations.add_labels(session, selected, [label], change, actor=f"user_{part % 7}")
            await annotations.refresh_derived_state(session, selected, change, actor=f"user_{part % 7}")
        chain.append(await publish(database, dataset_id))
    connection = await asyncpg.connect(engine.driver_url(database.url))
    await connection.execute("VACUUM ANALYZE")
    await connection.close()
    return chain


async def pages(database: Database, dataset_id: int, chain: list[int], rounds: int) -> None:
    working = f'dataset(by: {{id: "Dataset:{dataset_id}"}}) {{ samples(first: 100, filter: $f) {{ {PAGE} }} }}'
    for name, condition in FILTERS.items():
        sides = {"working set": f"query ($f: SampleFilter) {{ {working} }}"}
        for label, version in {"newest": chain[-1], "middle": chain[len(chain) // 2], "oldest": chain[0]}.items():
            inner = f"... on Version {{ samples(first: 100, filter: $f) {{ {PAGE} }} }}"
            sides[label] = f'query ($f: SampleFilter) {{ node(id: "Version:{version}") {{ {inner} }} }}'
        times = await alternating(database, sides, {"f": condition}, rounds)
        base = times["working set"]
        line = ", ".join(f"{side} {time_:.2f} ({time_ / base:.2f})" for side, time_ in times.items())
        print(f"page        {name}: {line} ms", flush=True)


async def comparing(database: Database, dataset_id: int, chain: list[int], rounds: int) -> None:
    query = """query ($d: ID!, $b: ID!, $h: ID) { dataset(by: {id: $d}) { comparison(baseId: $b, headId: $h) {
        addedCount removedCount relabeledCount
        changes(first: 100) { nodes { kind addedLabelNames removedLabelNames sample { id path } } } } } }"""
    neighbours = {"d": f"Dataset:{dataset_id}", "b": f"Version:{chain[-2]}", "h": f"Version:{chain[-1]}"}
    found = await alternating(database, {"neighbours": query}, neighbours, rounds)
    answer = json.loads(await ask(database, query, neighbours))["data"]["dataset"]["comparison"]
    print(f"comparison  neighbours ({answer['relabeledCount']:,} relabelled): {found['neighbours']:.1f} ms", flush=True)


async def alternating(
    database: Database, sides: dict[str, str], variables: dict[str, Any], rounds: int
) -> dict[str, float]:
    times: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(rounds + 2):
        for name, query in sides.items():
            times[name].append(await timed(lambda query=query: ask(database, query, variables)))  # type: ignore[misc]
    return {name: statistics.median(each[2:]) for name, each in times.items()}


SCHEMA = build_schema()
LIMITS = call_limits(Settings().limits)


async def ask(database: Database, query: str, variables: dict[str, Any]) -> bytes:
    links = Signer(secret=b"bench", lifetime=3_600).links("http://bench", BY.token_id, 1_700_000_000.0)
    context = Context(database=database, identity=BY, links=links, events=Events(database), limits=LIMITS)
    answer = await SCHEMA.run(Request(SCHEMA.documents.prepare(query), variables), context)
    text = answer.encode() if isinstance(answer, Answer) else answer
    if b'"errors"' in text[:20]:
        raise RuntimeError(text.decode())
    return text


async def timed(work: Callable[[], Awaitable[Any]]) -> float:
    """Milliseconds."""
    started = time.perf_counter()
    await work()
    return (time.perf_counter() - started) * 1_000


if __name__ == "__main__":
    main()
