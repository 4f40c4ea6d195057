"""Annotations, and the columns of samples that follow from them."""

from collections.abc import Sequence
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


async def remove_labels(session: AsyncSession, samples: LockedSamples, labels: list[int]) -> None:
    """Remove labels, with every shape they have."""
    await samples.run(session, SQL.remove_labels, labels=labels)


async def remove_other_labels(session: AsyncSession, samples: LockedSamples, labels: list[int]) -> None:
    """Remove every label but these, which stay as they are."""
    await samples.run(session, SQL.remove_other_labels, labels=labels)


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


async def insert(
    session: AsyncSession,
    change: RecordedChange,
    *,
    actor: str,
    samples: Sequence[int],
    labels: Sequence[int],
    shapes: Sequence[str | None],
) -> None:
    """Insert annotations, in this order. A shape is JSON text, None the whole image."""
    values = {"samples": samples, "labels": labels, "shapes": shapes, "actor": actor}
    await sql.run(session, SQL.insert, since=change.revision, **values)


async def update(
    session: AsyncSession,
    change: RecordedChange,
    *,
    actor: str,
    ids: Sequence[int],
    labels: Sequence[int],
    shapes: Sequence[str | None],
) -> None:
    """Set labels and shapes of annotations. They are confirmed by it, and one that changes loses its confidence."""
    values = {"ids": ids, "labels": labels, "shapes": shapes, "since": change.revision}
    if None in shapes:
        await sql.run(session, SQL.hide_changed, **values)
    await sql.run(session, SQL.update, actor=actor, **values)


async def delete(session: AsyncSession, ids: Sequence[int]) -> None:
    await sql.run(session, SQL.delete, ids=ids)


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
