"""Switching: the working set becomes equal to a version. The differences are applied as one change."""

from dataclasses import dataclass
from typing import Literal

from sqlmodel.ext.asyncio.session import AsyncSession

from db.errors import Conflict
from db.history.changes import lock_dataset, record
from db.history.versions.base import expect_idle, find_version, is_clean, lock_base, remember_base, set_base
from db.history.versions.restore import OBSTACLES, Span, load, restore
from db.identity.tokens import Identity
from db.postgres import sql

OnUnpublished = Literal["REJECT", "DISCARD"]


@dataclass(frozen=True, slots=True)
class Switched:
    """`change` is None where the working set was equal to the version already."""

    dataset_id: int
    change: int | None = None


async def switch(
    session: AsyncSession, version_id: int, *, by: Identity, on_unpublished: OnUnpublished = "REJECT"
) -> Switched:
    """Samples, labels and names of the version; ids stay. Whoever labels at the same time waits, and then goes on."""
    dataset_id = (await find_version(session, version_id, by)).dataset_id
    revision = await lock_dataset(session, dataset_id, by, exclusive=True)
    await expect_idle(session, dataset_id)
    base = await lock_base(session, dataset_id)
    version = await find_version(session, version_id, by)
    was_clean = is_clean(base, revision)
    if on_unpublished == "REJECT" and not was_clean:
        raise Conflict(
            "The working set has changes that are in no version; publish it first, or pass `onUnpublished: DISCARD`.",
            code="UNPUBLISHED_CHANGES",
            revision=revision,
        )
    if base.version_id == version_id and was_clean:
        return Switched(dataset_id)
    span = await load(session, Span(dataset_id, version.revision))
    if span.is_empty:
        await set_base(session, base, version_id, revision)
        return Switched(dataset_id)
    obstacle = await sql.first(session, f"{OBSTACLES} ORDER BY s.path LIMIT 1")
    if obstacle is not None:
        raise Conflict(
            f"Two samples of the version would lie at `{obstacle['path']}` now, since a file was moved there; "
            "move it away, sync, and repeat.",
            path=obstacle["path"],
        )
    summary = f"Switched to version `{version.name}`"
    change = await record(session, dataset_id, by.name, "SET_CURRENT_VERSION", summary)
    await restore(session, span, change)
    await remember_base(session, change.id, base, was_clean=was_clean)
    await set_base(session, base, version_id, change.revision)
    return Switched(dataset_id, change.id)
