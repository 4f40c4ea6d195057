"""Who else uses the object behind a sample. The same place in storage may be a source of several datasets."""

from dataclasses import dataclass
from typing import Any

from sqlmodel.ext.asyncio.session import AsyncSession

from db.labelling.samples.chosen import Chosen
from db.identity.tokens import Identity

# One input path may lie below another, so places are compared: the input path, a slash, the path below it.
NEIGHBOURS = """(
    SELECT there.id, rtrim(here.input_path, '/') || '/' AS ours, rtrim(there.input_path, '/') || '/' AS theirs
    FROM dataset here JOIN dataset there ON there.id <> here.id AND there.deleted_at IS NULL
    WHERE here.id = :dataset_id
)"""
# The sources of other datasets that are the same objects as the chosen samples' own.
PEERS = f"""(
    SELECT sample.id AS sample_id, peer.id, peer.dataset_id
    FROM {NEIGHBOURS} AS neighbour
    CROSS JOIN chosen
    JOIN sample ON sample.id = chosen.id
    JOIN source ON source.id = sample.source_id
    JOIN source peer ON peer.dataset_id = neighbour.id AND peer.status <> 'GONE'
        AND peer.path = substr(neighbour.ours || source.path, length(neighbour.theirs) + 1)
    WHERE (starts_with(neighbour.ours, neighbour.theirs) OR starts_with(neighbour.theirs, neighbour.ours))
      AND starts_with(neighbour.ours || source.path, neighbour.theirs)
      AND (CONDITION)
)"""
IMPACT = f"""
SELECT count(DISTINCT peer.sample_id) AS shared, coalesce(array_agg(DISTINCT peer.dataset_id), '{{}}') AS datasets
FROM {PEERS} AS peer JOIN sample user_of_it ON user_of_it.source_id = peer.id
"""
# Versions, of any dataset, in which a sample shows one of these objects: this sample, or one that showed it before.
VERSIONS = f"""
SELECT v.id, v.dataset_id FROM version v
WHERE v.id IN (
    SELECT w.id FROM (
        SELECT DISTINCT whole.dataset_id, whole.since, whole.until
        FROM (
            SELECT sample.source_id AS id FROM chosen JOIN sample USING (id) WHERE (CONDITION)
            UNION ALL SELECT peer.id FROM {PEERS} AS peer
        ) AS used
        JOIN (
            SELECT source_id, dataset_id, since, 9223372036854775807 AS until FROM sample
            UNION ALL SELECT source_id, dataset_id, since, until FROM sample_past
        ) AS whole ON whole.source_id = used.id
    ) AS shown
    JOIN version w ON w.dataset_id = shown.dataset_id AND w.revision >= shown.since AND w.revision < shown.until)
ORDER BY v.dataset_id = :dataset_id DESC, v.id DESC LIMIT :told
"""
TOLD = 100  # versions that are named: the dataset's own, newest first, then those of other datasets


@dataclass(frozen=True, slots=True)
class Impact:
    """What deleting the sources of some samples does elsewhere. `datasets` and `versions`: those that the asking token
    may see."""

    sample_count: int
    shared_sources: int
    datasets: tuple[int, ...]
    versions: tuple[int, ...] = ()


async def impact(session: AsyncSession, chosen: Chosen, by: Identity, condition: str = "true", **values: Any) -> Impact:
    """Count the sources that live samples of other datasets use too; `condition` speaks of `sample`."""
    count = await chosen.tally(session, condition, **values)
    sql = IMPACT.replace("CONDITION", condition)
    [row] = await chosen.run(session, sql, dataset_id=chosen.dataset_id, **values)
    published = await chosen.run(
        session,
        VERSIONS.replace("CONDITION", condition),
        dataset_id=chosen.dataset_id,
        told=TOLD,
        **values,
    )
    return Impact(
        count,
        row["shared"],
        tuple(id for id in sorted(row["datasets"]) if by.sees(id)),
        tuple(row["id"] for row in published if by.sees(row["dataset_id"])),
    )


async def warnings(
    session: AsyncSession, chosen: Chosen, by: Identity, condition: str = "true", **values: Any
) -> tuple[Impact, ...]:
    """What the caller should know of, if there is anything."""
    found = await impact(session, chosen, by, condition, **values)
    return (found,) if found.shared_sources or found.versions else ()
