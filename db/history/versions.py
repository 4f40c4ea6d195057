"""Versions: published revisions of a working set. See docs/decisions/0001: a version is one row, its samples are the
live and past rows of its revision.

Publishing writes one row for the version and one for each label, however many samples there are. A revision that can be
read is complete: it is committed with all that its change wrote, and with the counts. So one statement that reads
the revision, the counts and the labels sees one state, and nobody need stop working.

Publishing, switching and removing lock the row of the working set's base, so they wait for each other; labelling does
not.
"""

from dataclasses import dataclass
from typing import Final, Literal

from sqlalchemy import delete, update
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from db import jobs
from db.errors import AlreadyExists, Conflict, Invalid, NotFound
from db.formats import names
from db.history import split
from db.history.changes import find_visible, lock_dataset, record
from db.history.restore import find_obstacle, load, restore
from db.history.split import Split
from db.identity.tokens import Identity
from db.postgres import sql
from db.postgres.models import Base, BaseBefore, Dataset, Job, Version, VersionEval

SQL: Final = sql.load(__file__)
OnUnpublished = Literal["ERROR", "DISCARD"]


@dataclass(frozen=True, slots=True)
class Published:
    """`parts`: how many samples are for training, for evaluation and for test; None without a split."""

    dataset_id: int
    version: int
    parts: tuple[int, int, int] | None = None


@dataclass(frozen=True, slots=True)
class Removed:
    dataset_id: int
    version: int


@dataclass(frozen=True, slots=True)
class Switched:
    """`change` is None where the working set was equal to the version already."""

    dataset_id: int
    change: int | None = None


@dataclass(frozen=True, slots=True)
class ManifestRequested:
    job: int


async def publish(
    session: AsyncSession,
    dataset_id: int,
    *,
    by: Identity,
    name: str | None = None,
    description: str = "",
    divided: Split | None = None,
) -> Published:
    """Give the working set, as it is at this instant, a name. It becomes the current version."""
    checked_name = None if name is None else names.version_name(name)
    checked_description = names.description(description)
    if divided is not None:
        divided.check()
    await lock_dataset(session, dataset_id, by)
    await jobs.expect_no_ingest(session, dataset_id)  # which would leave half of something
    base = await lock_base(session, dataset_id)
    kept = None
    if divided is not None and divided.keep_from is not None:
        kept = await find_version(session, divided.keep_from, by)
        if kept.dataset_id != dataset_id:
            raise Invalid("`keepFrom` is a version of another dataset; name one of this dataset.", path="keepFrom")
    version_name = checked_name or await _next_name(session, base)
    row = await sql.first(
        session,
        SQL.publish,
        dataset_id=dataset_id,
        name=version_name,
        description=checked_description,
        parent_id=base.version_id,
        is_split=divided is not None,
        by=by.name,
    )
    if row is None:
        if await sql.value(session, SQL.is_empty, dataset_id=dataset_id):
            raise Invalid("The dataset has no samples; add some before you publish.", code="EMPTY_VERSION")
        raise AlreadyExists(
            f"The dataset already has a version `{version_name}`; choose another name.",
            code="VERSION_ALREADY_EXISTS",
            name=version_name,
        )
    parts = None
    if divided is not None:
        parts = await split.write(session, dataset_id, row["id"], row["revision"], divided, kept=kept)
    await set_base(session, base, row["id"], row["revision"])
    await request_manifest(session, dataset_id, row["id"], requested_by=by.name)
    return Published(dataset_id, row["id"], parts)


async def _next_name(session: AsyncSession, base: Base) -> str:
    """`V001`, `V002` …: a number is never given twice, and names that are taken are skipped."""
    taken = {row["name"] for row in await sql.run(session, SQL.default_names, dataset_id=base.dataset_id)}
    base.named += 1
    while f"V{base.named:03d}" in taken:
        base.named += 1
    return f"V{base.named:03d}"


async def switch(
    session: AsyncSession, version_id: int, *, by: Identity, on_unpublished: OnUnpublished = "ERROR"
) -> Switched:
    """Apply the differences to a version as one change: samples, labels and names of the version; ids stay. Whoever
    labels at the same time waits, and then goes on."""
    dataset_id = (await find_version(session, version_id, by)).dataset_id
    revision = await lock_dataset(session, dataset_id, by, exclusive=True)
    await jobs.expect_no_ingest(session, dataset_id)  # which would leave half of something
    base = await lock_base(session, dataset_id)
    version = await find_version(session, version_id, by)
    was_clean = is_clean(base, revision)
    if on_unpublished == "ERROR" and not was_clean:
        raise Conflict(
            "The working set has changes that are not in any version; publish it first, or pass `onUnpublished: "
            "DISCARD`.",
            code="UNPUBLISHED_CHANGES",
            revision=revision,
        )
    if base.version_id == version_id and was_clean:
        return Switched(dataset_id)
    span = await load(session, dataset_id, version.revision)
    if span.is_empty:
        await set_base(session, base, version_id, revision)
        return Switched(dataset_id)
    obstacle = await find_obstacle(session, span)
    if obstacle is not None:
        raise Conflict(
            f"Two samples of the version would have the path `{obstacle['path']}` now, because a file was moved there; "
            "move that file, sync, and repeat.",
            path=obstacle["path"],
        )
    summary = f"Switched to version `{version.name}`"
    change = await record(session, dataset_id, by.name, "SET_CURRENT_VERSION", summary)
    await restore(session, span, change)
    await remember_base(session, change.id, base, was_clean=was_clean)
    await set_base(session, base, version_id, change.revision)
    return Switched(dataset_id, change.id)


async def remove(session: AsyncSession, version_id: int, *, by: Identity) -> Removed:
    """Remove a version. Its samples, the working set, and files that were written of it stay. The versions that
    followed it keep all they have, and have no parent any more."""
    dataset_id = (await find_version(session, version_id, by)).dataset_id
    await lock_dataset(session, dataset_id, by)
    await lock_base(session, dataset_id)
    await session.exec(update(Version).where(col(Version.parent_id) == version_id).values(parent_id=None))
    await session.exec(update(Base).where(col(Base.version_id) == version_id).values(version_id=None))
    await session.exec(delete(VersionEval).where(col(VersionEval.version_id) == version_id))
    if not (await session.exec(delete(Version).where(col(Version.id) == version_id))).rowcount:
        raise no_such_version()
    return Removed(dataset_id, version_id)


async def write_manifest(session: AsyncSession, version_id: int, *, by: Identity) -> ManifestRequested:
    """Have a version's manifest written, again if need be."""
    version = await find_version(session, version_id, by)
    await lock_dataset(session, version.dataset_id, by)
    job = await request_manifest(session, version.dataset_id, version_id, requested_by=by.name)
    if job is None:
        raise Invalid("The dataset has no output path, so its versions are not written.")
    return ManifestRequested(job)


async def request_manifest(session: AsyncSession, dataset_id: int, version_id: int, *, requested_by: str) -> int | None:
    """The new job, or the one that is active already. None: the dataset has no output path."""
    output_path = await session.exec(select(Dataset.output_path).where(col(Dataset.id) == dataset_id))
    if output_path.one() is None:
        return None
    active = select(Job.id).where(
        col(Job.version_id) == version_id, col(Job.kind) == "MANIFEST", col(Job.status).in_(("QUEUED", "RUNNING"))
    )
    while True:
        job = await jobs.enqueue(session, dataset_id, "MANIFEST", requested_by=requested_by, version_id=version_id)
        if job is None:
            job = (await session.exec(active)).one_or_none()
        if job is not None:  # else the active one has ended since
            return job


# -- the version that a working set is based on, and finding versions --------------------------------------------------


async def lock_base(session: AsyncSession, dataset_id: int) -> Base:
    """The base, locked until the commit: the version, if any, that the working set was equal to at `revision`."""
    [row] = await sql.run(session, SQL.lock_base, dataset_id=dataset_id)
    return Base(**dict(row))


def is_clean(base: Base, revision: int) -> bool:
    """Whether nothing was changed since. Without a version everything is a change."""
    return revision == (base.revision if base.version_id is not None else 0)


async def set_base(session: AsyncSession, base: Base, version_id: int | None, revision: int) -> None:
    values = {"version_id": version_id, "revision": revision, "named": base.named}
    await sql.run(session, SQL.set_base, dataset_id=base.dataset_id, **values)


async def remember_base(session: AsyncSession, change_id: int, base: Base, *, was_clean: bool) -> None:
    """Keep what the working set was based on before a change, for whoever undoes it."""
    values = {"dataset_id": base.dataset_id, "version_id": base.version_id, "was_clean": was_clean}
    await session.exec(insert(BaseBefore).values(change_id=change_id, **values))


async def find_version(session: AsyncSession, version_id: int, by: Identity) -> Version:
    version = await find_visible(session, Version, version_id, by)
    if version is None:
        raise no_such_version()
    return version


def no_such_version() -> NotFound:
    return NotFound("There is no such version; list them with `dataset { versions }`.", code="VERSION_NOT_FOUND")
