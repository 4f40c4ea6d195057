"""Annotating: annotations with shapes are added, moved, relabelled and removed, in sets.

What the edits of a call come to is decided before anything is written. An annotation is the same as another of its
sample when label and shape are: so a shape that is added again, by a retry or by a second annotator, exists already. A
whole image has a label once; shapes of one label may be any number.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeVar

import asyncpg
import orjson
from sqlmodel.ext.asyncio.session import AsyncSession

from db.concurrency_limits import Turns
from db.errors import Invalid, NotFound
from db.formats import names, shapes
from db.formats.shapes import Shape
from db.history.changes import RecordedChange, expect_revision, lock_dataset, record
from db.identity.tokens import Identity
from db.labelling import annotations, label_resolution, labels, verdicts
from db.labelling.labels import LabelReference
from db.labelling.samples.label import Labelled
from db.labelling.samples.selection import LockedSamples, Selection, lock_samples, samples_at
from db.postgres import sql

SQL: Final = sql.load(__file__)
MAX_NAMED: Final = 100_000  # annotations in one call
MAX_PER_SAMPLE: Final = 10_000  # annotations that a sample can get through calls; a sidecar can bring as many
MAX_REPORTED: Final = 100  # ids that an error names
PORTION: Final = 5_000  # annotations in one statement

T = TypeVar("T")
Key = tuple[int, int, str | None]  # sample, label, shape


@dataclass(frozen=True, slots=True)
class Addition:
    """Without a shape, the label is put on the whole image."""

    label: LabelReference
    shape: Shape | None = None


@dataclass(frozen=True, slots=True)
class Update:
    """What is None stays. An updated annotation is confirmed."""

    id: int
    label: LabelReference | None = None
    shape: Shape | None = None


@dataclass(frozen=True, slots=True)
class Edit:
    """What to do with one sample's annotations. With a `path`, of the sample that is there."""

    sample: int
    add: Sequence[Addition] = ()
    update: Sequence[Update] = ()
    remove: Sequence[int] = ()
    path: str | None = None

    def labels(self) -> Iterator[LabelReference]:
        yield from (each.label for each in self.add)
        yield from (each.label for each in self.update if each.label is not None)


@dataclass(frozen=True, slots=True, eq=False)  # each is itself alone: to hash all fields of 60,000 takes 9 ms
class AnnotationRow:
    """An annotation as it is, or is to be; `shape` is JSON text, None the whole image. A new one has no id yet."""

    sample: int
    label: int
    shape: str | None
    id: int = 0
    confirmed: bool = True
    of_model: bool = False

    @property
    def key(self) -> Key:
        return self.sample, self.label, self.shape


@dataclass(slots=True)
class CheckedEdits:
    """The edits of samples that were found, with labels as ids and shapes as checked text."""

    add: dict[Key, AnnotationRow] = field(default_factory=dict)
    update: dict[int, tuple[int, int | None, str | None]] = field(default_factory=dict)  # sample, label, shape
    remove: dict[int, int] = field(default_factory=dict)  # sample

    async def include(
        self, edit: Edit, ids: Mapping[LabelReference, int], image: asyncpg.Record, path: str, turns: Turns
    ) -> None:
        """`path`: of the edit in the input."""
        for index, new in enumerate(edit.add):
            await turns.step()
            shape = checked_shape(new.shape, image, edit.sample, f"{path}.add.{index}")
            row = AnnotationRow(edit.sample, ids[label_resolution.in_one_form(new.label)], shape)
            self.add[row.key] = row
        for index, one in enumerate(edit.update):
            await turns.step()
            if one.id in self.update:
                raise Invalid(
                    "An annotation can be updated once in a call; this one is updated twice.", ids=_global([one.id])
                )
            label = None if one.label is None else ids[label_resolution.in_one_form(one.label)]
            shape = checked_shape(one.shape, image, edit.sample, f"{path}.update.{index}")
            self.update[one.id] = edit.sample, label, shape
        for id in edit.remove:
            if self.remove.setdefault(id, edit.sample) != edit.sample:
                raise no_such_annotations(_global([id]))

    def expect_existing(self, rows: Mapping[int, AnnotationRow], removed_before: Mapping[int, int]) -> None:
        """Every named annotation is one of the sample it is named under. One to be removed may be removed already."""
        samples = {id: row.sample for id, row in rows.items()}
        wrong = [id for id, (sample, _, _) in self.update.items() if samples.get(id) != sample]
        wrong += [id for id, sample in self.remove.items() if samples.get(id, removed_before.get(id)) != sample]
        if wrong:
            raise no_such_annotations(_global(wrong))

    def updated(self, rows: Mapping[int, AnnotationRow]) -> list[AnnotationRow]:
        """The updated annotations as they are to be."""
        updated, suggested = [], set[Key]()
        for id, (sample, label, shape) in self.update.items():
            row = rows[id]
            label, shape = row.label if label is None else label, row.shape if shape is None else shape
            new = AnnotationRow(sample, label, shape, id)
            if row.of_model and not row.confirmed and row.key == new.key:
                if new.key in suggested:  # by another model: once one is confirmed, the others agree
                    continue
                suggested.add(new.key)
            updated.append(new)
        whole = Counter(row.key for row in updated if row.shape is None)
        equal = [row.id for row in updated if whole[row.key] > 1]
        if equal:
            message = "These would become the same annotation: a whole image has each label once. Remove all but one."
            raise Invalid(message, ids=_global(equal))
        return updated


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be written. `update`: annotations that exist, with their new values; `delete`: annotations to remove,
    with their samples. `corrected`, `rejected`, `equal`: ids of annotations that get other values, that the edits
    remove, and that are removed because another one becomes the same."""

    insert: Sequence[AnnotationRow]
    update: Sequence[AnnotationRow]
    delete: Mapping[int, int]
    corrected: Sequence[int]
    rejected: Sequence[int]
    equal: Sequence[int]

    def samples(self) -> tuple[int, ...]:
        """Those that change, ascending."""
        return tuple(sorted({row.sample for row in (*self.insert, *self.update)} | set(self.delete.values())))

    def growth(self) -> dict[int, int]:
        """How many annotations more each sample gets, for those that get more."""
        net = Counter(row.sample for row in self.insert)
        net.subtract(self.delete.values())
        return {sample: more for sample, more in net.items() if more > 0}


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnotateWith:
    """Whether unknown labels are made, and the guard. Without it the last writer wins."""

    create_missing: bool = False
    expected_revision: int | None = None


async def annotate(
    session: AsyncSession, dataset_id: int, edits: Sequence[Edit], how: AnnotateWith, *, by: Identity
) -> Labelled:
    """Make the edits as one change. Annotations that are as requested already are not written."""
    if not edits:
        raise Invalid("No samples are given; name at least one.", code="EMPTY_SELECTION")
    count = sum(len(edit.add) + len(edit.update) + len(edit.remove) for edit in edits)
    if count > MAX_NAMED:
        raise Invalid(f"At most {MAX_NAMED:,} annotations are named in one call.", most=MAX_NAMED, given=count)
    revision = await lock_dataset(session, dataset_id, by)
    await expect_revision(session, dataset_id, how.expected_revision, revision)
    used = label_resolution.distinct(label for edit in edits for label in edit.labels())
    known = await labels.lock_labels(session, dataset_id, used)
    missing = label_resolution.missing(label_resolution.named(used, known), known, create=how.create_missing)
    edits = await _found_by_path(session, dataset_id, edits)
    matched = await lock_samples(session, dataset_id, Selection(ids=[edit.sample for edit in edits]))
    unchanged = await Labelled.unchanged(session, matched)
    lost = {edit.path: None for edit in edits if edit.path is not None and edit.sample in (0, *matched.not_found)}
    unchanged = replace(unchanged, not_found_paths=tuple(lost))
    images = await image_facts(session, matched)
    provisional = {name: -number for number, name in enumerate(missing, 1)}  # ids until the labels are made
    by_reference: dict[LabelReference, int] = {id: id for id in known.values()}
    by_reference.update(known | provisional)
    plan = await _plan(session, await check(edits, by_reference, images))
    changing = replace(matched, count=len(plan.samples()), ids=plan.samples())
    if not changing.count:
        await expect_revision(session, dataset_id, how.expected_revision)
        return unchanged
    await expect_room(session, plan.growth())
    parts = {"added": len(plan.insert), "changed": len(plan.update), "removed": len(plan.delete)}
    what = ", ".join(f"{number} {word}" for word, number in parts.items() if number)
    summary = f"Annotated {changing.counted}: {what}"
    change = await record(
        session, dataset_id, by.name, "ANNOTATE_SAMPLES", summary, expected_revision=how.expected_revision
    )
    used_ids = {row.label for row in (*plan.insert, *plan.update)}
    new = [name for name, id in provisional.items() if id in used_ids]
    made = await label_resolution.make(session, dataset_id, new, change)
    label_ids = {provisional[name]: id for name, id in made.items()}
    if not any(row["has_models"] for row in images.values()):
        await _write(session, changing, plan, label_ids, change, by)
    else:
        await _judge(session, plan, change)
        await _write(session, changing, plan, label_ids, change, by)
        await verdicts.accept_agreeing(session, changing, change)
        await verdicts.take_back(session, changing, "REJECTED", change)
    await annotations.refresh_derived_state(session, changing, change, actor=by.name)
    return replace(unchanged, changed=changing.count, change=change.id)


async def _found_by_path(session: AsyncSession, dataset_id: int, edits: Sequence[Edit]) -> Sequence[Edit]:
    """With the samples at the edits' paths; 0, which no sample is, where there is none."""
    paths = [edit.path for edit in edits if edit.path is not None]
    if not paths:
        return edits
    found = await samples_at(session, dataset_id, paths)
    return [edit if edit.path is None else replace(edit, sample=found.get(edit.path, 0)) for edit in edits]


async def _plan(session: AsyncSession, edits: CheckedEdits) -> Plan:
    """What the edits change, compared with the existing annotations."""
    existing = await _existing(session, edits)
    updated = edits.updated(existing)
    update = [row for row in updated if row.key != existing[row.id].key or not existing[row.id].confirmed]
    delete = {id: sample for id, sample in edits.remove.items() if id in existing}
    rejected, equal_ids = list(delete), list[int]()
    keys = {row.key for row in updated}
    insert = [row for key, row in edits.add.items() if key not in keys]
    whole = [row for row in update if row.shape is None]
    rows, leaving = [*insert, *whole], [*delete, *(row.id for row in update)]
    equal = {}
    for portion in portions(rows):
        for each in await sql.run(session, SQL.equal, **_columns(portion), except_ids=leaving):
            row = portion[each["n"] - 1]
            equal[row] = replace(row, id=each["id"], confirmed=each["confirmed"])
            if row.id and not each["agrees"]:  # of two that become the same, the one that was named stays
                delete[each["id"]] = row.sample
                equal_ids.append(each["id"])
    corrected = [row.id for row in update if row.key != existing[row.id].key]
    update += [replace(row, id=equal[row].id) for row in insert if row in equal and not equal[row].confirmed]
    return Plan([row for row in insert if row not in equal], update, delete, corrected, rejected, equal_ids)


async def _existing(session: AsyncSession, edits: CheckedEdits) -> dict[int, AnnotationRow]:
    """The annotations that are updated or removed, as they are now."""
    ids = [*edits.update, *edits.remove]
    existing = {}
    for row in await sql.run(session, SQL.existing, ids=ids) if ids else ():
        shape = row["shape"] and _json(orjson.loads(row["shape"]))  # Postgres has another order of keys
        state = row["id"], row["confirmed"], row["of_model"]
        existing[row["id"]] = AnnotationRow(row["sample_id"], row["label_id"], shape, *state)
    missing = [id for id in edits.remove if id not in existing]
    removed = await sql.run(session, SQL.removed_before, ids=missing) if missing else ()
    edits.expect_existing(existing, {row["id"]: row["sample_id"] for row in removed})
    return existing


async def image_facts(session: AsyncSession, samples: LockedSamples) -> dict[int, asyncpg.Record]:
    """What shapes are checked with, by sample, and whether the dataset has models."""
    rows = await samples.run(session, SQL.images, dataset_id=samples.dataset_id)
    return {row["id"]: row for row in rows}


async def beyond_room(session: AsyncSession, growth: Mapping[int, int]) -> dict[int, int]:
    """How many annotations are too many, of the samples that would have too many. `growth`: by how many each grows."""
    rows = await sql.run(session, SQL.counts, samples=list(growth)) if growth else ()
    counts = {row["sample_id"]: row["n"] for row in rows}
    beyond = {sample: counts.get(sample, 0) + more - MAX_PER_SAMPLE for sample, more in growth.items()}
    return {sample: count for sample, count in beyond.items() if count > 0}


async def expect_room(session: AsyncSession, growth: Mapping[int, int]) -> None:
    """Raises Invalid where a sample would have too many annotations. `growth`: by how many it grows."""
    full = list(await beyond_room(session, growth))
    if full:
        raise Invalid(
            f"A sample has at most {MAX_PER_SAMPLE:,} annotations, and Sample:{full[0]} would have more.",
            most=MAX_PER_SAMPLE,
            samples=[f"Sample:{sample}" for sample in full[:MAX_REPORTED]],
        )


async def _write(
    session: AsyncSession,
    samples: LockedSamples,
    plan: Plan,
    label_ids: Mapping[int, int],
    change: RecordedChange,
    by: Identity,
) -> None:
    """`label_ids`: those of labels that were made, by their provisional ids."""
    insert, update = plan.insert, plan.update
    if label_ids:
        insert, update = (
            [replace(row, label=label_ids.get(row.label, row.label)) for row in rows] for rows in (insert, update)
        )
    values = {"actor": by.name, "since": change.revision}
    if plan.delete:
        await sql.run(session, SQL.delete, ids=list(plan.delete))
    if update:
        ids, columns = [row.id for row in update], _columns(update)
        if None in columns["shapes"]:
            await sql.run(session, SQL.hide_changed, ids=ids, **columns, **values)
        await sql.run(session, SQL.update, ids=ids, **columns, **values)
    for portion in portions(insert):
        await sql.run(session, SQL.insert, dataset_id=samples.dataset_id, **_columns(portion), **values)


async def _judge(session: AsyncSession, plan: Plan, change: RecordedChange) -> None:
    """Keep verdicts on what models suggested, before it changes."""
    await verdicts.add_for(session, plan.corrected, "CORRECTED", change)
    await verdicts.add_for(session, plan.rejected, "REJECTED", change)
    await verdicts.add_for(session, plan.equal, "ACCEPTED", change)


def portions(rows: Sequence[T]) -> Iterator[Sequence[T]]:
    """As many as are sent in a few milliseconds, in which no other request is served."""
    return (rows[start : start + PORTION] for start in range(0, len(rows), PORTION))


def _columns(rows: Sequence[AnnotationRow]) -> dict[str, list[Any]]:
    return {
        "samples": [row.sample for row in rows],
        "labels": [row.label for row in rows],
        "shapes": [row.shape for row in rows],
    }


# -- what the edits of samples come to --------------------------------------------------------------------------------


async def check(
    edits: Sequence[Edit], ids: Mapping[LabelReference, int], images: Mapping[int, asyncpg.Record]
) -> CheckedEdits:
    """Raises Invalid for a shape that cannot be, and for an annotation that is to become two things."""
    checked, turns = CheckedEdits(), Turns()
    for index, edit in enumerate(edits):
        if edit.sample in images:
            await checked.include(edit, ids, images[edit.sample], f"samples.{index}", turns)
    twice = sorted(checked.update.keys() & checked.remove.keys())
    if twice:
        raise Invalid("An annotation is either updated or removed, not both.", ids=_global(twice))
    return checked


def no_such_annotations(ids: Sequence[str]) -> NotFound:
    return NotFound(
        "The sample has no such annotation; list them with `annotations { id }`.",
        ids=[names.excerpt(id) for id in dict.fromkeys(ids)],
    )


def checked_shape(shape: Shape | None, image: asyncpg.Record, sample: int, path: str) -> str | None:
    """A shape as it is stored. `path`: in the input."""
    if shape is None:
        return None
    try:
        if image["width"] is None or image["height"] is None:
            raise Invalid("The size of this image is not known, so shapes cannot be checked; sync the dataset.")
        size = {"width": image["width"], "height": image["height"]}
        return _json(shapes.to_json(shapes.validated(shape, kind=image["kind"], **size)))
    except Invalid as refused:
        refused.details |= {"sample": f"Sample:{sample}", "path": f"{path}.shape"}
        raise


def _json(shape: Mapping[str, Any]) -> str:
    return orjson.dumps(shape, option=orjson.OPT_SORT_KEYS).decode()


def _global(ids: Sequence[int]) -> list[str]:
    return [f"Annotation:{id}" for id in ids[:MAX_REPORTED]]
