"""Annotations, and the columns of samples that follow from them."""

from collections.abc import Mapping
from typing import Any, Final

from sqlmodel.ext.asyncio.session import AsyncSession

from db.history import derived_state
from db.history.changes import RecordedChange
from db.labelling import verdicts
from db.labelling.samples.selection import LockedSamples
from db.labelling.verdicts import Outcome, SuggestionFlags
from db.postgres import sql

SQL: Final = sql.load(__file__)
OF_LABELS: Final = "a.label_id + 0 = ANY(:labels::bigint[])"
OTHER_LABELS: Final = "a.label_id <> ALL(:labels::bigint[])"

# Of a whole image, what goes where a sample has both labels, before one is replaced by the other. A model's suggestion
# of what is confirmed stays, for `verdicts.accept_agreeing`.
DUPLICATE: Final = """a.shape IS NULL AND (
    a.label_id + 0 = :before AND EXISTS (
        SELECT FROM annotation other WHERE other.sample_id = a.sample_id AND other.label_id + 0 = :after
        AND CASE WHEN other.confirmed THEN a.confirmed OR a.model_id IS NULL
                 ELSE NOT a.confirmed AND a.model_id IS NOT DISTINCT FROM other.model_id END)
    OR a.label_id + 0 = :after AND NOT a.confirmed AND a.model_id IS NULL AND EXISTS (
        SELECT FROM annotation other
        WHERE other.sample_id = a.sample_id AND other.label_id + 0 = :before AND other.confirmed
        AND other.shape IS NULL))"""
REPLACED_SUGGESTION: Final = """a.shape IS NULL AND a.label_id + 0 = :before AND NOT a.confirmed
    AND a.model_id IS NOT NULL"""


async def add_labels(
    session: AsyncSession,
    samples: LockedSamples,
    labels: list[int],
    change: RecordedChange,
    *,
    actor: str,
    flags: SuggestionFlags,
) -> None:
    """Add labels to samples that lack them. A machine's suggestion of one is confirmed, its shape kept."""
    values = {"dataset_id": samples.dataset_id, "labels": labels, "actor": actor, "since": change.revision}
    if flags.has_pending:
        await samples.run(session, SQL.confirm.format(condition=OF_LABELS), **values)
    await samples.run(session, SQL.add_labels, **values)
    if flags.has_pending and flags.has_models:
        await verdicts.accept_agreeing(session, samples, change)


async def confirm(
    session: AsyncSession,
    samples: LockedSamples,
    condition: str,
    values: Mapping[str, Any],
    change: RecordedChange,
    *,
    actor: str,
    of_several: bool,
) -> None:
    """Confirm the suggestions `a` that meet a condition with these values. `of_several`: more than one model may have
    suggested the same."""
    statement = (SQL.confirm if of_several else SQL.confirm_every).format(condition=condition)
    written = {"dataset_id": samples.dataset_id, "actor": actor, "since": change.revision}
    await samples.run(session, statement, **values, **written)
    if of_several:
        await verdicts.accept_agreeing(session, samples, change)


async def remove_labels(session: AsyncSession, samples: LockedSamples, labels: list[int]) -> None:
    """Remove labels with every shape they have."""
    await samples.run(session, SQL.remove_labels, labels=labels)


async def take_labels(
    session: AsyncSession,
    samples: LockedSamples,
    labels: list[int],
    change: RecordedChange,
    *,
    all_others: bool,
    flags: SuggestionFlags,
) -> None:
    """Remove labels, or all others, as people do who label: models that suggested them were wrong."""
    condition = OTHER_LABELS if all_others else OF_LABELS
    outcome: Outcome = "CORRECTED" if all_others and labels else "REJECTED"
    if flags.has_models:
        await verdicts.add(session, samples, outcome, change, condition, labels=labels)
    await samples.run(session, SQL.remove_other_labels if all_others else SQL.remove_labels, labels=labels)
    if flags.has_models:
        await verdicts.take_back(session, samples, outcome, change)


async def replace_label(
    session: AsyncSession,
    samples: LockedSamples,
    before: int,
    after: int,
    change: RecordedChange,
    *,
    actor: str | None = None,
    flags: SuggestionFlags,
) -> None:
    """Replace one label by another; shapes stay. Without an actor the labels were merged, and who put them stays, as do
    models that suggested them."""
    both = {"before": before, "after": after}
    duplicate = DUPLICATE
    if flags.has_models and actor is None:
        await verdicts.add(session, samples, "ACCEPTED", change, f"a.confirmed AND {DUPLICATE}", **both)
    elif flags.has_models:
        await verdicts.add(session, samples, "CORRECTED", change, "a.label_id + 0 = :before", before=before)
        duplicate = f"{DUPLICATE} OR {REPLACED_SUGGESTION}"
    await samples.run(session, SQL.remove_duplicates.format(duplicate=duplicate), **both)
    await samples.run(session, SQL.replace_label, **both, since=change.revision, actor=actor)
    if flags.has_models:
        await verdicts.accept_agreeing(session, samples, change)
    if flags.has_models and actor is not None:
        await verdicts.take_back(session, samples, "CORRECTED", change)


async def refresh_derived_state(
    session: AsyncSession,
    samples: LockedSamples,
    change: RecordedChange,
    *,
    actor: str | None = None,
    origin: str | None = "MANUAL",
    latest: bool = False,
) -> None:
    """Derive the columns of samples that follow from their annotations. Without an actor nobody has labelled: the
    samples keep who did, or, with `latest`, take that of their latest confirmed annotation. `origin` None: it stays."""
    values = {"actor": actor, "origin": origin, "latest": latest, "since": change.revision}
    await samples.run(session, derived_state.REFRESH, **values)
