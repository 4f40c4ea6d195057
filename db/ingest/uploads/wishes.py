"""The labels that uploads are to have: names, which must be labels, or be made."""

from collections.abc import Iterable, Sequence
from typing import Final

from sqlmodel.ext.asyncio.session import AsyncSession

from db.errors import AlreadyExists, Invalid
from db.formats import names
from db.history.access import Overtaken
from db.history.changes import Recorded
from db.labelling import labels
from db.labelling.labels import KnownLabels, LabelValues
from db.postgres.engine import Database

MOST: Final = 100  # labels of a file

KNOWN = """
    SELECT dataset.label_names, label.id, label.name
    FROM dataset LEFT JOIN label ON label.dataset_id = dataset.id AND label.name = ANY($2::text[]) WHERE dataset.id = $1
"""


def unique(given: Iterable[str]) -> list[str]:
    """Names in their one form, each once."""
    return list(dict.fromkeys(names.nfc(name) for name in given))


def few(given: Sequence[str]) -> list[str]:
    """As `unique`, of a single file. A call has a thousand files, so what each costs is bounded."""
    if len(given) > MOST:
        raise Invalid(f"At most {MOST} labels are put on a file.", most=MOST)
    return unique(given)


def missing(wanted: Iterable[str], known: KnownLabels, *, create: bool) -> list[str]:
    """Those that are to be made. Raises LABEL_NOT_FOUND unless they may be, INVALID_NAME where they cannot be."""
    absent = [name for name in wanted if name not in known]
    if absent and not create:
        raise labels.no_such_labels(absent)
    return [each.name for each in labels.checked([LabelValues(name) for name in absent], known.rule)]


async def known(database: Database, dataset_id: int, wanted: Iterable[str]) -> KnownLabels:
    """A look without a lock, before anything is written; under one it is looked again."""
    storable = [name for name in wanted if names.storable(name)]
    async with database.reading() as connection:
        return KnownLabels.of(await connection.fetch(KNOWN, dataset_id, storable))


async def make(session: AsyncSession, dataset_id: int, absent: Sequence[str], change: Recorded) -> dict[str, int]:
    """Raises Overtaken when somebody else has just made one of them."""
    if not absent:
        return {}
    try:
        made = await labels.add(session, dataset_id, [LabelValues(name) for name in absent], change)
    except AlreadyExists as found:
        raise Overtaken from found
    return dict(zip(absent, made, strict=True))
