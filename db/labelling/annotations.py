"""Annotations, and the columns of samples that follow from them."""

from typing import Final

from sqlmodel.ext.asyncio.session import AsyncSession

from db.history import derived_state
from db.history.changes import RecordedChange
from db.labelling.samples.selection import LockedSamples
from db.postgres import sql

SQL: Final = sql.load(__file__)


async def add_labels(
    session: AsyncSession, samples: LockedSamples, labels: list[int], change: RecordedChange, *, actor: str
) -> None:
    """Add labels to samples that lack them. A machine's suggestion of one is confirmed, its shape kept."""
    await samples.run(session, SQL.confirm, labels=labels, actor=actor, since=change.revision)
    values = {"dataset_id": samples.dataset_id, "labels": labels, "actor": actor, "since": change.revision}
    await samples.run(session, SQL.add_labels, **values)


async def remove_labels(
    session: AsyncSession, samples: LockedSamples, labels: list[int], *, all_others: bool = False
) -> None:
    """Remove labels, or all others, with every shape they have."""
    await samples.run(session, SQL.remove_other_labels if all_others else SQL.remove_labels, labels=labels)


async def replace_label(
    session: AsyncSession,
    samples: LockedSamples,
    before: int,
    after: int,
    change: RecordedChange,
    *,
    actor: str | None = None,
) -> None:
    """Replace one label by another; shapes stay. Without an actor the labels were merged, and who put them stays."""
    await samples.run(session, SQL.remove_duplicates, before=before, after=after)
    await samples.run(session, SQL.replace_label, before=before, after=after, since=change.revision, actor=actor)


async def refresh_derived_state(
    session: AsyncSession,
    samples: LockedSamples,
    change: RecordedChange,
    *,
    actor: str | None = None,
    origin: str = "MANUAL",
    latest: bool = False,
) -> None:
    """Derive the columns of samples that follow from their annotations. Without an actor nobody has labelled: the
    samples keep who did, or, with `latest`, take that of their latest confirmed annotation."""
    values = {"actor": actor, "origin": origin, "latest": latest, "since": change.revision}
    await samples.run(session, derived_state.REFRESH, **values)
