"""Making labels."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlmodel.ext.asyncio.session import AsyncSession

from db.errors import AlreadyExists, Invalid
from db.formats import names
from db.history.changes import RecordedChange, lock_dataset, record
from db.identity.tokens import Identity
from db.labelling.labels.find import rule_of
from db.labelling.labels.outcomes import Created
from db.postgres import sql

MOST = 1_000  # labels that one call makes

TAKEN = (
    "SELECT name, shortcut FROM label WHERE dataset_id = :dataset_id AND (name = ANY(:names) OR shortcut = ANY(:keys))"
)

ADD = """
    INSERT INTO label (dataset_id, name, color, shortcut, since)
    SELECT :dataset_id, name, color, shortcut, :since
    FROM unnest(:names::text[], :colors::text[], :keys::text[]) WITH ORDINALITY AS given (name, color, shortcut, place)
    ORDER BY place
    RETURNING id
"""


@dataclass(frozen=True, slots=True)
class LabelValues:
    """A label to be made, as the client wrote it."""

    name: str
    color: str | None = None
    shortcut: str | None = None


async def create(session: AsyncSession, dataset_id: int, labels: Sequence[LabelValues], *, by: Identity) -> Created:
    """Make labels, in their order; all of them, or none."""
    if not labels:
        raise Invalid("No labels are given; name at least one.", code="EMPTY_SELECTION")
    await lock_dataset(session, dataset_id, by)
    values = checked(labels, await rule_of(session, dataset_id))
    change = await record(session, dataset_id, by.name, "CREATE_LABELS", f"Created {listed(v.name for v in values)}")
    return Created(dataset_id, tuple(await add(session, dataset_id, values, change)), change.id)


def checked(labels: Sequence[LabelValues], rule: names.LabelNameRule) -> list[LabelValues]:
    """The values in their one form, each name and shortcut once. `rule`: the dataset's, for names."""
    if len(labels) > MOST:
        raise Invalid(f"At most {MOST} labels are made in one call.", most=MOST)
    values = [
        LabelValues(names.label_name(each.name, rule), names.color(each.color), names.shortcut(each.shortcut))
        for each in labels
    ]
    _refuse(doubled=_doubles(v.name for v in values), keys=_doubles(v.shortcut for v in values if v.shortcut))
    return values


async def add(
    session: AsyncSession, dataset_id: int, labels: Sequence[LabelValues], change: RecordedChange
) -> list[int]:
    """Write the rows under a change that holds the dataset's row, so that what is free now stays free."""
    given = [v.name for v in labels]
    keys = [v.shortcut for v in labels]
    rows = await sql.run(session, TAKEN, dataset_id=dataset_id, names=given, keys=keys)
    _refuse(
        doubled=sorted({row["name"] for row in rows} & set(given)),
        keys=sorted({row["shortcut"] for row in rows if row["shortcut"]} & set(filter(None, keys))),
    )
    colors = [v.color for v in labels]
    values = {"dataset_id": dataset_id, "since": change.revision, "names": given, "colors": colors, "keys": keys}
    return [row["id"] for row in await sql.run(session, ADD, **values)]


def listed(given: Iterable[str]) -> str:
    """Some names for a summary: the first three, and how many more."""
    every = list(given)
    more = f" and {len(every) - 3} more" if len(every) > 3 else ""
    return ", ".join(f"`{name}`" for name in every[:3]) + more


def _doubles(texts: Iterable[str]) -> list[str]:
    return sorted(text for text, times in Counter(texts).items() if times > 1)


def _refuse(*, doubled: Sequence[str], keys: Sequence[str]) -> None:
    if doubled:
        raise name_taken(doubled)
    if keys:
        raise shortcut_taken(keys)


def name_taken(taken: Sequence[str]) -> AlreadyExists:
    return AlreadyExists(
        f"Names are unique in a dataset, and {listed(taken)} is taken; choose another.",
        code="LABEL_ALREADY_EXISTS",
        names=list(taken),
    )


def shortcut_taken(keys: Sequence[str]) -> AlreadyExists:
    return AlreadyExists(
        f"A shortcut belongs to one label of a dataset, and {listed(keys)} is taken; choose another.",
        code="SHORTCUT_ALREADY_EXISTS",
        shortcuts=list(keys),
    )
