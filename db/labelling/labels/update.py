"""Updating a label's colour and shortcut."""

from dataclasses import dataclass
from typing import Final

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from db.formats import names
from db.history.changes import lock_dataset, record
from db.identity.tokens import Identity
from db.labelling.labels.create import shortcut_taken
from db.labelling.labels.find import dataset_of, no_such_ids
from db.postgres.models import Label


class Unchanged:
    """Stands for a value that stays; None removes it."""


UNCHANGED: Final = Unchanged()


@dataclass(frozen=True, slots=True)
class Updated:
    dataset_id: int
    label: int
    change: int | None = None


async def update(
    session: AsyncSession,
    label_id: int,
    *,
    by: Identity,
    color: str | None | Unchanged = UNCHANGED,
    shortcut: str | None | Unchanged = UNCHANGED,
) -> Updated:
    """Set what is given. What is already so is no change."""
    new_color = color if isinstance(color, Unchanged) else names.color(color)
    new_shortcut = shortcut if isinstance(shortcut, Unchanged) else names.shortcut(shortcut)
    dataset_id = await dataset_of(session, [label_id], by)
    await lock_dataset(session, dataset_id, by)
    # A shortcut is a key to Postgres, so this waits for those who label with it, as renaming does.
    label = (await session.exec(select(Label).where(col(Label.id) == label_id).with_for_update())).one_or_none()
    if label is None:
        raise no_such_ids([label_id])
    before = (label.color, label.shortcut)
    if not isinstance(new_color, Unchanged):
        label.color = new_color
    if not isinstance(new_shortcut, Unchanged):
        label.shortcut = new_shortcut
    if (label.color, label.shortcut) == before:
        return Updated(dataset_id, label_id)
    change = await record(session, dataset_id, by.name, "UPDATE_LABEL", f"Changed the look of `{label.name}`")
    taken = select(Label.id).where(
        col(Label.dataset_id) == dataset_id, col(Label.shortcut) == label.shortcut, col(Label.id) != label_id
    )
    if label.shortcut is not None and (await session.exec(taken)).first() is not None:
        raise shortcut_taken([label.shortcut])
    label.since = change.revision
    await session.flush()
    return Updated(dataset_id, label_id, change.id)
