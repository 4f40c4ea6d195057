"""Sixth stage: a batch of findings into the working set, in one transaction, in the order of `db.history.changes`."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import asyncpg
import orjson

from db.formats.shapes import from_json, to_json
from db.formats.sidecars import Attributes, ParsedAnnotation, Sidecar
from db.history.changes import lock_dataset, record
from db.ingest.sync.decisions import Decisions, Known, NewSource, Standing, Touched, counts, decide
from db.ingest.sync.inspection import Found
from db.ingest.sync.options import Options
from db.jobs import Batch, Claim
from db.postgres import sql

SQL: Final = sql.load(__file__)

ACTOR: Final = "sync"  # who labelled what a sidecar says
OUTSIDE: Final = (
    "The image is smaller than before, {width} × {height} pixels: {shapes} of its shapes reach beyond it, and are kept."
)
NOTHING: Final = Sidecar(None)


async def merge(batch: Batch, *, job: Claim, found: Sequence[Found], options: Options) -> None:
    """Merge what was found. Everything is looked at again under locks: people go on working while a sync runs."""
    await lock_dataset(batch.session, job.dataset_id, None)
    decisions = await _decided(batch.connection, job, found, options)
    revision = await _recorded(batch, job, decisions) if decisions.is_change else None
    await _note(batch.connection, job, decisions)
    added = await _write(batch.connection, job.dataset_id, revision, decisions) if revision is not None else 0
    batch.counts.update(counts(decisions, added=added))
    batch.warnings += [*decisions.warnings, *decisions.skipped, *await _shapes_outside(batch.connection, decisions)]
    for one in found:
        for name, path, message, count in one.refused_names:
            batch.warn_label(name, path, message, count)


async def _shapes_outside(connection: asyncpg.Connection, decisions: Decisions) -> list[tuple[str, str]]:
    """Shapes are work done by people: where an image is smaller than the one before, they are kept, and reported."""
    if not decisions.smaller:
        return []
    rows = await connection.fetch(SQL.shapes_outside, decisions.smaller)
    return [(row["path"], OUTSIDE.format(**row)) for row in rows]


async def _recorded(batch: Batch, job: Claim, decisions: Decisions) -> int:
    change = await record(
        batch.session, job.dataset_id, kind="SYNC", actor=job.requested_by, summary=decisions.summary, job_id=job.id
    )
    return change.revision


async def _decided(connection: asyncpg.Connection, job: Claim, found: Sequence[Found], options: Options) -> Decisions:
    names = {mark.label for one in found for mark in one.marks}
    label_ids = await _labels(connection, job.dataset_id, names)
    sources = {one.item.source_id for one in found if one.item.source_id}
    await connection.execute(SQL.lock_samples, sorted(sources))
    speaking = {one.item.source_id for one in found if one.item.source_id and one.sidecar is not None}
    known = await _known(connection, sorted(sources), sorted(speaking))
    fresh = [one.item.path for one in found if one.item.action == "NEW"]
    leaving = frozenset(row["path"] for row in await connection.fetch(SQL.leaving, job.dataset_id, fresh))
    return decide(found, known, label_ids, options, leaving=leaving)


async def _known(connection: asyncpg.Connection, sources: list[int], speaking: list[int]) -> dict[int, Known]:
    """Annotations only of those that a label file speaks of."""
    standing: dict[int, list[Standing]] = defaultdict(list)
    for row in await connection.fetch(SQL.marks, speaking):
        shape = from_json(orjson.loads(row["shape"])) if row["shape"] else None
        attributes = Attributes.from_json(orjson.loads(row["attributes"] or "null"))
        standing[row["source_id"]].append(Standing(row["id"], row["label_id"], shape, row["confidence"], attributes))
    rows = await connection.fetch(SQL.known, sources)
    return {row["source_id"]: Known(**row, annotations=tuple(standing[row["source_id"]])) for row in rows}


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
    made = [(sources[new.path], new.path) for new in decisions.added if new.path in sources]
    made += [(source, "") for source in decisions.restored]
    added = await _make_samples(connection, dataset_id, revision, decisions, made, ids)
    await _relabel(connection, dataset_id, revision, decisions, ids)
    return added


def _touch(one: Touched) -> tuple[int, datetime, datetime | None, str, str | None, str | None]:
    image = one.image
    return one.source_id, image.modified_at, image.changed_at, image.etag, image.content, image.pixels


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
            one.image.facts.damaged if one.image.facts else False,
            one.status,
            one.sidecar_etag,
            one.image.other_hash,
            one.image.pixels,
            one.image.changed_at,
        )
        for one in new
    ]
    if not rows:
        return {}
    return {row["path"]: row["id"] for row in await connection.fetch(SQL.make_sources, dataset_id, *_columns(rows, 14))}


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
    rows = []
    for row in await connection.fetch(SQL.paths, [source for source, _ in made]):
        said = decisions.sidecar_of.get(row["path"], NOTHING)
        labels = sorted(ids[name] for name in said.labels or ())
        rows.append((row["id"], "{" + ",".join(map(str, labels)) + "}", bool(said.hard)))
    samples = await connection.fetch(SQL.make_samples, dataset_id, revision, ACTOR, *_columns(rows, 3))
    marks = {row["id"]: decisions.sidecar_of.get(row["path"], NOTHING).marks or () for row in samples}
    await connection.execute(SQL.mark, dataset_id, revision, ACTOR, *_columns(_marks(marks, ids), 5))
    return len(samples)


async def _relabel(
    connection: asyncpg.Connection, dataset_id: int, revision: int, decisions: Decisions, ids: dict[str, int]
) -> None:
    if not decisions.relabeled:
        return
    changes = decisions.relabeled
    samples, hard = list(changes), [one.hard for one in changes.values()]
    marks = {sample: one.marks for sample, one in changes.items()}
    await connection.execute(SQL.unmark, [gone for one in changes.values() for gone in one.gone])
    await connection.execute(SQL.mark, dataset_id, revision, ACTOR, *_columns(_marks(marks, ids), 5))
    await connection.execute(SQL.restate, samples, revision, ACTOR, hard)


def _marks(
    marks: Mapping[int, Sequence[ParsedAnnotation]], ids: Mapping[str, int]
) -> Iterator[tuple[int, int, str | None, float | None, str | None]]:
    """Rows for annotations: sample, label, shape as JSON text, confidence, attributes as JSON text."""
    for sample, of_sample in marks.items():
        for mark in of_sample:
            shape = None if mark.shape is None else to_json(mark.shape)
            yield sample, ids[mark.label], _text(shape), mark.confidence, _text(mark.attributes.to_json())


def _text(value: dict[str, Any] | None) -> str | None:
    return None if value is None else orjson.dumps(value).decode()


async def _note(connection: asyncpg.Connection, job: Claim, decisions: Decisions) -> None:
    """What is not a versioned fact: what we know of the objects in storage."""
    if decisions.gone:
        await connection.execute(SQL.let_go, decisions.gone)
    await _make_sources(connection, job.dataset_id, decisions.unreadable)
    if decisions.touched:
        await connection.execute(SQL.touch_sources, *_columns([_touch(one) for one in decisions.touched], 6))
    if decisions.sidecars:
        await connection.execute(SQL.sidecars, *_columns(decisions.sidecars.items(), 2))


def _columns(rows: Iterable[tuple[Any, ...]], width: int) -> list[list[Any]]:
    """Rows turned into as many lists as there are columns, as `unnest` takes them."""
    columns = [list(column) for column in zip(*rows, strict=True)]
    return columns or [[] for _ in range(width)]
