"""Other datasets and versions that use the objects of some samples. Several datasets may share an object."""

from dataclasses import dataclass
from typing import Any

from sqlmodel.ext.asyncio.session import AsyncSession

from db.identity.tokens import Identity
from db.labelling.samples.selection import LockedSamples
from db.queries.shared_sources import IMPACT, MAX_VERSIONS, VERSIONS


@dataclass(frozen=True, slots=True)
class Impact:
    """What deleting the sources of some samples does elsewhere. `datasets` and `versions`: those that the token may
    see."""

    sample_count: int
    shared_sources: int
    datasets: tuple[int, ...]
    versions: tuple[int, ...] = ()


async def impacts(
    session: AsyncSession, samples: LockedSamples, by: Identity, condition: str = "true", **values: Any
) -> tuple[Impact, ...]:
    """The impact of deleting the sources of the samples that meet a condition on `sample`, if there is any."""
    count = await samples.count_where(session, condition, **values)
    values["dataset_id"] = samples.dataset_id
    [row] = await samples.run(session, IMPACT.replace("CONDITION", condition), **values)
    versions = await samples.run(session, VERSIONS.replace("CONDITION", condition), max_versions=MAX_VERSIONS, **values)
    impact = Impact(
        count,
        row["shared"],
        tuple(id for id in sorted(row["datasets"]) if by.sees(id)),
        tuple(row["id"] for row in versions if by.sees(row["dataset_id"])),
    )
    return (impact,) if impact.shared_sources or impact.versions else ()
