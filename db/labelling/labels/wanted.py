"""Labels that a write names: found among the dataset's, or made with the write."""

from collections.abc import Iterable, Sequence

from sqlmodel.ext.asyncio.session import AsyncSession

from db.errors import AlreadyExists
from db.formats.names import nfc
from db.history.access import Overtaken
from db.history.changes import Recorded
from db.labelling.labels.create import LabelValues, add, checked
from db.labelling.labels.find import KnownLabels, no_such_labels


def distinct(names: Iterable[str]) -> list[str]:
    """The names in their one form, each once."""
    return list(dict.fromkeys(nfc(name) for name in names))


def missing(wanted: Sequence[str], known: KnownLabels, create_missing: bool) -> list[str]:
    """Those to be made. Raises LABEL_NOT_FOUND, naming them, where they are not to be."""
    lacking = [name for name in wanted if name not in known]
    if not lacking:
        return []
    if not create_missing:
        raise no_such_labels(lacking)
    return [each.name for each in checked([LabelValues(name) for name in lacking], known.rule)]


async def make(session: AsyncSession, dataset_id: int, names: Sequence[str], change: Recorded) -> list[int]:
    """Make labels that were missing. Whoever finds that somebody was quicker begins again."""
    try:
        return await add(session, dataset_id, [LabelValues(name) for name in names], change) if names else []
    except AlreadyExists as found:
        raise Overtaken from found
