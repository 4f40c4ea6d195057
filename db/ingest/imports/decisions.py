"""What a batch will write, decided from what was seen and from what the database holds under our locks. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import orjson

from db.ingest.imports.entries import ParsedAnnotation
from db.ingest.imports.inspection import Seen
from db.ingest.imports.options import Options
from db.ingest.imports.reading import told
from db.ingest.sync.inspection import Image


@dataclass(frozen=True, slots=True)
class Held:
    """An annotation as it stands."""

    id: int
    mark: tuple[Any, ...]
    at: datetime


@dataclass(frozen=True, slots=True)
class Known:
    """What there is at a path: a sample; or a source without one, which was deleted here or cannot be read."""

    sample_id: int | None
    labeled_origin: str | None
    hard: bool | None
    usage: str | None
    source_id: int | None
    status: str | None
    etag: str | None
    size: int | None
    annotations: tuple[Held, ...] = ()


NOTHING = Known(None, None, None, None, None, None, None, None)


@dataclass(frozen=True, slots=True)
class Added:
    """A sample to be made; of `source_id`, if it has a source already."""

    seen: Seen
    image: Image
    source_id: int | None = None


@dataclass(frozen=True, slots=True)
class Updated:
    """A sample to be changed. `marks` None: its labels stay; `gone`, `put`: what becomes of its annotations."""

    sample_id: int
    hard: bool | None
    usage: str | None
    marks: tuple[ParsedAnnotation, ...] | None = None
    gone: tuple[int, ...] = ()
    put: tuple[ParsedAnnotation, ...] = ()


@dataclass(slots=True)
class Decisions:
    added: list[Added] = field(default_factory=list)
    updated: list[Updated] = field(default_factory=list)
    let_go: list[int] = field(default_factory=list)  # sources
    skipped: list[tuple[int, str]] = field(default_factory=list)  # by line
    warnings: list[tuple[int, str]] = field(default_factory=list)

    @property
    def is_change(self) -> bool:
        return bool(self.added or self.updated)

    @property
    def marks(self) -> list[ParsedAnnotation]:
        found = [mark for each in self.added for mark in each.seen.marks or ()]
        return found + [mark for each in self.updated for mark in each.put]

    @property
    def summary(self) -> str:
        counts = {"added": len(self.added), "updated": len(self.updated)}
        return "Import: " + ", ".join(f"{count} {word}" for word, count in counts.items() if count)


def decide(
    found: Iterable[Seen], known: Mapping[str, Known], options: Options, *, leaving: frozenset[str]
) -> Decisions:
    """`known` by path; `leaving`: paths whose deletion was asked for and is under way."""
    decisions = Decisions()
    taken = set[str]()
    for seen in found:
        decisions.warnings += [(seen.position, message) for message in seen.warnings]
        refused = seen.refused or ("The file is being deleted." if seen.path in leaving else None)
        if refused is None and seen.path in taken:
            refused = "The very same image was imported by a line before."
        if refused is None:
            taken.add(seen.path)
            refused = _decide(decisions, seen, known.get(seen.path, NOTHING), options)
        if refused is not None:
            decisions.skipped.append((seen.position, f"`{told(seen.path)}`: {refused}"))
    return decisions


def _decide(decisions: Decisions, seen: Seen, before: Known, options: Options) -> str | None:
    """The sentence for a line that comes to nothing."""
    if before.sample_id is not None:
        updated = _updated(before.sample_id, seen, before, options)
        decisions.updated += [] if updated is None else [updated]
        return None
    if seen.image is None:
        return "Its sample was deleted while the import ran."
    if before.status == "PRESENT" and (before.etag, before.size) == (seen.image.etag, seen.image.size):
        if not options.restore_removed:
            return "Its sample was deleted here; pass `restoreRemoved` to bring it back."
        decisions.added.append(Added(seen, seen.image, before.source_id))
        return None
    if before.source_id is not None:
        decisions.let_go.append(before.source_id)
    decisions.added.append(Added(seen, seen.image))
    return None


def _updated(sample_id: int, seen: Seen, before: Known, options: Options) -> Updated | None:
    """None: the sample is as the line says, or may not be changed."""
    if not options.may_label(before.labeled_origin):
        return None
    hard = seen.hard if seen.hard != before.hard else None
    usage = seen.entry.usage if seen.entry.usage != before.usage else None
    marks = seen.marks if seen.marks or options.existing == "OVERWRITE" else None
    gone, put = _difference(before.annotations, marks, options) if marks is not None else ((), ())
    if not gone and not put:
        return Updated(sample_id, hard, usage) if hard is not None or usage is not None else None
    return Updated(sample_id, hard, usage, marks, gone, put)


def _difference(
    held: Sequence[Held], marks: Iterable[ParsedAnnotation], options: Options
) -> tuple[tuple[int, ...], tuple[ParsedAnnotation, ...]]:
    """Annotations that go, and marks that come: what is on both sides stays as it is, to the second."""
    left = list(held)
    put = []
    for mark in marks:
        same = next((each for each in left if _is_same(each, mark, options)), None)
        if same is None:
            put.append(mark)
        else:
            left.remove(same)
    return tuple(each.id for each in left), tuple(put)


def _is_same(held: Held, mark: ParsedAnnotation, options: Options) -> bool:
    at = mark.author.at
    return held.mark == as_stored(mark, options) and (at is None or held.at.replace(microsecond=0) == seconds(at))


def as_stored(mark: ParsedAnnotation, options: Options) -> tuple[Any, ...]:
    """A mark as `held` compares it: without its time, which may not be told."""
    confirmed = mark.author.confirmed or options.confirm_suggestions
    return mark.name, mark.author.by, mark.confidence, confirmed, _sorted(mark.shape), _sorted(mark.attributes)


def held(row: Mapping[str, Any]) -> Held:
    """Of a row of the statement `annotations`."""
    shape, attributes = (_sorted(orjson.loads(row[name] or "null")) for name in ("shape", "attributes"))
    mark = (row["name"], row["labeled_by"], row["confidence"], row["confirmed"], shape, attributes)
    return Held(row["id"], mark, row["labeled_at"].astimezone(UTC))


def _sorted(stored: Mapping[str, Any] | None) -> bytes | None:
    return None if stored is None else orjson.dumps(_plain(stored), option=orjson.OPT_SORT_KEYS)


def seconds(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(microsecond=0)


def _plain(shape: Any) -> Any:
    """JSON of the database has 1 where ours has 1.0."""
    match shape:
        case dict():
            return {key: _plain(value) for key, value in shape.items()}
        case list():
            return [_plain(value) for value in shape]
        case bool() | str() | None:
            return shape
    return float(shape)


def last_author(marks: Sequence[ParsedAnnotation]) -> tuple[str, datetime | None]:
    """Who put the last of these labels, and when: one of now, which has no time, is the last of all."""
    never = datetime.min.replace(tzinfo=UTC)  # moments are told to the second: of the same one, the last was put last
    latest = max(reversed(marks), key=lambda mark: (mark.author.at is None, mark.author.at or never))
    return latest.author.by, latest.author.at
