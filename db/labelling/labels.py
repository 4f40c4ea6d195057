"""Labels: names of a dataset, each one row however many samples carry it.

Deleting them deletes, if requested, the samples that have no other, and their files. Labels are locked in the order of
their ids, so that no two writers wait for each other.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal, Self

import asyncpg
from sqlalchemy import ARRAY, BigInteger, ColumnElement, func, or_
from sqlalchemy import delete as delete_rows
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from db.errors import AlreadyExists, Invalid, NotFound
from db.formats import names
from db.history import large_changes
from db.history.changes import RecordedChange, lock_dataset, record
from db.identity.tokens import Identity
from db.labelling import annotations, source_references, verdicts
from db.labelling.samples.delete import delete_where
from db.labelling.samples.selection import lock_samples_where
from db.labelling.source_references import Impact
from db.postgres import sql
from db.postgres.models import Annotation, Dataset, Label, LabelCount, Sample
from db.queries.parameters import bind_value

SQL: Final = sql.load(__file__)
OnConflict = Literal["ERROR", "MERGE"]
DeleteMode = Literal["LABEL_ONLY", "LABEL_AND_SAMPLES", "LABEL_SAMPLES_AND_SOURCES"]
MAX_LABELS: Final = 1_000  # in one call

LOOK: Final = {"color": names.color, "shortcut": names.shortcut}  # what checks them
# A sample goes with its labels when it has some, and none that stays. A machine's suggestions do not count.
GOING: Final = "sample.label_ids <> '{}' AND sample.label_ids <@ :labels::bigint[]"


@dataclass(frozen=True, slots=True)
class LabelValues:
    """A label to be created, as the client wrote it."""

    name: str
    color: str | None = None
    shortcut: str | None = None


@dataclass(frozen=True, slots=True)
class Created:
    dataset_id: int
    labels: tuple[int, ...]
    change: int | None = None


@dataclass(frozen=True, slots=True)
class Renamed:
    """`label` is the one that has the name now: after a merge, the one that had it before."""

    dataset_id: int
    label: int
    affected_samples: int
    change: int | None = None


@dataclass(frozen=True, slots=True)
class Updated:
    dataset_id: int
    label: int
    change: int | None = None


@dataclass(frozen=True, slots=True)
class Deleted:
    """Of a dry run: what would be. `with_sources`: files are to be deleted after the commit, for the change."""

    dataset_id: int
    labels: tuple[int, ...]
    affected_samples: int
    deleted_samples: int
    with_sources: bool = False
    change: int | None = None
    impacts: tuple[Impact, ...] = ()


# -- operations -------------------------------------------------------------------------------------------------------


async def create(session: AsyncSession, dataset_id: int, labels: Sequence[LabelValues], *, by: Identity) -> Created:
    """Create labels, in their order; all of them, or none."""
    if not labels:
        raise Invalid("No labels are given; name at least one.", code="EMPTY_SELECTION")
    await lock_dataset(session, dataset_id, by)
    values = checked(labels, await rule_of(session, dataset_id))
    change = await record(session, dataset_id, by.name, "CREATE_LABELS", f"Created {listed(v.name for v in values)}")
    return Created(dataset_id, tuple(await insert(session, dataset_id, values, change)), change.id)


async def update(session: AsyncSession, label_id: int, look: Mapping[str, str | None], *, by: Identity) -> Updated:
    """Set the `color` or `shortcut` that is given; None removes it. What is already so is no change."""
    checked_look = {name: LOOK[name](value) for name, value in look.items()}
    dataset_id = await _lock_dataset_of(session, [label_id], by)
    # A shortcut is a key to Postgres, so this waits for those who label with it, as renaming does.
    label = (await _lock(session, dataset_id, [label_id]))[label_id]
    if all(value == getattr(label, name) for name, value in checked_look.items()):
        return Updated(dataset_id, label_id)
    for name, value in checked_look.items():
        setattr(label, name, value)
    change = await record(
        session, dataset_id, by.name, "UPDATE_LABEL", f"Changed the colour or shortcut of `{label.name}`"
    )
    taken = select(Label.id).where(
        col(Label.dataset_id) == dataset_id, col(Label.shortcut) == label.shortcut, col(Label.id) != label_id
    )
    if label.shortcut is not None and (await session.exec(taken)).first() is not None:
        _refuse(taken_shortcuts=[label.shortcut])
    label.since = change.revision
    await session.flush()
    return Updated(dataset_id, label_id, change.id)


async def rename(
    session: AsyncSession,
    label_id: int,
    *,
    to: str,
    by: Identity,
    on_conflict: OnConflict = "ERROR",
    dry_run: bool = False,
) -> Renamed:
    """Give a label another name. MERGE onto a name in use: its samples get that label, and this one goes."""
    dataset_id = await _lock_dataset_of(session, [label_id], by, dry_run=dry_run)
    name = names.label_name(to, await rule_of(session, dataset_id))
    labels = await _lock(session, dataset_id, [label_id], or_named=name, dry_run=dry_run)
    label = labels.pop(label_id)
    if label.name == name:
        return Renamed(dataset_id, label_id, 0)
    if labels and on_conflict == "ERROR":
        _refuse(taken_names=[name])
    if labels:
        return await _merge(session, label, next(iter(labels.values())), by, dry_run=dry_run)
    affected = select(LabelCount.sample_count).where(col(LabelCount.label_id) == label_id)
    if dry_run:
        return Renamed(dataset_id, label_id, (await session.exec(affected)).one())
    change = await record(session, dataset_id, by.name, "RENAME_LABEL", f"Renamed `{label.name}` to `{name}`")
    label.name, label.since = name, change.revision
    await session.flush()
    return Renamed(dataset_id, label_id, (await session.exec(affected)).one(), change.id)


async def _merge(session: AsyncSession, label: Label, into: Label, by: Identity, *, dry_run: bool) -> Renamed:
    dataset_id = label.dataset_id
    samples = await lock_samples_where(session, dataset_id, _carry([label.id]), None if dry_run else "NO KEY UPDATE")
    if dry_run:
        return Renamed(dataset_id, into.id, samples.count)
    change = await record(session, dataset_id, by.name, "MERGE_LABELS", f"Merged `{label.name}` into `{into.name}`")
    flags = await verdicts.suggestion_flags(session, dataset_id, [label.id, into.id])
    for part in await samples.parts(session):
        await annotations.replace_label(session, part, label.id, into.id, change, flags=flags)
        await annotations.refresh_derived_state(session, part, change)
        large_changes.report(session, part.share)
    await verdicts.relabel(session, label.id, into.id, change)
    await session.exec(delete_rows(Label).where(col(Label.id) == label.id))
    return Renamed(dataset_id, into.id, samples.count, change.id)


async def delete(
    session: AsyncSession, label_ids: Sequence[int], *, mode: DeleteMode, by: Identity, dry_run: bool = False
) -> Deleted:
    """Delete labels of one dataset. The same, whether several at once or one after another in any order."""
    if not label_ids:
        raise Invalid("No labels are selected; name at least one.", code="EMPTY_SELECTION")
    if len(label_ids) > MAX_LABELS:
        raise Invalid(f"At most {MAX_LABELS} labels are deleted in one call.", most=MAX_LABELS)
    ids = list(dict.fromkeys(label_ids))
    dataset_id = await _lock_dataset_of(session, ids, by, dry_run=dry_run)
    labels = await _lock(session, dataset_id, ids, dry_run=dry_run)
    samples = await lock_samples_where(session, dataset_id, _carry(ids), None if dry_run else "UPDATE")
    going = 0 if mode == "LABEL_ONLY" else await samples.count_where(session, GOING, labels=ids)
    with_sources = mode == "LABEL_SAMPLES_AND_SOURCES"
    impacts: tuple[Impact, ...] = ()
    if with_sources and going:
        impacts = await source_references.impacts(session, samples, by, GOING, labels=ids)
    planned = Deleted(dataset_id, tuple(ids), samples.count, going, with_sources, None, impacts)
    if dry_run:
        return planned
    summary = f"Deleted {listed(each.name for each in labels.values())}" + (f" and {going} samples" if going else "")
    undoable = not (with_sources and going)
    change = await record(session, dataset_id, by.name, "DELETE_LABELS", summary, undoable=undoable)
    for part in await samples.parts(session):
        await annotations.remove_labels(session, part, ids)
        if going:
            await delete_where(session, part, change, GOING, with_sources=with_sources, labels=ids)
        await annotations.refresh_derived_state(session, part, change)
        large_changes.report(session, part.share)
    await session.exec(delete_rows(Label).where(col(Label.id).in_(ids)))
    return replace(planned, change=change.id)


def _carry(label_ids: Sequence[int]) -> ColumnElement[bool]:
    """Whether a sample carries one of the labels, if only as a suggestion."""
    is_of_label = col(Annotation.label_id) == func.any(bind_value(ARRAY(BigInteger()), list, label_ids))
    return col(Sample.id).in_(select(Annotation.sample_id).where(is_of_label))


# -- creating labels, with other things too ---------------------------------------------------------------------------


def checked(labels: Sequence[LabelValues], rule: names.LabelNameRule) -> list[LabelValues]:
    """The values in their one form, each name and shortcut once. `rule`: the dataset's, for names."""
    if len(labels) > MAX_LABELS:
        raise Invalid(f"At most {MAX_LABELS} labels are created in one call.", most=MAX_LABELS)
    values = [
        LabelValues(names.label_name(each.name, rule), names.color(each.color), names.shortcut(each.shortcut))
        for each in labels
    ]
    _refuse(
        taken_names=_repeated(each.name for each in values),
        taken_shortcuts=_repeated(each.shortcut for each in values if each.shortcut),
    )
    return values


async def insert(
    session: AsyncSession, dataset_id: int, labels: Sequence[LabelValues], change: RecordedChange
) -> list[int]:
    """Insert labels under a change, which locks the dataset's row, so that what is free now stays free."""
    label_names = [each.name for each in labels]
    shortcuts = [each.shortcut for each in labels]
    rows = await sql.run(session, SQL.taken, dataset_id=dataset_id, names=label_names, shortcuts=shortcuts)
    _refuse(
        taken_names=sorted({row["name"] for row in rows} & set(label_names)),
        taken_shortcuts=sorted({row["shortcut"] for row in rows if row["shortcut"]} & set(filter(None, shortcuts))),
    )
    rows = await sql.run(
        session,
        SQL.insert,
        dataset_id=dataset_id,
        since=change.revision,
        names=label_names,
        colors=[each.color for each in labels],
        shortcuts=shortcuts,
    )
    return [row["id"] for row in rows]


def listed(label_names: Iterable[str]) -> str:
    """Some names for a summary: the first three, and how many more."""
    every = list(label_names)
    more = f" and {len(every) - 3} more" if len(every) > 3 else ""
    return ", ".join(f"`{name}`" for name in every[:3]) + more


def _repeated(texts: Iterable[str]) -> list[str]:
    return sorted(text for text, times in Counter(texts).items() if times > 1)


def _refuse(*, taken_names: Sequence[str] = (), taken_shortcuts: Sequence[str] = ()) -> None:
    if taken_names:
        raise AlreadyExists(
            f"Names are unique in a dataset, and {listed(taken_names)} is taken; choose another.",
            code="LABEL_ALREADY_EXISTS",
            names=list(taken_names),
        )
    if taken_shortcuts:
        raise AlreadyExists(
            f"A shortcut belongs to one label of a dataset, and {listed(taken_shortcuts)} is taken; choose another.",
            code="SHORTCUT_ALREADY_EXISTS",
            shortcuts=list(taken_shortcuts),
        )


# -- finding labels ---------------------------------------------------------------------------------------------------


LabelReference = str | int  # a label's name, or its id


class KnownLabels(dict[str, int]):
    """Ids of labels by their names, names by their ids, and the dataset's rule for names."""

    rule: names.LabelNameRule = "STANDARD"

    def __init__(self) -> None:
        self.by_id: dict[int, str] = {}

    @classmethod
    def of(cls, rows: Iterable[asyncpg.Record]) -> Self:
        """Of rows with `label_names`, `id` and `name`."""
        found = cls()
        for row in rows:
            found.rule = row["label_names"]
            if row["id"] is not None:
                found[row["name"]], found.by_id[row["id"]] = row["id"], row["name"]
        return found


async def lock_labels(session: AsyncSession, dataset_id: int, used: Iterable[LabelReference]) -> KnownLabels:
    """Those that are labels, locked until the commit: nobody renames, merges or deletes them."""
    return KnownLabels.of(await sql.run(session, SQL.lock_used, dataset_id=dataset_id, **split(used)))


def split(references: Iterable[LabelReference]) -> dict[str, list[Any]]:
    """Names that can be stored, and ids, as the statements take them."""
    every = list(references)
    storable = [each for each in every if isinstance(each, str) and names.is_storable(each)]
    return {"names": storable, "ids": [each for each in every if isinstance(each, int)]}


async def rule_of(session: AsyncSession, dataset_id: int) -> names.LabelNameRule:
    """The dataset's rule for label names. While the dataset is locked, nobody makes it stricter."""
    return (await lock_labels(session, dataset_id, ())).rule


async def _lock_dataset_of(
    session: AsyncSession, label_ids: Sequence[int], by: Identity, *, dry_run: bool = False
) -> int:
    """The dataset that these labels belong to: one, which the token may see. It is locked for writing, unless this is a
    dry run."""
    rows = await session.exec(
        select(Label.id, Label.dataset_id)
        .join(Dataset, col(Dataset.id) == col(Label.dataset_id))
        .where(col(Label.id).in_(label_ids), col(Dataset.deleted_at).is_(None))
    )
    datasets = {id: dataset_id for id, dataset_id in rows if by.sees(dataset_id)}
    missing = [id for id in label_ids if id not in datasets]
    if missing:
        raise no_such_ids(missing)
    if len(set(datasets.values())) > 1:
        raise Invalid("The labels of one call must belong to one dataset; these belong to several.")
    dataset_id = datasets[label_ids[0]]
    await lock_dataset(session, dataset_id, by, dry_run=dry_run)
    return dataset_id


async def _lock(
    session: AsyncSession,
    dataset_id: int,
    label_ids: Sequence[int],
    *,
    or_named: str | None = None,
    dry_run: bool = False,
) -> dict[int, Label]:
    """These labels, and the one of this name, locked until the commit: labelling with them waits, none goes away. A
    dry run is in nobody's way."""
    condition = col(Label.id).in_(label_ids)
    found = select(Label).where(
        col(Label.dataset_id) == dataset_id,
        condition if or_named is None else or_(condition, col(Label.name) == or_named),
    )
    found = found.order_by(col(Label.id))
    locked = await session.exec(found if dry_run else found.with_for_update())
    labels = {label.id: label for label in locked}
    if missing := [id for id in label_ids if id not in labels]:
        raise no_such_ids(missing)
    return labels


# -- errors -----------------------------------------------------------------------------------------------------------


def no_such_labels(missing: Sequence[str], *, can_create: bool) -> NotFound:
    listed = ", ".join(f"`{name}`" for name in map(names.excerpt, missing[:5])) + (" …" if len(missing) > 5 else "")
    hint = "create it with `createLabels`, or pass `createMissing: true`" if can_create else "see `Dataset.labels`"
    return NotFound(
        f"The dataset has no label {listed}; {hint}.",
        code="LABEL_NOT_FOUND",
        names=[names.excerpt(name) for name in missing],
    )


def no_such_ids(missing: Sequence[int]) -> NotFound:
    return NotFound(
        "There is no such label; list them with `dataset { labels }`.",
        code="LABEL_NOT_FOUND",
        ids=[f"Label:{id}" for id in missing],
    )
