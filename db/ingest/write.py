"""Writing the rows of samples: sources, labels, samples and annotations, one statement for all of a kind.

Objects lie in storage before their rows are written. The dataset's row is locked by the change that these rows belong
to, so nothing is inserted twice.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

import orjson
from sqlmodel.ext.asyncio.session import AsyncSession

from db.formats.annotations import Author, ParsedAnnotation
from db.formats.shapes import to_json
from db.history.changes import RecordedChange
from db.ingest.decide import Decisions, NewSource, UpdatedSample
from db.ingest.entry import Entry
from db.ingest.policy import Policy
from db.labelling import verdicts
from db.labelling.annotations import refresh_derived_state
from db.labelling.samples.selection import LockedSamples
from db.postgres import sql

SQL: Final = sql.load(__file__)
MANY: Final = 100  # rows
NEVER: Final = datetime.min.replace(tzinfo=UTC)

LabelIds = Mapping[str, int]
Item = TypeVar("Item")


async def label_ids(session: AsyncSession, dataset_id: int, names: Iterable[str]) -> dict[str, int]:
    """The ids of the labels that exist, which nobody renames or deletes until the commit."""
    known = sorted(set(names))
    if not known:
        return {}
    return {row["name"]: row["id"] for row in await sql.run(session, SQL.labels, dataset_id=dataset_id, names=known)}


async def make_sources(session: AsyncSession, dataset_id: int, sources: Sequence[NewSource]) -> dict[str, int]:
    """Ids by path; a path that another writer has just given to a source is left out."""
    if not sources:
        return {}
    rows = await sql.run(session, SQL.make_sources, dataset_id=dataset_id, rows=await _json_of(sources, _source_row))
    return {row["path"]: row["id"] for row in rows}


async def write_object_facts(session: AsyncSession, dataset_id: int, decisions: Decisions) -> None:
    """What is known of the objects in storage, and is no versioned fact."""
    if decisions.gone_sources:
        await sql.run(session, SQL.end_sources, ids=decisions.gone_sources)
    await make_sources(session, dataset_id, decisions.unreadable)
    if decisions.touched:
        images = [image for _, image in decisions.touched]
        await sql.run(
            session,
            SQL.touch_sources,
            ids=[source for source, _ in decisions.touched],
            times=[image.modified_at for image in images],
            change_times=[image.changed_at for image in images],
            etags=[image.etag for image in images],
            contents=[image.content for image in images],
            pixels=[image.pixels for image in images],
        )
    if decisions.sidecar_etags:
        etags = decisions.sidecar_etags
        await sql.run(session, SQL.write_sidecar_etags, ids=list(etags), etags=list(etags.values()))


@dataclass(frozen=True, slots=True)
class Writer:
    """Writes versioned facts under a change."""

    session: AsyncSession
    dataset_id: int
    change: RecordedChange
    policy: Policy

    async def write(self, decisions: Decisions, ids: LabelIds) -> dict[str, int]:
        """Write what was decided; the ids of the new samples by path, without those that another writer made first.
        `ids`: of all labels."""
        fresh = [
            NewSource(entry.path, entry.image, sidecar_etag=entry.sidecar_etag)
            for entry, source in decisions.added
            if source is None and entry.image is not None
        ]
        sources = await make_sources(self.session, self.dataset_id, [*fresh, *decisions.replaced.values()])
        replaced = {sample: sources[one.path] for sample, one in decisions.replaced.items() if one.path in sources}
        if replaced:
            values = {"samples": list(replaced), "sources": list(replaced.values())}
            await sql.run(self.session, SQL.replace_sources, since=self.change.revision, **values)
        new = [
            (entry, made)
            for entry, source in decisions.added
            if (made := source or sources.get(entry.path)) is not None
        ]
        samples = await self._make_samples(new, ids)
        removed = [id for one in decisions.updated for id in one.removed]
        relabeled = tuple(sorted(one.sample_id for one in decisions.updated if one.labels))
        has_models = bool(relabeled) and (await verdicts.suggestion_flags(self.session, self.dataset_id, ())).has_models
        if has_models:
            await verdicts.add_for(self.session, removed, "ACCEPTED", self.change, only_confirmed=True)
        if removed:
            await sql.run(self.session, SQL.remove_annotations, ids=removed)
        annotations = [
            (samples[entry.path], each) for entry, _ in new if entry.path in samples for each in entry.annotations or ()
        ]
        annotations += [(one.sample_id, each) for one in decisions.updated for each in one.added]
        await self._annotate(annotations, ids)
        if has_models:
            selected = LockedSamples(self.dataset_id, len(relabeled), relabeled)
            await verdicts.accept_agreeing(self.session, selected, self.change)
            await verdicts.take_back(self.session, selected, "CORRECTED", self.change)
        await self._update_samples(decisions.updated)
        await self._refresh_suggested(
            [samples[entry.path] for entry, _ in new if entry.path in samples and self._suggests(entry)]
        )
        return samples

    async def make_labels(self, annotations: Iterable[ParsedAnnotation]) -> LabelIds:
        """Ids by name. Labels that are not there are made, as the first annotation that carries one describes it."""
        described: dict[str, ParsedAnnotation] = {}
        shortcuts: dict[str, str] = {}  # the label that a shortcut belongs to
        for annotation in annotations:
            first = described.setdefault(annotation.label, annotation)
            if first is annotation and annotation.shortcut is not None:
                shortcuts.setdefault(annotation.shortcut, annotation.label)
        if not described:
            return {}
        keys = {name: key for key, name in shortcuts.items()}
        await sql.run(
            self.session,
            SQL.make_labels,
            dataset_id=self.dataset_id,
            since=self.change.revision,
            names=list(described),
            colors=[one.color for one in described.values()],
            shortcuts=[keys.get(name) for name in described],
        )
        return await label_ids(self.session, self.dataset_id, described)

    async def _make_samples(self, samples: Sequence[tuple[Entry, int]], ids: LabelIds) -> dict[str, int]:
        """Of sources. Ids by path, in this order; a path that has a sample already is left out."""
        if not samples:
            return {}
        rows = await sql.run(
            self.session,
            SQL.make_samples,
            since=self.change.revision,
            origin=self.policy.origin,
            rows=await _json_of(samples, lambda each: self._sample_row(*each, ids)),
        )
        return {row["path"]: row["id"] for row in rows}

    def _sample_row(self, entry: Entry, source_id: int, ids: LabelIds) -> dict[str, Any]:
        confirmed = [each for each in entry.annotations or () if self.policy.author_of(each).confirmed]
        author = last_author([self.policy.author_of(each) for each in confirmed])
        return {
            "source_id": source_id,
            "suggested": self._suggests(entry),
            "label_ids": sorted({ids[each.label] for each in confirmed}),
            "labeled_by": author and author.by,
            "labeled_at": author and author.at,
            "hard": bool(entry.hard),
            "usage": entry.usage,
        }

    def _suggests(self, entry: Entry) -> bool:
        return any(not self.policy.author_of(each).confirmed for each in entry.annotations or ())

    async def _refresh_suggested(self, samples: Sequence[int]) -> None:
        """New samples with suggestions, which few imports bring, are written once more: how sure models are of them is
        not known before."""
        if samples:
            selected = LockedSamples(self.dataset_id, len(samples), tuple(sorted(samples)))
            await refresh_derived_state(self.session, selected, self.change, origin=None)

    async def _annotate(self, annotations: Sequence[tuple[int, ParsedAnnotation]], ids: LabelIds) -> None:
        """Annotations of these samples, in this order."""
        if not annotations:
            return
        await sql.run(
            self.session,
            SQL.annotate,
            dataset_id=self.dataset_id,
            since=self.change.revision,
            origin=self.policy.origin,
            rows=await _json_of(annotations, lambda each: self._annotation_row(*each, ids)),
        )

    def _annotation_row(self, sample_id: int, annotation: ParsedAnnotation, ids: LabelIds) -> dict[str, Any]:
        author = self.policy.author_of(annotation)
        return {
            "sample_id": sample_id,
            "label_id": ids[annotation.label],
            "labeled_by": author.by,
            "labeled_at": author.at,
            "confirmed": author.confirmed,
            "confidence": annotation.confidence,
            "shape": None if annotation.shape is None else to_json(annotation.shape),
            "attributes": annotation.attributes.to_json(),
        }

    async def _update_samples(self, updated: Sequence[UpdatedSample]) -> None:
        facts = [one for one in updated if one.hard is not None or one.usage is not None]
        if facts:
            await sql.run(
                self.session,
                SQL.update_facts,
                since=self.change.revision,
                samples=[one.sample_id for one in facts],
                hard=[one.hard for one in facts],
                usages=[one.usage for one in facts],
            )
        relabeled = tuple(sorted(one.sample_id for one in updated if one.labels))
        if relabeled:
            await refresh_derived_state(
                self.session,
                LockedSamples(self.dataset_id, len(relabeled), relabeled),
                self.change,
                actor=None if self.policy.exact else self.policy.author.by,
                origin=self.policy.origin,
                latest=self.policy.exact,
            )


def last_author(authors: Sequence[Author]) -> Author | None:
    """Who labelled last: one without a time labels now. Times have whole seconds, so of those of the same second
    the last one in order was the last."""
    return max(reversed(authors), key=lambda author: (author.at is None, author.at or NEVER), default=None)


async def _json_of(items: Sequence[Item], row: Callable[[Item], dict[str, Any]]) -> str:
    """Rows of items as one text, made in a thread if they are many. Of lists, the driver would look at every value in
    the event loop."""

    def text() -> str:
        return orjson.dumps([row(each) for each in items]).decode()

    return await asyncio.to_thread(text) if len(items) >= MANY else text()


def _source_row(source: NewSource) -> dict[str, Any]:
    image, facts = source.image, source.image.facts
    return {
        "path": source.path,
        "etag": image.etag,
        "size": image.size,
        "modified_at": image.modified_at,
        "format": facts and facts.format,
        "width": facts and facts.width,
        "height": facts and facts.height,
        "orientation": facts and facts.orientation,
        "damaged": facts is not None and facts.damaged,
        "status": source.status,
        "sidecar_etag": source.sidecar_etag,
        "content_hash": image.content_hash,
        "pixel_hash": image.pixels,
        "changed_at": image.changed_at,
    }
