"""The version that a working set is based on, and finding versions. Publishing and switching lock the base's row, so
they wait for each other; labelling does not."""

from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from db import jobs
from db.errors import NotFound
from db.history.changes import find_visible
from db.identity.tokens import Identity
from db.postgres.models import Base, BaseBefore, Version


async def lock_base(session: AsyncSession, dataset_id: int) -> Base:
    """The base, locked until the commit: the version, if any, that the working set was equal to at `revision`."""
    await session.exec(insert(Base).values(dataset_id=dataset_id).on_conflict_do_nothing())
    return (await session.exec(select(Base).where(col(Base.dataset_id) == dataset_id).with_for_update())).one()


def is_clean(base: Base, revision: int) -> bool:
    """Whether nothing was changed since. Without a version everything is a change."""
    return revision == (base.revision if base.version_id is not None else 0)


async def set_base(session: AsyncSession, base: Base, version_id: int | None, revision: int) -> None:
    base.version_id, base.revision = version_id, revision
    await session.flush()


async def remember_base(session: AsyncSession, change_id: int, base: Base, *, was_clean: bool) -> None:
    """Keep what the working set was based on before a change, for whoever undoes it."""
    values = {"dataset_id": base.dataset_id, "version_id": base.version_id, "was_clean": was_clean}
    await session.exec(insert(BaseBefore).values(change_id=change_id, **values))


async def find_version(session: AsyncSession, version_id: int, by: Identity) -> Version:
    version = await find_visible(session, Version, version_id, by)
    if version is None:
        raise no_such_version()
    return version


async def expect_idle(session: AsyncSession, dataset_id: int) -> None:
    """Refuse while a job fills the working set: what it would be now is half of something."""
    await jobs.expect_no_ingest(session, dataset_id)


def no_such_version() -> NotFound:
    return NotFound("There is no such version; list them with `dataset { versions }`.", code="VERSION_NOT_FOUND")
