"""Who else uses the object behind a sample. The same place in storage may be a source of several datasets."""

from dataclasses import dataclass
from typing import Any

from sqlmodel.ext.asyncio.session import AsyncSession

from db.identity.tokens import Identity
from db.labelling.samples.selection import LockedSamples
from db.queries.shared_sources import IMPACT, MAX_VERSIONS, VERSIONS


@dataclass(frozen=True, slots=True)
class Impact:
    """What deleting the sources of some samples does elsewhere. `datasets` and `versions`: those that the asking token
    may see."""

    sample_count: int
    shared_sources: int
    datasets: tuple[int, ...]
    versions: tuple[int, ...] = ()


async def impact(
    session: AsyncSession, selected: LockedSamples, by: Identity, condition: str = "true", **values: Any
) -> Impact:
    """Count the sources that live samples of other datasets use too; `condition` speaks of `sample`."""
    count = await selected.count_where(session, condition, **values)
    statement = IMPACT.replace("CONDITION", condition)
    [row] = await selected.run(session, statement, dataset_id=selected.dataset_id, **values)
    published = await selected.run(
        session,
        VERSIONS.replace("CONDITION", condition),
        dataset_id=selected.dataset_id,
        max_versions=MAX_VERSIONS,
        **values,
    )
    return Impact(
        count,
        row["shared"],
        tuple(id for id in sorted(row["datasets"]) if by.sees(id)),
        tuple(row["id"] for row in published if by.sees(row["dataset_id"])),
    )


async def warnings(
    session: AsyncSession, selected: LockedSamples, by: Identity, condition: str = "true", **values: Any
) -> tuple[Impact, ...]:
    """What the caller should know of, if there is anything."""
    found = await impact(session, selected, by, condition, **values)
    return (found,) if found.shared_sources or found.versions else ()
