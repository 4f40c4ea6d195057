"""Fourth stage: a batch of findings into the working set, in one transaction, by the writers' order of `db.changes`."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

import asyncpg

from db.changes import hold, record
from db.jobs import Batch, Claim
from db.sync.decisions import Decisions, Known, NewSource, Vanished, counts, decide
from db.sync.inspection import Found, Outcome
from db.sync.options import Options
from db.sync.statements import SQL

ACTOR: Final = "sync"  # who labelled what a sidecar says


async def merge(batch: Batch, *, job: Claim, found: Sequence[Found], options: Options) -> None:
    """Merge what was found. Everything is looked at again under locks: people go on working while a sync runs."""
    await hold(batch.session, job.dataset_id)
    decisions = await _decided(batch.connection, job, found, options)
    revision = await _recorded(batch, job, decisions) if decisions.is_change else None
    await _note(batch.connection, job, decisions)
    added = await _write(batch.connection, job.dataset_id, revision, decisions) if revision is not None else 0
    batch.counts.update(counts(decisions, added=added))
    batch.warnings += [*decisions.warnings, *decisions.skipped]


async def _recorded(batch: Batch, job: Claim, decisions: Decisions) -> int:
    change = await record(
        batch.session, job.dataset_id, kind="SYNC", actor=job.requested_by, summary=decisions.summary, job_id=job.id
    )
    return change.revision


async def _decided(connection: asyncpg.Connection, job: Claim, found: Sequence[Found], options: Options) -> Decisions:
    names = {name for one in found for name in one.labels or ()}
    label_ids = await _labels(connection, job.dataset_id, names)
    vanished = await connection.fetch(SQL.vanished, job.id, *_columns(_contents(found), 2))
    sources = {one.item.source_id for one in found if one.item.source_id} | {row["source_id"] for row in vanished}
    await connection.execute(SQL.lock_samples, sorted(sources))
    known = {row["source_id"]: _known(row) for row in await connection.fetch(SQL.known, sorted(sources))}
    moves = [Vanished(row["position"], known[row["source_id"]]) for row in vanished]
    fresh = [one.item.path for one in found if one.item.action == "NEW"]
    leaving = frozenset(row["path"] for row in await connection.fetch(SQL.leaving, job.dataset_id, fresh))
    present = [one for one in moves if one.known.status == "PRESENT" or one.known.sample_id is not None]
    return decide(found, known, present, label_ids, options, leaving=leaving)


def _contents(found: Iterable[Found]) -> list[tuple[str, int]]:
    new = (one for one in found if one.item.action == "NEW" and one.image.outcome is Outcome.READ)
    return sorted({(one.image.etag, one.image.size) for one in new})


def _known(row: asyncpg.Record) -> Known:
    values = dict(row)
    return Known(**values | {"label_ids": tuple(values["label_ids"] or ())})


async def _labels(connection: asyncpg.Connection, dataset_id: int, names: Iterable[str]) -> dict[str, int]:
    """Ids of the labels that exist, which nobody renames or deletes until we commit."""
    wanted = sorted(names)
    return {row["name"]: row["id"] for row in await connection.fetch(SQL.labels, dataset_id, wanted)} if wanted else {}


async def _write(connection: asyncpg.Connection, dataset_id: int, revision: int, decisions: Decisions) -> int:
    """The versioned facts. The dataset's row is ours by now, so nothing is made twice. How many samples were added."""
    if decisions.names:
        await connection.execute(SQL.make_labels, dataset_id, sorted(decisions.names), revision)
    ids = await _labels(connection, dataset_id, decisions.names)
    sources = await _make_sources(connection, dataset_id, [*decisions.added, *decisions.replaced.values()])
    replaced = [(sample, sources[new.path]) for sample, new in decisions.replaced.items() if new.path in sources]
    if replaced:
        await connection.execute(SQL.replace, revision, *_columns(replaced, 2))
    if decisions.moved:
        await connection.execute(SQL.move, revision, *_columns(decisions.moved.items(), 2))
    made = [(sources[new.path], new.path) for new in decisions.added if new.path in sources]
    made += [(source, "") for source in decisions.restored]
    added = await _make_samples(connection, dataset_id, revision, decisions, made, ids)
    await _relabel(connection, dataset_id, revision, decisions, ids)
    return added


def _touch(one: Any) -> tuple[int, str, Any]:
    return one.source_id, one.path, one.modified_at


async def _make_sources(connection: asyncpg.Connection, dataset_id: int, new: Sequence[NewSource]) -> dict[str, int]:
    """Ids by path; a path that another writer gave to a source meanwhile is left out."""
    rows = [
        (
            one.path,
            one.image.etag,
            one.image.size,
            one.image.modified_at,
            one.image.facts.format if one.image.facts else None,
            one.image.facts.width if one.image.facts else None,
            one.image.facts.height if one.image.facts else None,
            one.image.facts.orientation if one.image.facts else None,
            one.status,
            one.sidecar_etag,
        )
        for one in new
    ]
    if not rows:
        return {}
    return {row["path"]: row["id"] for row in await connection.fetch(SQL.make_sources, dataset_id, *_columns(rows, 10))}


async def _make_samples(
    connection: asyncpg.Connection,
    dataset_id: int,
    revision: int,
    decisions: Decisions,
    made: Sequence[tuple[int, str]],
    ids: dict[str, int],
) -> int:
    if not made:
        return 0
    paths = {row["id"]: row["path"] for row in await connection.fetch(SQL.paths, [source for source, _ in made])}
    rows = []
    for source_id, path in paths.items():
        labels = sorted(ids[name] for name in decisions.labels_of.get(path, ()))
        rows.append((source_id, "{" + ",".join(map(str, labels)) + "}"))
    samples = [
        row["id"] for row in await connection.fetch(SQL.make_samples, dataset_id, revision, ACTOR, *_columns(rows, 2))
    ]
    await connection.execute(SQL.annotate, samples)
    return len(samples)


async def _relabel(
    connection: asyncpg.Connection, dataset_id: int, revision: int, decisions: Decisions, ids: dict[str, int]
) -> None:
    if not decisions.relabeled:
        return
    samples = list(decisions.relabeled)
    pairs = [(sample, ids[name]) for sample, names in decisions.relabeled.items() for name in names]
    columns = _columns(pairs, 2)
    await connection.execute(SQL.unlabel, samples, *columns)
    await connection.execute(SQL.label, dataset_id, revision, ACTOR, *columns)
    await connection.execute(SQL.restate, samples, revision, ACTOR)


async def _note(connection: asyncpg.Connection, job: Claim, decisions: Decisions) -> None:
    """What is not a versioned fact: what we know of the objects in storage."""
    if decisions.gone:
        await connection.execute(SQL.let_go, decisions.gone)
    await _make_sources(connection, job.dataset_id, decisions.unreadable)
    if decisions.touched:
        await connection.execute(SQL.move_sources, *_columns([_touch(one) for one in decisions.touched], 3))
    if decisions.sidecars:
        await connection.execute(SQL.sidecars, *_columns(decisions.sidecars.items(), 2))
    if decisions.settled:
        await connection.execute(SQL.settle, job.id, decisions.settled)


def _columns(rows: Iterable[tuple[Any, ...]], width: int) -> list[list[Any]]:
    """Rows turned into as many lists as there are columns, as `unnest` takes them."""
    columns = [list(column) for column in zip(*rows, strict=True)]
    return columns or [[] for _ in range(width)]
