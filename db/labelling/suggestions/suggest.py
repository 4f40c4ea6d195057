"""What a model suggests: annotations that wait until somebody confirms, corrects or rejects them.

What people have decided stays: what is confirmed already is left so, and what was rejected of the same version of the
model is not suggested again. Whatever nobody has decided is replaced by what the model suggests now.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any, Final

from sqlmodel.ext.asyncio.session import AsyncSession

from db.concurrency_limits import Turns
from db.errors import Invalid
from db.formats.names import nfc
from db.formats.shapes import Shape
from db.history.changes import RecordedChange, lock_dataset, record
from db.identity.tokens import Identity
from db.labelling import annotations, label_resolution, labels
from db.labelling.labels import LabelReference
from db.labelling.samples.annotate import (
    MAX_NAMED,
    Key,
    beyond_room,
    checked_shape,
    expect_room,
    image_facts,
    portions,
)
from db.labelling.samples.selection import LockedSamples, Selection, lock_samples, samples_at
from db.labelling.suggestions import models
from db.labelling.suggestions.models import ModelName
from db.postgres import sql

SQL: Final = sql.load(__file__)


@dataclass(frozen=True, slots=True)
class Suggestion:
    """Without a shape, of the whole image."""

    label: LabelReference
    confidence: float
    shape: Shape | None = None


@dataclass(frozen=True, slots=True)
class SampleSuggestions:
    """All that the model suggests of a sample; with a `path`, of the one that is there."""

    sample: int
    annotations: Sequence[Suggestion]
    path: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SuggestWith:
    """`replace`: what the model suggested of the samples before, in any version, and does not suggest now, goes.
    `only_what_fits`: a sample that would have too many annotations gets the surest, else the call is refused."""

    model: ModelName
    replace: bool = True
    create_missing: bool = False
    only_what_fits: bool = False


@dataclass(frozen=True, slots=True)
class Suggested:
    """Samples: `matched`, and of these `changed`. Suggestions: those that wait now, those that are confirmed, and those
    that were rejected before. `samples`: those that a payload lists. `left_out`: how many did not fit, by sample."""

    dataset_id: int
    matched: int
    changed: int = 0
    suggested: int = 0
    kept: int = 0
    rejected_before: int = 0
    not_found: tuple[int, ...] = ()
    not_found_paths: tuple[str, ...] = ()
    samples: tuple[int, ...] = ()
    change: int | None = None
    left_out: Mapping[int, int] = field(default_factory=dict)


@dataclass(slots=True)
class Plan:
    """What is to be written. `insert`: the confidences of new suggestions; `update`: new confidences of existing ones,
    by id; `delete`: ids of those to remove; `samples`: the samples of those that are updated or removed, by id."""

    insert: dict[Key, float] = field(default_factory=dict)
    update: dict[int, float] = field(default_factory=dict)
    delete: list[int] = field(default_factory=list)
    samples: dict[int, int] = field(default_factory=dict)

    def changing(self) -> tuple[int, ...]:
        return tuple(sorted({sample for sample, _, _ in self.insert} | set(self.samples.values())))

    def growth(self) -> dict[int, int]:
        """By how many annotations samples grow."""
        growth: dict[int, int] = {}
        for sample, _, _ in self.insert:
            growth[sample] = growth.get(sample, 0) + 1
        for id in self.delete:
            growth[self.samples[id]] = growth.get(self.samples[id], 0) - 1
        return {sample: more for sample, more in growth.items() if more > 0}

    def leave_out(self, beyond: Mapping[int, int]) -> dict[int, int]:
        """Drop so many of a sample's new suggestions, the lowest confidences first. How many, by sample."""
        new: dict[int, list[Key]] = {}
        for key in self.insert:
            if key[0] in beyond:
                new.setdefault(key[0], []).append(key)
        left_out = {sample: sorted(keys, key=self.insert.__getitem__)[: beyond[sample]] for sample, keys in new.items()}
        for key in chain.from_iterable(left_out.values()):
            del self.insert[key]
        return {sample: len(keys) for sample, keys in left_out.items()}


async def suggest(
    session: AsyncSession,
    dataset_id: int,
    samples: Sequence[SampleSuggestions],
    how: SuggestWith,
    *,
    by: Identity,
    job_id: int | None = None,
) -> Suggested:
    """Suggest annotations of samples, as one change. What waits already is left so."""
    model = how.model.checked()
    if not samples:
        raise Invalid("No samples are given; name at least one.", code="EMPTY_SELECTION")
    count = sum(len(each.annotations) for each in samples)
    if count > MAX_NAMED:
        raise Invalid(f"At most {MAX_NAMED:,} suggestions are made in one call.", most=MAX_NAMED, given=count)
    await lock_dataset(session, dataset_id, by)
    used = label_resolution.distinct(one.label for each in samples for one in each.annotations)
    known = await labels.lock_labels(session, dataset_id, used)
    missing = label_resolution.missing(label_resolution.named(used, known), known, create=how.create_missing)
    samples = await _found_by_path(session, dataset_id, samples)
    matched = await lock_samples(session, dataset_id, Selection(ids=[each.sample for each in samples]))
    provisional = {name: -number for number, name in enumerate(missing, 1)}  # ids until the labels are made
    by_reference: dict[LabelReference, int] = {id: id for id in known.values()}
    by_reference.update(known | provisional)
    given = await _given(session, matched, samples, by_reference)
    versions = await models.versions(session, dataset_id, model.name)
    plan, unchanged = await _plan(session, matched, given, versions, versions.get(model.version), how)
    lost = {each.path: None for each in samples if each.path is not None and each.sample in (0, *matched.not_found)}
    unchanged = replace(unchanged, not_found_paths=tuple(lost))
    if how.only_what_fits:
        left_out = plan.leave_out(await beyond_room(session, plan.growth()))
        suggested = unchanged.suggested - sum(left_out.values())
        unchanged = replace(unchanged, suggested=suggested, left_out=left_out)
    ids = plan.changing()
    if not ids:
        return unchanged
    if not how.only_what_fits:
        await expect_room(session, plan.growth())
    changing = replace(matched, count=len(ids), ids=ids)
    summary = f"`{model.name}` {model.version} suggested annotations of {changing.counted}"
    change = await record(session, dataset_id, by.name, "SUGGEST_ANNOTATIONS", summary, job_id=job_id)
    used_ids = {label for _, label, _ in plan.insert}
    new = [name for name, id in provisional.items() if id in used_ids]
    made = await label_resolution.make(session, dataset_id, new, change)
    label_ids = {provisional[name]: id for name, id in made.items()}
    model_id = await models.made(session, dataset_id, model)
    await _write(session, changing, plan, label_ids, model_id, change, by)
    return replace(unchanged, changed=changing.count, change=change.id)


async def _found_by_path(
    session: AsyncSession, dataset_id: int, samples: Sequence[SampleSuggestions]
) -> Sequence[SampleSuggestions]:
    """With the samples at the paths; 0, which no sample is, where there is none."""
    paths = [each.path for each in samples if each.path is not None]
    if not paths:
        return samples
    found = await samples_at(session, dataset_id, paths)
    return [each if each.path is None else replace(each, sample=found.get(each.path, 0)) for each in samples]


async def _given(
    session: AsyncSession,
    matched: LockedSamples,
    samples: Sequence[SampleSuggestions],
    ids: Mapping[LabelReference, int],
) -> dict[Key, float]:
    """The suggestions of samples that were found, each once, with the highest confidence. Raises Invalid."""
    has_shapes = any(one.shape is not None for each in samples for one in each.annotations)
    images = await image_facts(session, matched) if has_shapes else {}
    found, given, turns = frozenset(matched.ids or ()), dict[Key, float](), Turns()
    for index, each in enumerate(samples):
        if each.sample not in found:
            continue
        for position, one in enumerate(each.annotations):
            await turns.step()
            path = f"samples.{index}.annotations.{position}"
            if not (math.isfinite(one.confidence) and 0 <= one.confidence <= 1):
                message = f"`confidence` must be a number from 0 to 1, and is {one.confidence:g}."
                raise Invalid(message, path=f"{path}.confidence")
            shape = None if one.shape is None else checked_shape(one.shape, images[each.sample], each.sample, path)
            key = each.sample, ids[nfc(one.label) if isinstance(one.label, str) else one.label], shape
            given[key] = max(one.confidence, given.get(key, 0.0))
    return given


async def _plan(
    session: AsyncSession,
    matched: LockedSamples,
    given: Mapping[Key, float],
    versions: Mapping[str, int],
    model: int | None,
    how: SuggestWith,
) -> tuple[Plan, Suggested]:
    """What is to be written, and what the call comes to as long as nothing is."""
    plan, kept, rejected, staying = Plan(), 0, 0, set[int]()
    for keys in portions(list(given)):
        values = _columns(keys) | {"dataset_id": matched.dataset_id, "model": model}
        for row in await sql.run(session, SQL.compare, **values):
            key = keys[row["n"] - 1]
            if row["is_confirmed"]:
                kept += 1
            elif row["is_rejected"]:
                rejected += 1
            elif row["id"] is None:
                plan.insert[key] = given[key]
            else:
                staying.add(row["id"])
                if row["confidence"] != given[key]:
                    plan.update[row["id"]] = given[key]
                    plan.samples[row["id"]] = key[0]
    if how.replace and versions:
        values = {"dataset_id": matched.dataset_id, "models": list(versions.values())}
        for row in await matched.run(session, SQL.waiting, **values):
            if row["id"] not in staying:
                plan.delete.append(row["id"])
                plan.samples[row["id"]] = row["sample_id"]
    page = await matched.first_page(session)
    return plan, Suggested(
        matched.dataset_id,
        matched.count,
        suggested=len(plan.insert) + len(staying),
        kept=kept,
        rejected_before=rejected,
        not_found=matched.not_found,
        samples=page,
    )


async def _write(
    session: AsyncSession,
    samples: LockedSamples,
    plan: Plan,
    label_ids: Mapping[int, int],
    model_id: int,
    change: RecordedChange,
    by: Identity,
) -> None:
    """`label_ids`: those of labels that were made, by their provisional ids."""
    values = {"actor": by.name, "since": change.revision}
    if plan.delete:
        await sql.run(session, SQL.delete, ids=plan.delete)
    if plan.update:
        confidences = list(plan.update.values())
        await sql.run(session, SQL.update, ids=list(plan.update), confidences=confidences, **values)
    for portion in portions(list(plan.insert.items())):
        keys = [(sample, label_ids.get(label, label), shape) for (sample, label, shape), _ in portion]
        columns = _columns(keys) | {"confidences": [confidence for _, confidence in portion]}
        await sql.run(session, SQL.insert, dataset_id=samples.dataset_id, model=model_id, **columns, **values)
    await annotations.refresh_derived_state(session, samples, change, origin=None)


def _columns(keys: Sequence[Key]) -> dict[str, list[Any]]:
    return {
        "samples": [sample for sample, _, _ in keys],
        "labels": [label for _, label, _ in keys],
        "shapes": [shape for _, _, shape in keys],
    }
