"""What comes of models' suggestions when people label: of those that are not annotations of their model any more, a
verdict is kept.

A suggestion that is confirmed as it is stays an annotation of its model. Where nobody has suggested anything, labelling
asks once (`suggestion_flags`) and does nothing else here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from sqlmodel.ext.asyncio.session import AsyncSession

from db.history.changes import RecordedChange
from db.labelling.samples.selection import LockedSamples
from db.postgres import sql

SQL: Final = sql.load(__file__)
Outcome = Literal["ACCEPTED", "REJECTED", "CORRECTED"]


@dataclass(frozen=True, slots=True)
class SuggestionFlags:
    """`has_pending`: there are suggestions of the labels that are asked about. `has_models`: the dataset has models, so
    that verdicts are to be kept."""

    has_pending: bool
    has_models: bool


async def suggestion_flags(session: AsyncSession, dataset_id: int, labels: Sequence[int]) -> SuggestionFlags:
    """Under a change, whose lock of the dataset keeps others from suggesting anything."""
    row = await sql.first(session, SQL.flags, dataset_id=dataset_id, labels=labels)
    assert row is not None
    return SuggestionFlags(row["has_pending"], row["has_models"])


async def add(
    session: AsyncSession,
    samples: LockedSamples,
    outcome: Outcome,
    change: RecordedChange,
    condition: str,
    **values: Any,
) -> None:
    """Store verdicts on the models' annotations `a` that meet a condition, before these are deleted or changed."""
    values |= {"dataset_id": samples.dataset_id, "outcome": outcome, "since": change.revision}
    await samples.run(session, SQL.add.format(condition=condition), **values)


async def add_for(
    session: AsyncSession,
    annotations: Sequence[int],
    outcome: Outcome,
    change: RecordedChange,
    *,
    only_confirmed: bool = False,
) -> None:
    """As `add`, for the annotations with these ids."""
    if annotations:
        values = {"ids": annotations, "outcome": outcome, "since": change.revision}
        await sql.run(session, SQL.add_for, only_confirmed=only_confirmed, **values)


async def accept_agreeing(session: AsyncSession, samples: LockedSamples, change: RecordedChange) -> None:
    """After people labelled: replace suggestions that agree with a confirmed annotation by verdicts ACCEPTED."""
    await samples.run(session, SQL.add_agreeing, dataset_id=samples.dataset_id, since=change.revision)
    await samples.run(session, SQL.delete_agreeing, since=change.revision)


async def take_back(session: AsyncSession, samples: LockedSamples, outcome: Outcome, change: RecordedChange) -> None:
    """After people removed labels: verdicts ACCEPTED without a confirmed annotation that agrees get this outcome."""
    await samples.run(session, SQL.take_back, outcome=outcome, since=change.revision)


async def relabel(session: AsyncSession, before: int, after: int, change: RecordedChange) -> None:
    """When a label is merged into another: its verdicts become the other's."""
    await sql.run(session, SQL.relabel, before=before, after=after, since=change.revision)
