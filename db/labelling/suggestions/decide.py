"""Deciding suggestions: any number of them are accepted or rejected, as one change."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

from sqlalchemy import ARRAY, BigInteger, ColumnElement, and_, func, literal_column, not_
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from db.errors import Conflict, Invalid
from db.history import large_changes
from db.history.changes import lock_dataset, record
from db.identity.tokens import Identity
from db.labelling import annotations, label_resolution, labels, verdicts
from db.labelling.labels import LabelReference
from db.labelling.samples.label import distinct
from db.labelling.samples.selection import Lock, LockedSamples, Selection, lock_samples, lock_samples_where
from db.labelling.suggestions import models
from db.labelling.suggestions.models import ModelName
from db.postgres import sql
from db.postgres.models import Annotation, Sample
from db.queries.filters import conditions, working_set
from db.queries.parameters import bind_value

SQL: Final = sql.load(__file__)
MAX_MODELS: Final = 100  # in one call
OF_SAMPLE: Final = "SELECT FROM annotation a WHERE a.sample_id = sample.id AND NOT a.confirmed"
SUMMARIES: Final = {"ACCEPT": "Accepted", "REJECT": "Rejected"}


@dataclass(frozen=True, slots=True, kw_only=True)
class DecideWith:
    """What to do with which suggestions: those of these labels and models, if some are named, and with a confidence
    between these, both included; a suggestion without one has 0. `expected_count`: of suggestions."""

    decision: Literal["ACCEPT", "REJECT"]
    labels: Sequence[LabelReference] = ()
    models: Sequence[ModelName] = ()
    min_confidence: float | None = None
    max_confidence: float | None = None
    expected_count: int | None = None
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class Decided:
    """How many suggestions of how many samples. Of a dry run: how many would be. `samples`: those that a payload
    lists."""

    dataset_id: int
    suggestions: int
    sample_count: int
    not_found: tuple[int, ...] = ()
    not_found_paths: tuple[str, ...] = ()
    samples: tuple[int, ...] = ()
    change: int | None = None


@dataclass(frozen=True, slots=True)
class Criteria:
    """Which suggestions of the selected samples are meant."""

    label_ids: Sequence[int] | None
    model_ids: Sequence[int] | None
    lowest: float | None
    highest: float | None

    def condition(self) -> str:
        """On the annotation `a`, with `values`."""
        each = {
            "label_ids": "a.label_id + 0 = ANY(:label_ids::bigint[])",
            "model_ids": "a.model_id = ANY(:model_ids::bigint[])",
            "lowest": "coalesce(a.confidence, 0) >= :lowest",
            "highest": "coalesce(a.confidence, 0) <= :highest",
        }
        return " AND ".join(each[name] for name in self.values()) or "true"

    def values(self) -> dict[str, Any]:
        every = {name: getattr(self, name) for name in ("label_ids", "model_ids", "lowest", "highest")}
        return {name: value for name, value in every.items() if value is not None}

    def of_samples(self, dataset_id: int) -> ColumnElement[bool]:
        """Whether a sample has such a suggestion."""
        meets = [col(Annotation.dataset_id) == dataset_id, not_(col(Annotation.confirmed))]
        confidence = func.coalesce(col(Annotation.confidence), literal_column("0"))
        if self.label_ids is not None:
            meets.append(col(Annotation.label_id) == _any(self.label_ids))
        if self.model_ids is not None:
            meets.append(col(Annotation.model_id) == _any(self.model_ids))
        if self.lowest is not None:
            meets.append(confidence >= self.lowest)
        if self.highest is not None:
            meets.append(confidence <= self.highest)
        return col(Sample.id).in_(select(Annotation.sample_id).where(*meets))


def _any(ids: Sequence[int]) -> ColumnElement[Any]:
    return func.any(bind_value(ARRAY(BigInteger()), list, ids))


async def decide(
    session: AsyncSession, dataset_id: int, selection: Selection, how: DecideWith, *, by: Identity
) -> Decided:
    """Accept suggestions, which confirms them, or reject them. What a model suggested alike is decided with them when
    they are accepted: it was right."""
    for name, bound in (("minConfidence", how.min_confidence), ("maxConfidence", how.max_confidence)):
        if bound is not None and not 0 <= bound <= 1:
            raise Invalid(f"`{name}` must be a number from 0 to 1, and is {bound:g}.", path=name)
    if how.min_confidence is not None and how.max_confidence is not None and how.min_confidence > how.max_confidence:
        raise Invalid("`minConfidence` is above `maxConfidence`: no suggestion is between them.")
    if len(how.models) > MAX_MODELS:
        raise Invalid(f"At most {MAX_MODELS} models are named in one call.", most=MAX_MODELS)
    used = distinct(how.labels)
    await lock_dataset(session, dataset_id, by, dry_run=how.dry_run)
    known = await labels.lock_labels(session, dataset_id, used)
    names = label_resolution.names_for(used, known)
    criteria = Criteria(
        [known[name] for name in names] or None,
        await models.find(session, dataset_id, how.models) if how.models else None,
        how.min_confidence,
        how.max_confidence,
    )
    samples = await _lock_samples(session, dataset_id, selection, criteria, None if how.dry_run else "NO KEY UPDATE")
    condition, values = criteria.condition(), criteria.values()
    [found] = await samples.run(session, SQL.count.format(condition=condition), dataset_id=dataset_id, **values)
    if how.expected_count is not None and how.expected_count != found["suggestions"]:
        raise Conflict(
            f"{found['suggestions']} suggestions match now, not {how.expected_count}; check the selection and repeat.",
            code="COUNT_MISMATCH",
            expected=how.expected_count,
            actual=found["suggestions"],
        )
    page, missing = await samples.first_page(session), (samples.not_found, samples.not_found_paths)
    planned = Decided(dataset_id, found["suggestions"], found["samples"], *missing, page)
    if how.dry_run or not found["suggestions"]:
        return planned
    changing = samples
    if samples.count != planned.sample_count:
        changing = await samples.narrow(session, f"EXISTS ({OF_SAMPLE} AND {condition})", **values)
    counted = "1 suggestion" if planned.suggestions == 1 else f"{planned.suggestions} suggestions"
    summary = f"{SUMMARIES[how.decision]} {counted} on {changing.counted}"
    change = await record(session, dataset_id, by.name, "DECIDE_SUGGESTIONS", summary)
    of_several = bool(await sql.value(session, SQL.of_several, dataset_id=dataset_id))
    for part in await changing.parts(session):
        if how.decision == "ACCEPT":
            await annotations.confirm(session, part, condition, values, change, actor=by.name, of_several=of_several)
            await annotations.refresh_derived_state(session, part, change, actor=by.name)
        else:
            await verdicts.add(session, part, "REJECTED", change, f"NOT a.confirmed AND {condition}", **values)
            await part.run(session, SQL.delete.format(condition=condition), dataset_id=dataset_id, **values)
            await annotations.refresh_derived_state(session, part, change, origin=None)
        large_changes.report(session, part.share)
    return replace(planned, change=change.id)


async def _lock_samples(
    session: AsyncSession, dataset_id: int, selection: Selection, criteria: Criteria, lock: Lock
) -> LockedSamples:
    """The selected samples; by a filter, only those with such suggestions."""
    if selection.filter is None:
        return await lock_samples(session, dataset_id, selection, lock)
    is_selected = conditions(selection.filter, working_set(dataset_id))
    return await lock_samples_where(session, dataset_id, and_(is_selected, criteria.of_samples(dataset_id)), lock)
