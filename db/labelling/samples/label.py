"""Putting labels on samples."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, assert_never

from sqlmodel.ext.asyncio.session import AsyncSession

from db.errors import Invalid
from db.history.changes import RecordedChange, expect_revision, lock_dataset, record
from db.identity.tokens import Identity
from db.labelling import annotations, label_resolution, labels
from db.labelling.labels.create import listed
from db.labelling.samples.outcomes import Labelled
from db.labelling.samples.selection import LockedSamples, Selection, lock_samples

Mode = Literal["ADD", "SET", "REMOVE"]
MOST = 100  # labels that one call puts

SUGGESTED = "SELECT FROM annotation a WHERE a.sample_id = sample.id AND NOT a.confirmed"
LACKING = "NOT sample.label_ids @> :labels::bigint[]"
OTHERWISE = f"sample.label_ids <> :labels::bigint[] OR EXISTS ({SUGGESTED})"
CARRYING = f"sample.label_ids && :labels::bigint[] OR EXISTS ({SUGGESTED} AND a.label_id + 0 = ANY(:labels::bigint[]))"


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelWith:
    """Which labels, how they are put, and the guards. Without a guard the last writer wins."""

    labels: Sequence[str]
    mode: Mode = "ADD"
    create_missing: bool = False
    expected_count: int | None = None
    expected_revision: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplaceWith:
    before: str
    after: str
    create_missing: bool = False
    expected_count: int | None = None


async def label(
    session: AsyncSession, dataset_id: int, selection: Selection, how: LabelWith, *, by: Identity
) -> Labelled:
    """ADD labels to what is there, SET exactly these, or REMOVE them."""
    wanted, mode = _few(how.labels), how.mode
    revision = await lock_dataset(session, dataset_id, by)
    await expect_revision(session, dataset_id, how.expected_revision, revision)
    known = await labels.in_use(session, dataset_id, wanted)
    missing = label_resolution.missing(wanted, known, create=how.create_missing)
    matched = await lock_samples(session, dataset_id, selection)
    matched.expect(how.expected_count)
    shown = await matched.first_page(session, selection.ids)
    outcome = Labelled(dataset_id, matched.count, 0, matched.not_found, shown)
    new = [] if mode == "REMOVE" else missing
    changing = matched if new else await _changing(session, matched, mode, sorted(known.values()))
    if not changing.count:
        await expect_revision(session, dataset_id, how.expected_revision)
        return outcome
    summary = _summary(mode, wanted, changing.count)
    change = await record(
        session, dataset_id, by.name, "LABEL_SAMPLES", summary, expected_revision=how.expected_revision
    )
    made = await label_resolution.make(session, dataset_id, new, change)
    await _write(session, changing, mode, sorted([*known.values(), *made.values()]), change, by)
    return replace(outcome, changed=changing.count, change=change.id)


async def replace_label(
    session: AsyncSession, dataset_id: int, selection: Selection, how: ReplaceWith, *, by: Identity
) -> Labelled:
    """Turn one label into another on these samples alone. Those without it stay as they are."""
    old, new = _few([how.before])[0], _few([how.after])[0]
    await lock_dataset(session, dataset_id, by)
    known = await labels.in_use(session, dataset_id, {old, new})
    label_resolution.missing([old], known, create=False)
    missing = label_resolution.missing([new], known, create=how.create_missing)
    matched = await lock_samples(session, dataset_id, selection)
    matched.expect(how.expected_count)
    shown = await matched.first_page(session, selection.ids)
    outcome = Labelled(dataset_id, matched.count, 0, matched.not_found, shown)
    if old == new:
        return outcome
    changing = await matched.narrow(session, "sample.label_ids @> ARRAY[:old::bigint]", old=known[old])
    if not changing.count:
        return outcome
    summary = f"Turned `{old}` into `{new}` on {_samples(changing.count)}"
    change = await record(session, dataset_id, by.name, "REPLACE_SAMPLE_LABEL", summary)
    known |= await label_resolution.make(session, dataset_id, missing, change)
    await annotations.replace_label(session, changing, known[old], known[new], change, actor=by.name)
    await annotations.refresh_derived_state(session, changing, change, actor=by.name)
    return replace(outcome, changed=changing.count, change=change.id)


async def _changing(session: AsyncSession, matched: LockedSamples, mode: Mode, ids: list[int]) -> LockedSamples:
    match mode:
        case "ADD":
            return await matched.narrow(session, LACKING, labels=ids)
        case "SET":
            return await matched.narrow(session, OTHERWISE, labels=ids)
        case "REMOVE":
            return await matched.narrow(session, CARRYING, labels=ids)
    assert_never(mode)


async def _write(
    session: AsyncSession, changing: LockedSamples, mode: Mode, ids: list[int], change: RecordedChange, by: Identity
) -> None:
    if mode == "REMOVE":
        await annotations.remove_labels(session, changing, ids)
    if mode == "SET":
        await annotations.remove_other_labels(session, changing, ids)
    if mode != "REMOVE" and ids:
        await annotations.add_labels(session, changing, ids, change, actor=by.name)
    await annotations.refresh_derived_state(session, changing, change, actor=by.name)


def _few(names: Sequence[str]) -> list[str]:
    """The names in their one form, each once."""
    if len(names) > MOST:
        raise Invalid(f"At most {MOST} labels are named in one call.", most=MOST)
    return label_resolution.distinct(names)


def _summary(mode: Mode, names: Sequence[str], count: int) -> str:
    match mode:
        case "ADD":
            return f"Put {listed(names)} on {_samples(count)}"
        case "SET":
            return f"Set {listed(names)} on {_samples(count)}" if names else f"Cleared {_samples(count)}"
        case "REMOVE":
            return f"Took {listed(names)} off {_samples(count)}"
    assert_never(mode)


def _samples(count: int) -> str:
    return "1 sample" if count == 1 else f"{count} samples"
