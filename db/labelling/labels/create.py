"""Creating labels."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from sqlmodel.ext.asyncio.session import AsyncSession

from db.errors import AlreadyExists, Invalid
from db.formats import names
from db.history.changes import RecordedChange, lock_dataset, record
from db.identity.tokens import Identity
from db.labelling.labels.find import rule_of
from db.postgres import sql

SQL: Final = sql.load(__file__)
MAX_LABELS: Final = 1_000  # in one call


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


async def create(session: AsyncSession, dataset_id: int, labels: Sequence[LabelValues], *, by: Identity) -> Created:
    """Create labels, in their order; all of them, or none."""
    if not labels:
        raise Invalid("No labels are given; name at least one.", code="EMPTY_SELECTION")
    await lock_dataset(session, dataset_id, by)
    values = checked(labels, await rule_of(session, dataset_id))
    change = await record(session, dataset_id, by.name, "CREATE_LABELS", f"Created {listed(v.name for v in values)}")
    return Created(dataset_id, tuple(await insert(session, dataset_id, values, change)), change.id)


def checked(labels: Sequence[LabelValues], rule: names.LabelNameRule) -> list[LabelValues]:
    """The values in their one form, each name and shortcut once. `rule`: the dataset's, for names."""
    if len(labels) > MAX_LABELS:
        raise Invalid(f"At most {MAX_LABELS} labels are made in one call.", most=MAX_LABELS)
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


def _refuse(*, taken_names: Sequence[str], taken_shortcuts: Sequence[str]) -> None:
    if taken_names:
        raise name_taken(taken_names)
    if taken_shortcuts:
        raise shortcut_taken(taken_shortcuts)


def name_taken(taken: Sequence[str]) -> AlreadyExists:
    return AlreadyExists(
        f"Names are unique in a dataset, and {listed(taken)} is taken; choose another.",
        code="LABEL_ALREADY_EXISTS",
        names=list(taken),
    )


def shortcut_taken(shortcuts: Sequence[str]) -> AlreadyExists:
    return AlreadyExists(
        f"A shortcut belongs to one label of a dataset, and {listed(shortcuts)} is taken; choose another.",
        code="SHORTCUT_ALREADY_EXISTS",
        shortcuts=list(shortcuts),
    )
