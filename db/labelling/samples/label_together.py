"""Labelling samples that are named by their ids, which happens most. While one transaction does it in a dataset, other
calls wait in memory, and the next transaction carries out half of them: it takes the dataset's row once, and commits
once. Each call has its own change, outcome or refusal, as if it were alone.

That transaction begins while the one before still writes, and so uses another core. It knows by then how many changes
will precede its own, and so the revisions of its own. It writes its samples, of which the other has none, adds up what
it changes of counters, and takes the dataset's row last. If the dataset is then at another revision, since the other
failed, or somebody else was faster, it is rolled back, and done again after the other has ended.

A call is done alone, in a transaction of its own, where it would wait for something that the others do not need:
samples or labels that somebody else has locked, labels that are to be made, a key that is in use. So are all calls of
a transaction that fails: whichever of them was the reason, each gets its own error then. Only where the database had no
room or no answer for one of them, that one has its error already.
"""

import asyncio
import random
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from sqlmodel.ext.asyncio.session import AsyncSession

from db.concurrency_limits import Batch, Entry, WrongAnnouncement
from db.errors import DomainError, Unavailable
from db.history import idempotency
from db.history.changes import RecordedChange, lock_head, lock_shared, number_changes, record_written, write_next
from db.history.idempotency import Keyed
from db.history.transactions import OTHERS, patience, unknown_outcome, write
from db.identity.tokens import Identity
from db.labelling import verdicts
from db.labelling.labels import LabelReference, split
from db.labelling.samples.label import Labelled, Labelling, LabelWith, distinct, label, prepare, write_labels
from db.labelling.samples.selection import LockedSamples, Selection
from db.postgres import sql
from db.postgres.engine import Database
from db.postgres.outages import DatabaseUnavailable, is_rolled_back

SQL: Final = sql.load(__file__)


@dataclass(frozen=True, slots=True)
class Call:
    ids: Sequence[int]
    labels: Sequence[LabelReference]
    how: LabelWith
    by: Identity
    keyed: Keyed | None


@dataclass(frozen=True, slots=True)
class Locked:
    """What a transaction has locked. `busy`: samples that it could not lock; `keys`: what was done under each key."""

    labels: dict[LabelReference, tuple[str, int]]
    samples: frozenset[int]
    busy: frozenset[int]
    keys: dict[tuple[int, str], idempotency.Earlier]


Outcome = Labelled | DomainError | None  # None: the call is done alone
CallEntry = Entry[Call, Labelled | None]


@dataclass(slots=True)
class Progress:
    """Of a transaction: what has come of calls, and which of them is being carried out."""

    outcomes: dict[CallEntry, Outcome] = field(default_factory=dict)
    has_begun: bool = False
    current: CallEntry | None = None


async def label_together(
    database: Database,
    dataset_id: int,
    selection: Selection,
    how: LabelWith,
    *,
    by: Identity,
    keyed: Keyed | None = None,
) -> Labelled:
    """As `label`, in a transaction with others' calls if there are some, and once only with a key."""
    if selection.ids and by.sees(dataset_id):
        call = Call(tuple(dict.fromkeys(selection.ids)), distinct(how.labels), how, by, keyed)
        work = partial(_label_all, database, dataset_id)
        needs: frozenset[Hashable] = frozenset(call.ids)
        if keyed is not None:
            needs |= {keyed.of_request}
        async with database.unused():
            done: Labelled | None = await database.together.do(dataset_id, call, work, needs=needs)
        if done is not None:
            return done
    return await write(database, lambda session: label(session, dataset_id, selection, how, by=by), Labelled, keyed)


async def _label_all(database: Database, dataset_id: int, batch: Batch[Call, Labelled | None]) -> None:
    """Set the results of the calls. Raises WrongAnnouncement if nothing was done since the transaction before did not
    leave what it had announced."""
    progress, entries = Progress(), batch.entries
    if any(entry.item.how.expected_revision is not None for entry in entries):
        await batch.follow()
    try:
        async with database.writing() as session:
            progress.has_begun = True
            await _label_in(session, dataset_id, batch, progress)
    except WrongAnnouncement:
        raise
    except Exception as error:
        if is_rolled_back(error):  # another has had the dataset for as long as a lock is waited for
            await _wait(entries, patience(database))
            return
        for entry in entries:
            is_own = len(entries) == 1 or not progress.has_begun or entry is progress.current
            _set(entry, _after(error, entry.item, progress.outcomes.get(entry), is_own=is_own))
    else:
        for entry, outcome in progress.outcomes.items():
            _set(entry, outcome)


def _after(error: Exception, call: Call, outcome: Outcome, *, is_own: bool) -> Outcome:
    """Of a call whose transaction failed: nothing was committed, or it is not known whether. `is_own`: the call would
    have met the error by itself."""
    if not isinstance(error, DatabaseUnavailable):
        return None
    if error.committing:
        is_unknown = call.keyed is None and isinstance(outcome, Labelled) and outcome.change is not None
        return unknown_outcome(None) if is_unknown else None
    return error if is_own and not error.connection_lost else None


async def _wait(entries: Sequence[CallEntry], seconds: float) -> None:
    """Before the next attempt. Calls that have waited so long are refused."""
    now = asyncio.get_running_loop().time()
    for entry in entries:
        if now - entry.since > seconds:
            _set(entry, Unavailable(OTHERS))
    await asyncio.sleep(random.uniform(0.01, 0.05))  # noqa: S311 (jitter)


def _set(entry: CallEntry, outcome: Outcome) -> None:
    if entry.result.done():  # whoever waited for it has left
        return
    if isinstance(outcome, DomainError):
        entry.result.set_exception(outcome)
    else:
        entry.result.set_result(outcome)


async def _label_in(
    session: AsyncSession, dataset_id: int, batch: Batch[Call, Labelled | None], progress: Progress
) -> None:
    """Everything is locked first, without waiting. The dataset's row, for which all wait, comes next; or last, where
    the transaction before has announced its revision. Raises WrongAnnouncement if it is at another revision then."""
    entries = [entry for entry in batch.entries if not entry.result.done()]
    locked = await _lock(session, dataset_id, [entry.item for entry in entries])
    announced: int | None = batch.announced
    revision = await lock_head(session, dataset_id) if announced is None else announced
    if revision is None:
        progress.outcomes.update(dict.fromkeys(entries))
        return
    changes: list[RecordedChange] = []
    summaries: list[tuple[str, str]] = []
    groups = _in_turn(entries)
    for group in groups:
        before = revision + len(changes)
        plans = await _plan_all(session, dataset_id, group, locked, before, progress)
        labels = {id for plan in plans.values() for id in plan.labels}
        flags = await verdicts.suggestion_flags(session, dataset_id, list(labels))
        if flags.has_models and announced is not None:
            raise WrongAnnouncement  # verdicts change counters of models, which only who has the dataset's row may do
        if group is groups[-1] and not flags.has_models:
            batch.announce(before + len(plans))
        if plans:
            changes += await _write(session, plans, flags, before, progress)
            summaries += [(entry.item.by.name, plan.summary) for entry, plan in plans.items()]
    if changes:
        if announced is not None:
            await batch.follow()  # it may be without the row yet, too
            if await lock_head(session, dataset_id) != revision:
                raise WrongAnnouncement
        await record_written(session, dataset_id, "LABEL_SAMPLES", changes, summaries)
    done = [
        (entry.item.keyed, outcome)
        for entry, outcome in progress.outcomes.items()
        if entry.item.keyed is not None and isinstance(outcome, Labelled)
    ]
    if done:
        await idempotency.store_outcomes(session, done, Labelled)


def _in_turn(entries: Sequence[CallEntry]) -> list[list[CallEntry]]:
    """Groups of calls that follow each other, of which no two need the same: what a call changes is written before the
    next one for the same samples is planned."""
    groups: list[list[CallEntry]] = [[]]
    used: set[Hashable] = set()
    for entry in entries:
        if not used.isdisjoint(entry.needs):
            groups.append([])
            used.clear()
        groups[-1].append(entry)
        used |= entry.needs
    return groups


async def _plan_all(
    session: AsyncSession,
    dataset_id: int,
    entries: Sequence[CallEntry],
    locked: Locked,
    revision: int,
    progress: Progress,
) -> dict[CallEntry, Labelling]:
    """What calls for different samples change in a dataset of this revision, one after the other."""
    plans: dict[CallEntry, Labelling] = {}
    for entry in entries:
        progress.current = entry
        try:
            planned = await _plan(session, dataset_id, entry.item, locked, revision + len(plans))
        except DomainError as refusal:
            progress.outcomes[entry] = refusal
            continue
        if isinstance(planned, Labelling):
            plans[entry] = planned
        else:
            progress.outcomes[entry] = planned
    progress.current = None
    return plans


async def _write(
    session: AsyncSession,
    plans: Mapping[CallEntry, Labelling],
    flags: verdicts.SuggestionFlags,
    revision: int,
    progress: Progress,
) -> list[RecordedChange]:
    """Write what calls change in a dataset of this revision. The changes are still to be recorded."""
    changes = await number_changes(session, revision, len(plans))
    for change, (entry, plan) in zip(changes, plans.items(), strict=True):
        progress.current = entry
        if change is not changes[0]:
            await write_next(session, change)
        await write_labels(session, plan, change, flags, by=entry.item.by)
        progress.outcomes[entry] = plan.done(change)
    progress.current = None
    return changes


async def _lock(session: AsyncSession, dataset_id: int, calls: Sequence[Call]) -> Locked:
    await lock_shared(session, dataset_id)
    used = split(dict.fromkeys(reference for call in calls for reference in call.labels))
    row = await sql.first(
        session,
        SQL.lock_free,
        dataset_id=dataset_id,
        names=used["names"],
        label_ids=used["ids"],
        ids=list({id for call in calls for id in call.ids}),
    )
    assert row is not None
    labels: dict[LabelReference, tuple[str, int]] = {}
    for name, id in zip(row["names"], row["label_ids"], strict=True):
        labels[name] = labels[id] = name, id
    keys = [call.keyed for call in calls if call.keyed is not None]
    earlier = await idempotency.lock_keys(session, keys) if keys else {}
    return Locked(labels, frozenset(row["ids"]), frozenset(row["busy"]), earlier)


async def _plan(
    session: AsyncSession, dataset_id: int, call: Call, locked: Locked, revision: int
) -> Labelling | Labelled | None:
    """What the call changes, or its outcome if that is nothing. None: it is done alone."""
    if call.keyed is not None:
        earlier = locked.keys.pop(call.keyed.of_request, None)
        if earlier is None:
            return None
        stored = earlier.outcome(call.keyed, Labelled)
        if stored is not None:
            return stored
    if call.how.expected_revision not in (None, revision):  # the refusal names changes, which are not recorded yet
        return None
    if not locked.busy.isdisjoint(call.ids) or not locked.labels.keys() >= set(call.labels):
        return None
    samples = LockedSamples.of_ids(dataset_id, call.ids, locked.samples)
    names = dict(locked.labels[reference] for reference in call.labels)
    plan = await prepare(session, samples, names, call.how)
    return plan if plan.changing.count else plan.unchanged
