"""Second stage: a batch of lines into the working set, in one transaction, in the order of `db.history.changes`."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import asyncpg
import orjson

from db.history.changes import lock_dataset, record
from db.ingest.imports.decisions import Added, Decisions, Held, Known, Updated, decide, held, last_author
from db.ingest.imports.entries import ParsedAnnotation
from db.ingest.imports.inspection import Seen
from db.ingest.imports.options import Options
from db.ingest.imports.reading import told
from db.jobs import Batch, Claim
from db.postgres import sql

SQL: Final = sql.load(__file__)

COLUMNS = ("sample_id", "labeled_origin", "hard", "usage", "source_id", "status", "etag", "size")
MEANWHILE = "A file was uploaded there while the import ran; import again."


@dataclass(frozen=True, slots=True)
class Derived:
    """What a sample's row says because of its marks."""

    state: str
    label_ids: str
    labeled_by: str | None
    labeled_at: datetime | None


async def merge(batch: Batch, *, job: Claim, found: Sequence[Seen], options: Options, file_name: str) -> None:
    """Merge what was seen. Everything is looked at again under locks: people go on working while an import runs."""
    await lock_dataset(batch.session, job.dataset_id, None)
    decisions = await _decided(batch.connection, job.dataset_id, found, options)
    if decisions.is_change:
        change = await record(
            batch.session,
            job.dataset_id,
            kind="IMPORT",
            actor=job.requested_by,
            summary=decisions.summary,
            job_id=job.id,
        )
        writer = _Writer(batch.connection, job.dataset_id, change.revision, options)
        batch.counts.update(await writer.write(decisions))
    batch.counts["skipped"] += len(decisions.skipped)
    batch.warnings += [
        (f"{file_name}:{position}", message) for position, message in sorted(decisions.warnings + decisions.skipped)
    ]
    for seen in found:
        for name, message, count in seen.refused_names:
            batch.warn_label(name, f"{file_name}:{seen.position}", message, count)


async def _decided(
    connection: asyncpg.Connection, dataset_id: int, found: Sequence[Seen], options: Options
) -> Decisions:
    names = sorted({mark.name for seen in found for mark in seen.marks or ()})
    if names:
        await connection.fetch(SQL.labels, dataset_id, names)
    paths = [seen.path for seen in found]
    await connection.execute(SQL.lock_samples, dataset_id, paths)
    known = await _known(connection, dataset_id, paths)
    leaving = frozenset(row["path"] for row in await connection.fetch(SQL.leaving, dataset_id, paths))
    return decide(found, known, options, leaving=leaving)


async def _known(connection: asyncpg.Connection, dataset_id: int, paths: list[str]) -> dict[str, Known]:
    rows = await connection.fetch(SQL.known, dataset_id, sorted(set(paths)))
    samples = [row["sample_id"] for row in rows if row["sample_id"] is not None]
    marks: dict[int, list[Held]] = {}
    for row in await connection.fetch(SQL.annotations, samples):
        marks.setdefault(row["sample_id"], []).append(held(dict(row)))
    return {row["path"]: _as_known(row, tuple(marks.get(row["sample_id"], ()))) for row in rows}


def _as_known(row: asyncpg.Record, annotations: tuple[Held, ...]) -> Known:
    return Known(**{name: row[name] for name in COLUMNS}, annotations=annotations)


@dataclass(slots=True)
class _Writer:
    """Writes the versioned facts of a batch. The dataset's row is ours by now, so nothing is made twice."""

    connection: asyncpg.Connection
    dataset_id: int
    revision: int
    options: Options

    async def write(self, decisions: Decisions) -> Counter[str]:
        ids = await self._labels(decisions.marks)
        if decisions.let_go:
            await self.connection.execute(SQL.let_go, decisions.let_go)
        samples = await self._add(decisions, ids)
        await self._update(decisions.updated, ids)
        put = [(samples[one.seen.path], one.seen.marks or ()) for one in decisions.added if one.seen.path in samples]
        put += [(one.sample_id, one.put) for one in decisions.updated]
        await self._annotate([(sample, mark) for sample, marks in put for mark in marks], ids)
        labeled = [one.seen.marks or () for one in decisions.added if one.seen.path in samples]
        labeled += [one.put for one in decisions.updated]
        return Counter(
            added=len(samples),
            updated=len(decisions.updated),
            labeled=sum(any(map(self._is_confirmed, marks)) for marks in labeled),
        )

    async def _labels(self, marks: Sequence[ParsedAnnotation]) -> dict[str, int]:
        """Ids by name. Labels that are not there are made, as the first mark that carries one describes it."""
        if not marks:
            return {}
        described: dict[str, ParsedAnnotation] = {}
        for mark in marks:
            described.setdefault(mark.name, mark)
        keys: dict[str, str] = {}
        for name, mark in described.items():
            if mark.shortcut is not None:
                keys.setdefault(mark.shortcut, name)
        rows = [
            (name, mark.color, mark.shortcut if mark.shortcut and keys[mark.shortcut] == name else None)
            for name, mark in described.items()
        ]
        await self.connection.execute(SQL.make_labels, self.dataset_id, self.revision, *columns(rows, 3))
        found = await self.connection.fetch(SQL.labels, self.dataset_id, sorted(described))
        return {row["name"]: row["id"] for row in found}

    async def _add(self, decisions: Decisions, ids: Mapping[str, int]) -> dict[str, int]:
        """Ids of the new samples by path. Where somebody uploaded a file meanwhile, the line is skipped."""
        if not decisions.added:
            return {}
        made = await self._sources([one for one in decisions.added if one.source_id is None])
        rows = []
        for one in decisions.added:
            source = one.source_id or made.get(one.seen.path)
            if source is not None:
                derived = self._derived(one.seen.marks or (), ids)
                at = (derived.labeled_by, derived.labeled_at, bool(one.seen.hard), one.seen.entry.usage)
                rows.append((source, derived.state, derived.label_ids, *at))
        found = await self.connection.fetch(SQL.make_samples, self.dataset_id, self.revision, *columns(rows, 7))
        samples = {row["path"]: row["id"] for row in found}
        lost = [one.seen for one in decisions.added if one.seen.path not in samples]
        decisions.skipped += [(seen.position, f"`{told(seen.path)}`: {MEANWHILE}") for seen in lost]
        return samples

    async def _sources(self, added: Sequence[Added]) -> dict[str, int]:
        rows = []
        for one in added:
            image, facts = one.image, one.image.facts
            assert facts is not None
            told_of = (one.seen.path, image.etag, image.size, image.modified_at)
            hashes = (image.other_hash, image.pixels, image.changed_at)
            size = (facts.width, facts.height, facts.orientation, facts.damaged)
            rows.append((*told_of, facts.format, *size, *hashes))
        found = await self.connection.fetch(SQL.make_sources, self.dataset_id, *columns(rows, 12))
        return {row["path"]: row["id"] for row in found}

    async def _update(self, updated: Sequence[Updated], ids: Mapping[str, int]) -> None:
        if not updated:
            return
        gone = [id for one in updated for id in one.gone]
        if gone:
            await self.connection.execute(SQL.unannotate, gone)
        kept = await self._ids_of([name for one in updated for name in self._names(one)], ids)
        rows = []
        for one in updated:
            derived = self._derived(one.marks or (), kept)
            said = (derived.state, derived.label_ids, derived.labeled_by, derived.labeled_at)
            rows.append((one.sample_id, one.hard, one.usage, one.marks is not None, *said))
        await self.connection.execute(SQL.update, self.revision, *columns(rows, 8))

    def _names(self, one: Updated) -> list[str]:
        return [mark.name for mark in one.marks or ()]

    async def _ids_of(self, names: Iterable[str], ids: Mapping[str, int]) -> dict[str, int]:
        """Also of labels that samples keep, which are there."""
        missing = sorted(set(names) - ids.keys())
        found = await self.connection.fetch(SQL.labels, self.dataset_id, missing) if missing else []
        return {**ids, **{row["name"]: row["id"] for row in found}}

    async def _annotate(self, marks: Sequence[tuple[int, ParsedAnnotation]], ids: Mapping[str, int]) -> None:
        if not marks:
            return
        rows = [
            (
                sample,
                ids[mark.name],
                mark.author.by,
                mark.author.at,
                mark.confidence,
                self._is_confirmed(mark),
                None if mark.shape is None else orjson.dumps(mark.shape).decode(),
                None if mark.attributes is None else orjson.dumps(mark.attributes).decode(),
            )
            for sample, mark in marks
        ]
        await self.connection.execute(SQL.annotate, self.dataset_id, self.revision, *columns(rows, 8))

    def _is_confirmed(self, mark: ParsedAnnotation) -> bool:
        return mark.author.confirmed or self.options.confirm_suggestions

    def _derived(self, marks: Sequence[ParsedAnnotation], ids: Mapping[str, int]) -> Derived:
        confirmed = [mark for mark in marks if self._is_confirmed(mark)]
        if not confirmed:
            return Derived("PENDING" if marks else "UNLABELED", "{}", None, None)
        labels = ",".join(map(str, sorted({ids[mark.name] for mark in confirmed})))
        return Derived("LABELED", f"{{{labels}}}", *last_author(confirmed))


def columns(rows: Iterable[tuple[Any, ...]], width: int) -> list[list[Any]]:
    """Rows turned into as many lists as there are columns, as `unnest` takes them."""
    found = [list(column) for column in zip(*rows, strict=True)]
    return found or [[] for _ in range(width)]
