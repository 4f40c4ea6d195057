"""What a batch of entries changes, decided from what the database contains under our locks. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import asyncpg
import orjson

from db.formats.annotations import Attributes, Author, ParsedAnnotation
from db.formats.images import ImageFacts
from db.formats.names import excerpt
from db.formats.shapes import from_json
from db.formats.timestamps import clamped
from db.ingest.differences import difference
from db.ingest.entry import Entry, Listed, Notice, NoticeKind
from db.ingest.images import InspectedImage, Outcome
from db.ingest.policy import Policy

UNREAD: Final = ""  # instead of an etag, of a sidecar that is still to be read


@dataclass(frozen=True, slots=True)
class ExistingSample:
    """What there is already: a sample, or a source without one, which was deleted here or cannot be read. `content`: a
    hash of its content, None where there is none. `annotations`, by id: where the entry says something about labels."""

    sample_id: int | None
    source_id: int | None
    path: str
    status: str | None
    etag: str | None
    size: int | None
    content: str | None = None
    sidecar_etag: str | None = None
    width: int | None = None
    height: int | None = None
    orientation: int | None = None
    labeled_origin: str | None = None
    hard: bool | None = None
    usage: str | None = None
    annotations: Mapping[int, ParsedAnnotation] = field(default_factory=dict)

    def has_content_of(self, image: InspectedImage) -> bool:
        """An etag can be another while the content is the same: of an object in parts, or under a key of KMS."""
        same_hash = image.content is not None and image.content == self.content
        return image.size == self.size and (same_hash or image.etag == self.etag)


@dataclass(frozen=True, slots=True)
class NewSource:
    path: str
    image: InspectedImage
    status: str = "PRESENT"
    sidecar_etag: str | None = None


@dataclass(frozen=True, slots=True)
class UpdatedSample:
    """`labels`: whether the sample's labels are the entry's now; the annotations with the ids `removed` go, and those
    of `added` come. `hard`, `usage` None: as before."""

    sample_id: int
    path: str
    labels: bool
    removed: tuple[int, ...] = ()
    added: tuple[ParsedAnnotation, ...] = ()
    hard: bool | None = None
    usage: str | None = None


@dataclass(slots=True)
class Decisions:
    """Everything that a batch writes. The first group is versioned facts and makes a change; the second is not."""

    added: list[tuple[Entry, int | None]] = field(default_factory=list)  # with the source, if it is there already
    replaced: dict[int, NewSource] = field(default_factory=dict)  # by sample
    updated: list[UpdatedSample] = field(default_factory=list)
    smaller: dict[int, ImageFacts] = field(default_factory=dict)  # of samples whose images are smaller than before
    moved_and_updated: int = 0

    unreadable: list[NewSource] = field(default_factory=list)
    touched: list[tuple[int, InspectedImage]] = field(default_factory=list)  # sources with the content they had
    gone_sources: list[int] = field(default_factory=list)
    sidecar_etags: dict[int, str] = field(default_factory=dict)  # by source

    skipped: int = 0
    matched: int = 0  # entries that name a sample
    warnings: list[tuple[int, str, str]] = field(default_factory=list)  # position, location, message
    notices: list[Notice] = field(default_factory=list)

    @property
    def is_change(self) -> bool:
        return bool(self.added or self.replaced or self.updated)

    @property
    def updated_samples(self) -> set[int]:
        return self.replaced.keys() | {one.sample_id for one in self.updated}

    @property
    def updated_paths(self) -> list[str]:
        """Of these samples."""
        return sorted({one.path for one in self.replaced.values()} | {one.path for one in self.updated})

    @property
    def annotations_by_sample(self) -> list[Sequence[ParsedAnnotation]]:
        return [*(entry.annotations or () for entry, _ in self.added), *(one.added for one in self.updated)]

    @property
    def annotations(self) -> list[ParsedAnnotation]:
        """All that are to be written."""
        return [annotation for some in self.annotations_by_sample for annotation in some]

    def skip(self, entry: Entry, message: str, kind: NoticeKind | None = None) -> None:
        self.skipped += 1
        self.warnings.append((entry.position, entry.location, message))
        self.notices.append(Notice(kind or entry.refused_as, f"{entry.location}: {message}"))


def decide(
    entries: Iterable[Entry],
    existing: Mapping[int | str, ExistingSample],
    policy: Policy,
    *,
    being_deleted: frozenset[str] = frozenset(),
) -> Decisions:
    """`existing` by the keys of entries; `being_deleted`: paths whose files are being deleted."""
    decider = _Decider(existing, policy)
    for entry in entries:
        if entry.listed is None:
            decider.decide_named(entry, entry.path in being_deleted)
        elif entry.path not in being_deleted and entry.image and entry.image.outcome is not Outcome.GONE:
            decider.decide_listed(entry, entry.listed, entry.image)
    return decider.decisions


def existing_annotation(row: asyncpg.Record) -> ParsedAnnotation:
    shape = from_json(orjson.loads(row["shape"])) if row["shape"] else None
    attributes = Attributes.from_json(orjson.loads(row["attributes"])) if row["attributes"] else Attributes()
    author = Author(row["labeled_by"], clamped(row["labeled_at"]), row["confirmed"])
    return ParsedAnnotation(row["name"], shape, row["confidence"], attributes, author=author)


def path_end(path: str) -> str:
    """The end of a path, as it may appear in a message."""
    return excerpt(path) if len(path) <= 40 else f"…{excerpt(path[-40:])}"


@dataclass(slots=True)
class _Decider:
    existing: Mapping[int | str, ExistingSample]
    policy: Policy
    decisions: Decisions = field(default_factory=Decisions)
    paths: set[str] = field(default_factory=set)  # of entries before

    def decide_named(self, entry: Entry, is_being_deleted: bool) -> None:
        """An entry that names an image by its path."""
        self._warn(entry)
        kind, refused = entry.refused_as, entry.refused
        if refused is None and is_being_deleted:
            kind, refused = "SAMPLE_DELETED", "The file is being deleted."
        if refused is None and entry.path in self.paths:
            kind, refused = "IMAGE_REPEATED", "An earlier line has imported the same image."
        if refused is None:
            self.paths.add(entry.path)
            kind, refused = "SAMPLE_DELETED", self._merge_named(entry, self.existing.get(entry.path))
        if refused is not None:
            self.decisions.skip(entry, f"`{path_end(entry.path)}`: {refused}", kind)

    def _merge_named(self, entry: Entry, before: ExistingSample | None) -> str | None:
        """Returns why the entry is skipped; None where it is not."""
        if before is not None and before.sample_id is not None:
            self.decisions.matched += 1
            if entry.annotations and not self.policy.may_label(before.labeled_origin):
                message = f"{entry.location}: `{path_end(entry.path)}` keeps its labels: a person or a script put them."
                self.decisions.notices.append(Notice("LABELS_KEPT", message))
            if not self._update(entry, before, before.sample_id) and entry.annotations == () and not self.policy.clears:
                message = f"{entry.location}: `{path_end(entry.path)}` gets no label, and stays as it is."
                self.decisions.notices.append(Notice("NO_LABELS", message))
            return None
        if entry.image is None:
            return "Its sample was deleted while the import ran."
        if before is None or before.source_id is None:
            self.decisions.added.append((entry, None))
            return None
        if before.status == "PRESENT" and (before.etag, before.size) == (entry.image.etag, entry.image.size):
            if not self.policy.restore_removed:
                return "Its sample was deleted here; pass `restoreRemoved` to bring it back."
            self.decisions.added.append((entry, before.source_id))
            return None
        self.decisions.gone_sources.append(before.source_id)
        self.decisions.added.append((entry, None))
        return None

    def decide_listed(self, entry: Entry, listed: Listed, image: InspectedImage) -> None:
        """An entry of a sync, whose source, if there was one, was compared when the sync was planned."""
        self._warn(entry)
        before = self.existing.get(listed.source_id or 0)
        if listed.action == "NEW":
            if image.outcome is Outcome.UNREADABLE:
                self.decisions.unreadable.append(NewSource(entry.path, image, "UNREADABLE"))
            if image.outcome in (Outcome.UNREADABLE, Outcome.REFUSED):
                self.decisions.skip(entry, image.problem)
            else:
                self.decisions.added.append((entry, None))
        elif before is None or before.source_id is None or (before.status == "GONE" and before.sample_id is None):
            return  # removed by another writer since the plan was made
        elif image.outcome in (Outcome.UNREADABLE, Outcome.REFUSED):
            # A sample whose file became unreadable stays as it is, and the file is read again next time.
            self.decisions.skip(entry, image.problem)
            if before.sample_id is None and image.outcome is Outcome.UNREADABLE and listed.action == "CHANGED":
                self.decisions.gone_sources.append(before.source_id)
                self.decisions.unreadable.append(NewSource(before.path, image, "UNREADABLE"))
        elif listed.action == "RESTORED":
            self._restore(entry, listed, before)
        elif listed.action == "SIDECAR":
            self._apply_sidecar(entry, before)
        else:
            self._change(entry, listed, image, before)

    def _restore(self, entry: Entry, listed: Listed, before: ExistingSample) -> None:
        if before.source_id is not None and before.sample_id is None and before.status == "PRESENT":
            self.decisions.added.append((entry, before.source_id))
            if listed.sidecar_etag:
                self.decisions.sidecar_etags[before.source_id] = entry.sidecar_etag or UNREAD

    def _change(self, entry: Entry, listed: Listed, image: InspectedImage, before: ExistingSample) -> None:
        assert before.source_id is not None
        if before.has_content_of(image):
            self.decisions.touched.append((before.source_id, image))
            if before.status == "UNREADABLE":
                self.decisions.skip(entry, image.problem)
                return
            if self.policy.restore_removed:
                self._restore(entry, listed, before)
            self._apply_sidecar(entry, before)
            return
        self.decisions.gone_sources.append(before.source_id)
        if before.sample_id is None:
            self.decisions.added.append((entry, None))
            return
        applied = entry.sidecar_etag if self.policy.may_label(before.labeled_origin) else None
        source = NewSource(before.path, image, sidecar_etag=applied or before.sidecar_etag)
        self.decisions.replaced[before.sample_id] = source
        facts = image.facts
        if facts and (facts.width < (before.width or 0) or facts.height < (before.height or 0)):
            self.decisions.smaller[before.sample_id] = facts
        raster = (before.width, before.height, before.orientation)
        differs = facts is not None and (facts.width, facts.height, facts.orientation) != raster
        self._relabel(entry, before, again=differs)

    def _apply_sidecar(self, entry: Entry, before: ExistingSample) -> None:
        is_new = entry.sidecar_etag and entry.sidecar_etag != before.sidecar_etag
        if is_new and before.source_id is not None and self.policy.may_label(before.labeled_origin):
            self.decisions.sidecar_etags[before.source_id] = entry.sidecar_etag or UNREAD
        self._relabel(entry, before)

    def _relabel(self, entry: Entry, before: ExistingSample, *, again: bool = False) -> None:
        """A sidecar is applied when it is new or changed, is to overwrite, or its image got other pixels."""
        differs = entry.sidecar_etag != before.sidecar_etag or self.policy.overwrites or again
        if before.sample_id is not None and entry.annotations is not None and differs:
            self._update(entry, before, before.sample_id)

    def _update(self, entry: Entry, before: ExistingSample, sample_id: int) -> bool:
        """Make the sample what the entry says, unless its labels are work that the policy keeps. Whether it changes."""
        if not self.policy.may_label(before.labeled_origin):
            return False
        removed, added = difference(entry.annotations, before.annotations, self.policy)
        hard = entry.hard if entry.hard != before.hard else None
        usage = entry.usage if entry.usage != before.usage else None
        labels = bool(removed or added)
        is_changed = labels or hard is not None or usage is not None
        if is_changed:
            labels = labels or entry.listed is not None  # a sidecar that only says `difficult` is applied as well
            self.decisions.updated.append(UpdatedSample(sample_id, entry.path, labels, removed, added, hard, usage))
            self.decisions.moved_and_updated += entry.listed is not None and entry.listed.moved
        return is_changed

    def _warn(self, entry: Entry) -> None:
        self.decisions.warnings += [(entry.position, *warning) for warning in entry.warnings]
