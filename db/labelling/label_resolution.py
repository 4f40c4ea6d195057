"""Labels that a write names: found among the dataset's, or made with the write."""

from collections.abc import Iterable, Sequence
from typing import Final, TypeVar

from sqlmodel.ext.asyncio.session import AsyncSession

from db.errors import AlreadyExists, Invalid
from db.formats.names import nfc
from db.history.changes import RecordedChange, RetryTransaction
from db.labelling.labels import (
    KnownLabels,
    LabelReference,
    LabelValues,
    checked,
    insert,
    no_such_ids,
    no_such_labels,
    split,
)
from db.postgres import sql
from db.postgres.engine import Database

SQL: Final = sql.load(__file__)
MAX_FILE_LABELS: Final = 100
T = TypeVar("T", str, LabelReference)


def in_one_form(label: T) -> T:
    return nfc(label) if isinstance(label, str) else label  # type: ignore[redundant-expr]


def distinct(labels: Iterable[T]) -> list[T]:
    """Names in their one form, and ids, each once."""
    return list(dict.fromkeys(map(in_one_form, dict.fromkeys(labels))))  # few, where there are many boxes


def named(labels: Iterable[LabelReference], known: KnownLabels) -> list[str]:
    """The names, and those of the ids, each once. Raises LABEL_NOT_FOUND for an id of none of the dataset's labels."""
    references = list(labels)
    unknown = [each for each in references if isinstance(each, int) and each not in known.by_id]
    if unknown:
        raise no_such_ids(unknown)
    return list(dict.fromkeys(known.by_id[each] if isinstance(each, int) else each for each in references))


def of_file(names: Sequence[T]) -> list[T]:
    """The distinct names of one uploaded file. A call has a thousand files, so the work for each is bounded."""
    if len(names) > MAX_FILE_LABELS:
        raise Invalid(f"At most {MAX_FILE_LABELS} labels can be given for a file.", most=MAX_FILE_LABELS)
    return distinct(names)


def missing(names: Iterable[str], known: KnownLabels, *, create: bool | None) -> list[str]:
    """The names without a label. Raises LABEL_NOT_FOUND unless they may be made, INVALID_NAME where they cannot be.
    `create`: what the client said of that; None where it cannot say so."""
    absent = [name for name in names if name not in known]
    if absent and not create:
        raise no_such_labels(absent, can_create=create is not None)
    return [each.name for each in checked([LabelValues(name) for name in absent], known.rule)]


def names_for(labels: Iterable[LabelReference], known: KnownLabels, *, create: bool | None = None) -> list[str]:
    """The names of labels, each once. Raises LABEL_NOT_FOUND for those that are neither known nor to be made."""
    names = named(labels, known)
    missing(names, known, create=create)
    return names


async def known_without_lock(database: Database, dataset_id: int, labels: Iterable[LabelReference]) -> KnownLabels:
    """These labels, read before anything is written. The write reads them again under a lock."""
    async with database.reading() as connection:
        return KnownLabels.of(await sql.run(connection, SQL.known, dataset_id=dataset_id, **split(labels)))


async def make(session: AsyncSession, dataset_id: int, names: Sequence[str], change: RecordedChange) -> dict[str, int]:
    """Make labels that were missing; their ids by name. Raises RetryTransaction if another has just made one."""
    if not names:
        return {}
    try:
        made = await insert(session, dataset_id, [LabelValues(name) for name in names], change)
    except AlreadyExists as found:
        raise RetryTransaction from found
    return dict(zip(names, made, strict=True))
