"""What a batch will write, decided from what was found and from what the database holds under our locks. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from db.formats.images import ImageFacts
from db.formats.shapes import Shape
from db.formats.sidecars import Attributes, ParsedAnnotation, Sidecar
from db.ingest.sync.inspection import Found, Image, Outcome
from db.ingest.sync.options import Options

UNREAD: Final = ""  # instead of an etag, of a sidecar that is still to be read


@dataclass(frozen=True, slots=True)
class Standing:
    """A confirmed annotation of a sample."""

    id: int
    label_id: int
    shape: Shape | None
    confidence: float | None
    attributes: Attributes = Attributes()


@dataclass(frozen=True, slots=True)
class Known:
    """A source as it stands, and the live sample that it feeds, if there is one; with its annotations, where a label
    file is to be compared with them. `content`: a hash of its content, None where there is none."""

    source_id: int
    path: str
    status: str
    etag: str
    size: int
    sidecar_etag: str | None
    content: str | None
    width: int | None
    height: int | None
    orientation: int | None
    sample_id: int | None
    labeled_origin: str | None = None
    hard: bool | None = None
    annotations: tuple[Standing, ...] = ()


@dataclass(frozen=True, slots=True)
class NewSource:
    path: str
    image: Image
    status: str
    sidecar_etag: str | None


@dataclass(frozen=True, slots=True)
class Touched:
    """A known source whose content is as it was, but not its time, its etag, or its being there."""

    source_id: int
    image: Image


@dataclass(frozen=True, slots=True)
class Relabeled:
    """What a sidecar changes: annotations that go, by id, marks that come. `hard` None: it does not say."""

    gone: tuple[int, ...]
    marks: tuple[ParsedAnnotation, ...]
    hard: bool | None


@dataclass(slots=True)
class Decisions:
    """Everything that a batch writes. The first group is versioned facts and makes a change; the second is not."""

    added: list[NewSource] = field(default_factory=list)
    restored: list[int] = field(default_factory=list)
    replaced: dict[int, NewSource] = field(default_factory=dict)  # by sample
    relabeled: dict[int, Relabeled] = field(default_factory=dict)  # by sample
    sidecar_of: dict[str, Sidecar] = field(default_factory=dict)  # of samples to be made, by path
    smaller: list[int] = field(default_factory=list)  # samples whose images are smaller than before

    unreadable: list[NewSource] = field(default_factory=list)
    touched: list[Touched] = field(default_factory=list)
    gone: list[int] = field(default_factory=list)
    sidecars: dict[int, str] = field(default_factory=dict)  # etag by source
    skipped: list[tuple[str, str]] = field(default_factory=list)
    warnings: list[tuple[str, str]] = field(default_factory=list)

    @property
    def is_change(self) -> bool:
        return bool(self.added or self.restored or self.replaced or self.relabeled)

    @property
    def names(self) -> set[str]:
        new = [one.marks for one in self.relabeled.values()] + [one.marks or () for one in self.sidecar_of.values()]
        return {mark.label for marks in new for mark in marks}

    @property
    def updated(self) -> set[int]:
        return self.replaced.keys() | self.relabeled.keys()

    @property
    def summary(self) -> str:
        counts = {"added": len(self.added) + len(self.restored), "updated": len(self.updated)}
        return "Sync: " + ", ".join(f"{count} {word}" for word, count in counts.items() if count)


def decide(
    found: Iterable[Found],
    known: Mapping[int, Known],
    label_ids: Mapping[str, int],
    options: Options,
    *,
    leaving: frozenset[str] = frozenset(),
) -> Decisions:
    """`known` by source; `leaving`: paths whose deletion was asked for and is under way."""
    decider = _Decider(known, label_ids, options)
    for one in found:
        if one.image.outcome is not Outcome.GONE and one.item.path not in leaving:
            decider.decide(one)
    return decider.decisions


@dataclass(slots=True)
class _Decider:
    known: Mapping[int, Known]
    label_ids: Mapping[str, int]
    options: Options
    decisions: Decisions = field(default_factory=Decisions)

    def decide(self, found: Found) -> None:
        self.decisions.warnings += found.warnings
        before = self.known.get(found.item.source_id or 0)
        if found.item.action == "NEW":
            self._new(found)
        elif before is None or (before.status == "GONE" and before.sample_id is None):
            return  # let go by somebody since the plan was made
        elif found.image.outcome in (Outcome.UNREADABLE, Outcome.REFUSED):
            self._unreadable(found, before)
        elif found.item.action == "RESTORED":
            self._restored(found, before)
        elif found.item.action == "SIDECAR":
            self._sidecar(found, before)
        else:
            self._changed(found, before)

    def _new(self, found: Found) -> None:
        match found.image.outcome:
            case Outcome.UNREADABLE:
                self.decisions.unreadable.append(NewSource(found.item.path, found.image, "UNREADABLE", None))
                self._skip(found)
            case Outcome.REFUSED:
                self._skip(found)
            case _:
                self._add(found)

    def _add(self, found: Found) -> None:
        self.decisions.added.append(NewSource(found.item.path, found.image, "PRESENT", found.sidecar_etag))
        self._say(found.item.path, found)

    def _say(self, path: str, found: Found) -> None:
        if found.sidecar is not None:
            self.decisions.sidecar_of[path] = found.sidecar

    def _changed(self, found: Found, before: Known) -> None:
        same = _same_content(found.image, before)
        if same and before.status == "UNREADABLE":
            self.decisions.touched.append(Touched(before.source_id, found.image))
            self._skip(found)
        elif same:
            self.decisions.touched.append(Touched(before.source_id, found.image))
            if self.options.restore_removed:
                self._restored(found, before)
            self._sidecar(found, before)
        elif before.sample_id is None:
            self.decisions.gone.append(before.source_id)
            self._add(found)
        else:
            self._replaced(found, before, before.sample_id)

    def _replaced(self, found: Found, before: Known, sample_id: int) -> None:
        applied = found.sidecar_etag if self._may_label(before) else None
        after = NewSource(before.path, found.image, "PRESENT", applied or before.sidecar_etag)
        self.decisions.gone.append(before.source_id)
        self.decisions.replaced[sample_id] = after
        if _is_smaller(found.image.facts, before):
            self.decisions.smaller.append(sample_id)
        self._relabel(found, before, again=_raster_differs(found.image.facts, before))

    def _unreadable(self, found: Found, before: Known) -> None:
        """A sample whose file was spoilt keeps what it has, and the file is looked at again next time."""
        self._skip(found)
        if before.sample_id is None and found.image.outcome is Outcome.UNREADABLE and found.item.action == "CHANGED":
            self.decisions.gone.append(before.source_id)
            self.decisions.unreadable.append(NewSource(before.path, found.image, "UNREADABLE", None))

    def _restored(self, found: Found, before: Known) -> None:
        if before.sample_id is None and before.status == "PRESENT":
            self.decisions.restored.append(before.source_id)
            self._say(before.path, found)
            if found.item.sidecar_etag:
                self.decisions.sidecars[before.source_id] = found.sidecar_etag or UNREAD

    def _sidecar(self, found: Found, before: Known) -> None:
        if found.sidecar_etag and found.sidecar_etag != before.sidecar_etag and self._may_label(before):
            self.decisions.sidecars[before.source_id] = found.sidecar_etag
        self._relabel(found, before)

    def _relabel(self, found: Found, before: Known, *, again: bool = False) -> None:
        """A sidecar speaks when it is new or changed, is to overwrite, or its image got other pixels to lie on; and
        only where no person spoke last."""
        news = found.sidecar_etag != before.sidecar_etag or self.options.overwrite or again
        sidecar = found.sidecar
        if before.sample_id is None or sidecar is None or sidecar.marks is None:
            return
        if news and self._may_label(before):
            differs = self._difference(sidecar, sidecar.marks, before)
            if differs.gone or differs.marks or differs.hard not in (None, before.hard):
                self.decisions.relabeled[before.sample_id] = differs

    def _difference(self, sidecar: Sidecar, marks: Sequence[ParsedAnnotation], before: Known) -> Relabeled:
        """Of equal ones as many stay as are wanted, the first ones."""
        keys = [_key(self.label_ids.get(mark.label, mark.label), mark) for mark in marks]
        wanted, gone, new = Counter(keys), list[int](), list[ParsedAnnotation]()
        for one in before.annotations:
            key = _key(one.label_id, one)
            if not wanted[key]:
                gone.append(one.id)
            wanted[key] -= wanted[key] > 0
        for key, mark in zip(keys, marks, strict=True):
            if wanted[key]:
                new.append(mark)
                wanted[key] -= 1
        return Relabeled(tuple(gone), tuple(new), sidecar.hard)

    def _may_label(self, before: Known) -> bool:
        return self.options.overwrite or before.labeled_origin in (None, "SYNC")

    def _skip(self, found: Found) -> None:
        self.decisions.skipped.append((found.item.path, found.image.problem))


def _same_content(image: Image, before: Known) -> bool:
    """An etag can be another while the content is the same: of an object in parts, or under a key of KMS."""
    same_hash = image.content is not None and image.content == before.content
    return image.size == before.size and (same_hash or image.etag == before.etag)


def _is_smaller(facts: ImageFacts | None, before: Known) -> bool:
    if facts is None or before.width is None or before.height is None:
        return False
    return facts.width < before.width or facts.height < before.height


def _raster_differs(facts: ImageFacts | None, before: Known) -> bool:
    return facts is not None and (facts.width, facts.height, facts.orientation) != (
        before.width,
        before.height,
        before.orientation,
    )


def _key(
    label: int | str, mark: ParsedAnnotation | Standing
) -> tuple[int | str, Shape | None, float | None, Attributes]:
    """What makes two marks of a sample the same. On a whole image a label is there or not, however sure of it."""
    return label, mark.shape, None if mark.shape is None else mark.confidence, mark.attributes


def counts(decisions: Decisions, *, added: int) -> Counter[str]:
    """The job's counters for what was written. `added`: samples really made, since somebody may have been faster."""
    return Counter(added=added, updated=len(decisions.updated), skipped=len(decisions.skipped))
