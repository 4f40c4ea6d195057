"""Publishing: one row for the version, one for each label, however many samples there are.

A revision that can be read is complete: each change takes the dataset's row from its first write to its commit. So one
statement that reads the revision, the counts and the labels sees one state, and needs to keep nobody from working.
"""

import asyncpg
from sqlmodel.ext.asyncio.session import AsyncSession

from db.errors import AlreadyExists, Invalid
from db.formats import names
from db.history.changes import lock_dataset
from db.history.versions import base, manifests, split
from db.history.versions.base import Base
from db.history.versions.outcomes import ManifestRequested, Published
from db.history.versions.split import Split
from db.identity.tokens import Identity
from db.postgres import sql

DEFAULTS = "SELECT name FROM version WHERE dataset_id = :dataset_id AND name ~ '^V[0-9]+$'"
COUNTED = "UPDATE base SET named = :named WHERE dataset_id = :dataset_id"

# The name may be taken: then nothing is made. Labels and counts are those of the statement's one snapshot.
PUBLISH = """
WITH made AS (
    INSERT INTO version
        (dataset_id, name, description, revision, parent_id, status, is_split, created_by, total, labeled, pending)
    SELECT id, :name, :description, revision, :parent_id, 'NORMAL', :is_split, :by, total, labeled, pending
    FROM dataset WHERE id = :dataset_id AND total > 0
    ON CONFLICT (dataset_id, name) DO NOTHING
    RETURNING id, dataset_id, revision
), kept AS (
    INSERT INTO version_label
        (version_id, label_id, dataset_id, name, color, shortcut, sample_count, annotation_count)
    SELECT made.id, label.id, label.dataset_id, label.name, label.color, label.shortcut, c.sample_count,
           c.annotation_count
    FROM made JOIN label ON label.dataset_id = made.dataset_id JOIN label_count c ON c.label_id = label.id
)
SELECT id, revision FROM made
"""
IS_EMPTY = "SELECT total = 0 AS yes FROM dataset WHERE id = :dataset_id"


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
    wanted = None if name is None else names.version_name(name)
    described = names.description(description)
    if divided is not None:
        divided.check()
    await lock_dataset(session, dataset_id, by)
    await base.expect_idle(session, dataset_id)
    before = await base.take(session, dataset_id)
    chosen = wanted or await _next_name(session, dataset_id, before)
    row = await sql.first(
        session,
        PUBLISH,
        dataset_id=dataset_id,
        name=chosen,
        description=described,
        parent_id=before.version_id,
        is_split=divided is not None,
        by=by.name,
    )
    if row is None:
        raise await _refusal(session, dataset_id, chosen)
    if divided is not None:
        await split.write(session, dataset_id, row["id"], row["revision"], divided)
    await base.put(session, dataset_id, row["id"], row["revision"])
    await manifests.request(session, dataset_id, row["id"], requested_by=by.name)
    return Published(dataset_id, row["id"])


async def write_manifest(session: AsyncSession, version_id: int, *, by: Identity) -> ManifestRequested:
    """Have a version's manifest written, again if need be."""
    version = await base.find(session, version_id, by)
    await lock_dataset(session, version["dataset_id"], by)
    job = await manifests.request(session, version["dataset_id"], version_id, requested_by=by.name)
    if job is None:
        raise Invalid("The dataset has no output path, so nothing is written of its versions.")
    return ManifestRequested(job)


async def _next_name(session: AsyncSession, dataset_id: int, before: Base) -> str:
    """`V001`, `V002` …: a number is never given twice, and names that are taken are skipped."""
    taken = {row["name"] for row in await sql.run(session, DEFAULTS, dataset_id=dataset_id)}
    number = before.named + 1
    while f"V{number:03d}" in taken:
        number += 1
    await sql.run(session, COUNTED, dataset_id=dataset_id, named=number)
    return f"V{number:03d}"


async def _refusal(session: AsyncSession, dataset_id: int, name: str) -> Exception:
    row: asyncpg.Record | None = await sql.first(session, IS_EMPTY, dataset_id=dataset_id)
    if row is not None and row["yes"]:
        return Invalid("The dataset has no samples; add some before you publish.", code="EMPTY_VERSION")
    return AlreadyExists(
        f"The dataset has a version `{name}` already; choose another name.", code="VERSION_ALREADY_EXISTS", name=name
    )
