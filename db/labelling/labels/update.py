"""A label's colour and shortcut."""

from typing import Final

from sqlmodel.ext.asyncio.session import AsyncSession

from db.formats import names
from db.history.changes import lock_dataset, record
from db.identity.tokens import Identity
from db.labelling.labels.create import shortcut_taken
from db.labelling.labels.find import no_such_ids, owner
from db.labelling.labels.outcomes import Updated
from db.postgres import sql


class Kept:
    """Stands for a value that the caller does not touch; None takes it away."""


KEPT: Final = Kept()

# A shortcut is a key to Postgres, so this waits for those who label with it, as renaming does.
LOCK = "SELECT name, color, shortcut FROM label WHERE id = :id FOR UPDATE"
SET = "UPDATE label SET color = :color, shortcut = :shortcut, since = :since WHERE id = :id"
TAKEN = "SELECT true FROM label WHERE dataset_id = :dataset_id AND shortcut = :shortcut AND id <> :id"


async def update(
    session: AsyncSession,
    label_id: int,
    *,
    by: Identity,
    color: str | None | Kept = KEPT,
    shortcut: str | None | Kept = KEPT,
) -> Updated:
    """Change what is given. What is already so is no change."""
    wanted_color = color if isinstance(color, Kept) else names.color(color)
    wanted_shortcut = shortcut if isinstance(shortcut, Kept) else names.shortcut(shortcut)
    dataset_id = await owner(session, [label_id], by)
    await lock_dataset(session, dataset_id, by)
    label = await sql.first(session, LOCK, id=label_id)
    if label is None:
        raise no_such_ids([label_id])
    was = (label["color"], label["shortcut"])
    becomes = (
        was[0] if isinstance(wanted_color, Kept) else wanted_color,
        was[1] if isinstance(wanted_shortcut, Kept) else wanted_shortcut,
    )
    if becomes == was:
        return Updated(dataset_id, label_id)
    change = await record(session, dataset_id, by.name, "UPDATE_LABEL", f"Changed the look of `{label['name']}`")
    if await sql.first(session, TAKEN, dataset_id=dataset_id, id=label_id, shortcut=becomes[1]):
        raise shortcut_taken([str(becomes[1])])
    values = {"id": label_id, "color": becomes[0], "shortcut": becomes[1]}
    await sql.run(session, SET, since=change.revision, **values)
    return Updated(dataset_id, label_id, change.id)
