"""Labelling samples."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal, Self

from sqlmodel.ext.asyncio.session import AsyncSession

from db.errors import Invalid
from db.history import large_changes
from db.history.changes import RecordedChange, expect_revision, lock_dataset, record
from db.identity.tokens import Identity
from db.labelling import annotations, label_resolution, labels, verdicts
from db.labelling.labels import LabelReference, listed
from db.labelling.samples.selection import LockedSamples, Selection, lock_samples
from db.labelling.verdicts import SuggestionFlags

Mode = Literal["ADD", "SET", "REMOVE"]
MAX_LABELS: Final = 100  # in one call

SUGGESTED: Final = "SELECT FROM annotation a WHERE a.sample_id = sample.id AND NOT a.confirmed"
# Which samples a mode changes.
CONDITIONS: Final = {
    "ADD": "NOT sample.label_ids @> :labels::bigint[]",
    "SET": f"sample.label_ids <> :labels::bigint[] OR EXISTS ({SUGGESTED})",
    "REMOVE": f"""sample.label_ids && :labels::bigint[]
        OR EXISTS ({SUGGESTED} AND a.label_id + 0 = ANY(:labels::bigint[]))""",
}
SUMMARIES: Final = {"ADD": "Added {} to {}", "SET": "Set {} on {}", "REMOVE": "Removed {} from {}"}  # labels, samples


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelWith:
    """Which labels, what to do with them, and the guards. Without a guard the last writer wins."""

    labels: Sequence[LabelReference]
    mode: Mode = "ADD"
    create_missing: bool = False
    expected_count: int | None = None
    expected_revision: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplaceWith:
    before: LabelReference
    after: LabelReference
    create_missing: bool = False
    expected_count: int | None = None


@dataclass(frozen=True, slots=True)
class Labelled:
    """`samples`: those that a payload lists. `change` is None when nothing changed."""

    dataset_id: int
    matched: int
    changed: int
    not_found: tuple[int, ...] = ()
    samples: tuple[int, ...] = ()
    change: int | None = None
    not_found_paths: tuple[str, ...] = ()

    @classmethod
    async def unchanged(cls, session: AsyncSession, samples: LockedSamples) -> Self:
        """As long as nothing is written."""
        page = await samples.first_page(session)
        missing = samples.not_found_paths
        return cls(samples.dataset_id, samples.count, 0, samples.not_found, page, not_found_paths=missing)


@dataclass(frozen=True, slots=True)
class Labelling:
    """What is to be written. `unchanged`: the outcome as long as nothing is. `new`: names of labels that are made."""

    unchanged: Labelled
    changing: LockedSamples
    labels: list[int]
    new: list[str]
    mode: Mode
    summary: str

    def done(self, change: RecordedChange) -> Labelled:
        return replace(self.unchanged, changed=self.changing.count, change=change.id)


async def label(
    session: AsyncSession, dataset_id: int, selection: Selection, how: LabelWith, *, by: Identity
) -> Labelled:
    """ADD labels to what is there, SET exactly these, or REMOVE them."""
    used = distinct(how.labels)
    revision = await lock_dataset(session, dataset_id, by)
    await expect_revision(session, dataset_id, how.expected_revision, revision)
    known = await labels.lock_labels(session, dataset_id, used)
    names = label_resolution.named(used, known)
    label_resolution.missing(names, known, create=how.create_missing)
    matched = await lock_samples(session, dataset_id, selection)
    plan = await prepare(session, matched, {name: known.get(name) for name in names}, how)
    if not plan.changing.count:
        await expect_revision(session, dataset_id, how.expected_revision)
        return plan.unchanged
    change = await record(
        session, dataset_id, by.name, "LABEL_SAMPLES", plan.summary, expected_revision=how.expected_revision
    )
    created = await label_resolution.make(session, dataset_id, plan.new, change)
    plan = replace(plan, labels=sorted([*plan.labels, *created.values()]))
    flags = await verdicts.suggestion_flags(session, dataset_id, plan.labels)
    await write_labels(session, plan, change, flags, by=by)
    return plan.done(change)


async def prepare(
    session: AsyncSession, matched: LockedSamples, names: Mapping[str, int | None], how: LabelWith
) -> Labelling:
    """Which of the samples, which are locked, change. `names`: of the labels, with their ids, which are locked too;
    those without an id are to be made. Raises COUNT_MISMATCH."""
    matched.expect(how.expected_count)
    unchanged = await Labelled.unchanged(session, matched)
    known = sorted(id for id in names.values() if id is not None)
    new = [] if how.mode == "REMOVE" else [name for name, id in names.items() if id is None]
    changing = matched if new else await matched.narrow(session, CONDITIONS[how.mode], labels=known)
    summary = (
        SUMMARIES[how.mode].format(listed(names), changing.counted)
        if names
        else f"Removed all labels from {changing.counted}"
    )
    return Labelling(unchanged, changing, known, new, how.mode, summary)


async def write_labels(
    session: AsyncSession, plan: Labelling, change: RecordedChange, flags: SuggestionFlags, *, by: Identity
) -> None:
    ids = plan.labels
    for part in await plan.changing.parts(session):
        if plan.mode != "ADD":
            all_others = plan.mode == "SET"
            await annotations.take_labels(session, part, ids, change, all_others=all_others, flags=flags)
        if plan.mode != "REMOVE" and ids:
            await annotations.add_labels(session, part, ids, change, actor=by.name, flags=flags)
        await annotations.refresh_derived_state(session, part, change, actor=by.name)
        large_changes.report(session, part.share)


async def replace_label(
    session: AsyncSession, dataset_id: int, selection: Selection, how: ReplaceWith, *, by: Identity
) -> Labelled:
    """Replace one label by another on these samples alone. Those without it stay as they are."""
    await lock_dataset(session, dataset_id, by)
    [source], [target] = distinct([how.before]), distinct([how.after])
    known = await labels.lock_labels(session, dataset_id, {source, target})
    [before], [after] = label_resolution.named([source], known), label_resolution.named([target], known)
    label_resolution.missing([before], known, create=False)
    missing = label_resolution.missing([after], known, create=how.create_missing)
    matched = await lock_samples(session, dataset_id, selection)
    matched.expect(how.expected_count)
    unchanged = await Labelled.unchanged(session, matched)
    if before == after:
        return unchanged
    changing = await matched.narrow(session, "sample.label_ids @> ARRAY[:before::bigint]", before=known[before])
    if not changing.count:
        return unchanged
    summary = f"Replaced `{before}` with `{after}` on {changing.counted}"
    change = await record(session, dataset_id, by.name, "REPLACE_SAMPLE_LABEL", summary)
    ids = known | await label_resolution.make(session, dataset_id, missing, change)
    flags = await verdicts.suggestion_flags(session, dataset_id, [ids[before], ids[after]])
    for part in await changing.parts(session):
        pair = ids[before], ids[after]
        await annotations.replace_label(session, part, *pair, change, actor=by.name, flags=flags)
        await annotations.refresh_derived_state(session, part, change, actor=by.name)
        large_changes.report(session, part.share)
    return replace(unchanged, changed=changing.count, change=change.id)


def distinct(labels: Sequence[LabelReference]) -> list[LabelReference]:
    """Each label once. Raises Invalid for more than a call may name."""
    if len(labels) > MAX_LABELS:
        raise Invalid(f"At most {MAX_LABELS} labels are named in one call.", most=MAX_LABELS)
    return label_resolution.distinct(labels)
