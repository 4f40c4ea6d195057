"""How a job merges its entries into the working set: they are staged, then merged batch after batch.

A batch is one transaction, with its checkpoint, in the order of `db.history.changes`. People go on working while a job
runs, so everything is read again under locks.
"""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Final

import asyncpg
from sqlmodel.ext.asyncio.session import AsyncSession

from db.formats.annotations import ParsedAnnotation
from db.history.changes import lock_dataset, record
from db.ingest.decide import Decisions, ExistingSample, decide, existing_annotation, path_end
from db.ingest.entry import Entry, Notice, NoticeKind
from db.ingest.policy import Policy
from db.ingest.write import Writer, label_ids, write_object_facts
from db.jobs import Batch, Claim, LabelWarning, in_batch
from db.postgres import sql
from db.postgres.engine import Database

SQL: Final = sql.load(__file__)
ANALYZED: Final = 10_000  # entries after which the tables are analyzed
MAX_NEW_LABELS: Final = 1_000  # that a job names
COUNTED: Final[Mapping[NoticeKind, str]] = {
    "LABELS_KEPT": "kept",
    "IMAGE_MISSING": "missing",
    "SHAPE_BEYOND_IMAGE": "beyond",
}
UPLOADED_SINCE: Final = "A file was uploaded there while the import ran; import again."
OUTSIDE: Final = (
    "The image is smaller than before, {width} × {height} pixels: {shapes} of its shapes reach beyond it, and are kept."
)


async def stage(
    database: Database,
    job: Claim,
    table: str,
    columns: Sequence[str],
    records: Sequence[Sequence[object]],
    warnings: Sequence[tuple[str, str]],
    refused_names: Sequence[LabelWarning] = (),
    notices: Sequence[Notice] = (),
) -> None:
    """Copy records into a staging table, with the warnings about what was read for them."""

    async def copy(batch: Batch) -> None:
        batch.warnings.extend(warnings)
        for refused in refused_names:
            batch.warn_label(refused)
        _notice(batch, notices)
        await batch.connection.copy_records_to_table(table, records=records, columns=columns)

    await in_batch(database, job, copy)


async def merge_all(
    database: Database,
    job: Claim,
    policy: Policy,
    *,
    after: int,
    read: Callable[[int], Awaitable[Sequence[Entry]]],
    advance: Callable[[Batch, int], None],
    dry_run: bool = False,
) -> None:
    """Merge all entries after a position. While one batch is written, the next is read. A dry run decides and counts in
    the same way, takes no locks, and writes nothing into the dataset.

    `read`: the entries after a position, as many as one transaction takes; none at the end. `advance`: writes into a
    batch the checkpoint and the progress of a job that has merged everything up to a position.
    """

    async def write(batch: Batch, entries: Sequence[Entry]) -> None:
        await _merge(batch, job, entries, policy, dry_run=dry_run)
        advance(batch, entries[-1].position)

    merged, ahead = 0, asyncio.ensure_future(read(after))
    try:
        while entries := await ahead:
            ahead = asyncio.ensure_future(read(entries[-1].position))
            await in_batch(database, job, partial(write, entries=entries))
            merged += len(entries)
    finally:
        ahead.cancel()
        await asyncio.gather(ahead, return_exceptions=True)
    if merged >= ANALYZED and not dry_run:
        await in_batch(database, job, _analyze)


async def _analyze(batch: Batch) -> None:
    """Autovacuum may not do it: it waits until a part of all datasets has changed. Of a dataset without statistics,
    Postgres expects one sample, and reads all of them where it could look up each."""
    await batch.execute_long("ANALYZE (SKIP_LOCKED) source, sample, annotation")


async def _merge(batch: Batch, job: Claim, entries: Sequence[Entry], policy: Policy, *, dry_run: bool) -> None:
    if not dry_run:
        await lock_dataset(batch.session, job.dataset_id, None)
    decisions = await _decide(batch.session, job.dataset_id, entries, policy, locked=not dry_run)
    if policy.origin == "IMPORT":
        await _count_new_labels(batch, job, decisions)
    if dry_run:
        added = {entry.path: 0 for entry, _ in decisions.added}
        _count(batch, decisions, added, policy)
        if policy.origin == "SYNC":
            batch.example("ADDED", added)
            batch.example("UPDATED", decisions.updated_paths)
    elif decisions.is_change:
        counts = {"added": len(decisions.added), "updated": len(decisions.updated_samples)}
        summary = f"{policy.origin.capitalize()}: " + ", ".join(f"{n} {word}" for word, n in counts.items() if n)
        assert policy.origin != "UPLOAD"  # uploads are merged with their change, in `uploads`
        change = await record(batch.session, job.dataset_id, job.requested_by, policy.origin, summary, job_id=job.id)
        await write_object_facts(batch.session, job.dataset_id, decisions)
        writer = Writer(batch.session, job.dataset_id, change, policy)
        samples = await writer.write(decisions, await writer.make_labels(decisions.annotations))
        _count(batch, decisions, samples, policy)
    else:
        await write_object_facts(batch.session, job.dataset_id, decisions)
    batch.counts["skipped"] += decisions.skipped
    batch.counts["moved_and_updated"] += decisions.moved_and_updated
    batch.warnings += [(location, message) for _, location, message in sorted(decisions.warnings, key=lambda w: w[0])]
    if decisions.smaller:  # shapes are work done by people: where an image is smaller than before, they are kept
        outside = await sql.run(
            batch.session,
            SQL.shapes_outside,
            samples=list(decisions.smaller),
            widths=[facts.width for facts in decisions.smaller.values()],
            heights=[facts.height for facts in decisions.smaller.values()],
            removed=[id for one in decisions.updated for id in one.removed],
        )
        for row in outside:
            batch.warn(row["path"], OUTSIDE.format(**row))
    for refused in (name for entry in entries for name in entry.refused_names):
        batch.warn_label(refused)
    if policy.origin == "IMPORT":
        _notice(batch, [notice for entry in entries for notice in entry.notices])
        _notice(batch, decisions.notices)
        batch.counts["matched"] += decisions.matched


def _notice(batch: Batch, notices: Iterable[Notice]) -> None:
    for each in notices:
        batch.notice(each.kind, each.example, each.count)
        if each.kind in COUNTED:
            batch.counts[COUNTED[each.kind]] += each.count


async def _count_new_labels(batch: Batch, job: Claim, decisions: Decisions) -> None:
    """Count, for labels that the dataset did not have before this job, their samples and annotations."""
    samples, annotations = Counter[str](), Counter[str]()
    for some in decisions.annotations_by_sample:
        samples.update({each.label for each in some})
        annotations.update(each.label for each in some)
    if annotations:
        await sql.run(
            batch.session,
            SQL.count_new_labels,
            job_id=job.id,
            dataset_id=job.dataset_id,
            names=list(annotations),
            samples=[samples[name] for name in annotations],
            annotations=list(annotations.values()),
            most=MAX_NEW_LABELS,
        )


async def _decide(
    session: AsyncSession, dataset_id: int, entries: Sequence[Entry], policy: Policy, *, locked: bool
) -> Decisions:
    """What the entries change; `locked`: nobody else changes the same until the commit."""
    if locked:
        await label_ids(session, dataset_id, (each.label for entry in entries for each in entry.annotations or ()))
    sources = sorted({entry.listed.source_id for entry in entries if entry.listed and entry.listed.source_id})
    paths = sorted({entry.path for entry in entries if entry.listed is None})
    rows: list[asyncpg.Record] = []
    if sources:
        if locked:
            await sql.run(session, SQL.lock_samples_by_source, sources=sources)
        rows = await sql.run(session, SQL.existing_by_source, sources=sources)
    if paths:
        if locked:
            await sql.run(session, SQL.lock_samples_by_path, dataset_id=dataset_id, paths=paths)
        rows = await sql.run(session, SQL.existing_by_path, dataset_id=dataset_id, paths=paths)
    by_key = {(row["source_id"] if sources else row["path"]): row for row in rows}
    labelled = {entry.key for entry in entries if entry.annotations is not None}
    samples = [row["sample_id"] for key, row in by_key.items() if key in labelled and row["sample_id"] is not None]
    annotations = defaultdict[int, dict[int, ParsedAnnotation]](dict)
    if samples:
        for row in await sql.run(session, SQL.annotations, samples=samples, suggestions=policy.exact):
            annotations[row["sample_id"]][row["id"]] = existing_annotation(row)
    existing = {
        key: ExistingSample(**row, annotations=annotations.get(row["sample_id"], {})) for key, row in by_key.items()
    }
    fresh = [entry.path for entry in entries if entry.listed is None or entry.listed.source_id is None]
    deleted = await sql.run(session, SQL.being_deleted, dataset_id=dataset_id, paths=fresh) if fresh else []
    return decide(entries, existing, policy, being_deleted=frozenset(row["path"] for row in deleted))


def _count(batch: Batch, decisions: Decisions, samples: dict[str, int], policy: Policy) -> None:
    """Count what was written. Somebody may have made a sample first: of an entry that only names its path, the job
    reports it; a sync has that file as it is."""
    labeled = []
    for entry, _ in decisions.added:
        if entry.path in samples:
            labeled.append(entry.annotations or ())
        elif entry.listed is None:
            decisions.skip(entry, f"`{path_end(entry.path)}`: {UPLOADED_SINCE}")
    labeled += [one.added for one in decisions.updated]
    batch.counts.update(
        Counter(
            added=len(samples),
            updated=len(decisions.updated_samples),
            labeled=sum(any(policy.author_of(each).confirmed for each in annotations) for annotations in labeled),
        )
    )
