"""Requests of clients for auto labelling: what is refused, and the job."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from pydantic import TypeAdapter
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from db import jobs
from db.auto_labelling.models import KINDS, AnyModel, BuiltInModel, HttpModel, OnnxModel, expect_fit
from db.errors import Conflict, Invalid
from db.history.changes import lock_dataset, no_such_dataset
from db.identity.tokens import Identity
from db.labelling import label_resolution, labels
from db.labelling.labels import LabelReference
from db.postgres import sql
from db.postgres.models import AutoLabel, Dataset, Job, Sample
from db.queries.filters import SampleFilter, conditions, working_set

SQL: Final = sql.load(__file__)
FILTER: Final = TypeAdapter(SampleFilter)
MODEL: Final[TypeAdapter[AnyModel]] = TypeAdapter(BuiltInModel | OnnxModel | HttpModel)
WITHOUT_LABELS: Final = SampleFilter(or_=(SampleFilter(state="UNLABELED"), SampleFilter(state="PENDING")))
MAX_LABELS: Final = 1_000  # that a job is confined to
MIN_EXAMPLES, MIN_LABELS = 5, 2  # labelled samples of a label, and labels that have so many
MAX_NAMED, MAX_IN_MESSAGE = 100, 10  # labels with their counts, in the details of an error and in its sentence


@dataclass(frozen=True, slots=True)
class Request:
    """`filter` None: all samples without confirmed labels. `labels`: those that may be suggested; none: all. `limit`:
    of samples; 0: the model is only evaluated, by labelled samples. `base`: under which name the model, or else the
    client, knows this server, for the URLs of images."""

    model: AnyModel
    filter: SampleFilter | None = None
    min_confidence: float = 0.9
    labels: Sequence[LabelReference] = ()
    limit: int | None = None
    base: str = ""


@dataclass(frozen=True, slots=True)
class LabelCount:
    """How many labelled samples have a label."""

    name: str
    samples: int


@dataclass(frozen=True, slots=True)
class StartedAutoLabeling:
    job: int


async def request(session: AsyncSession, dataset_id: int, asked: Request, *, by: Identity) -> StartedAutoLabeling:
    """Start an auto labelling, of which a dataset has one at most, by a model that is allowed. Nobody who labels waits
    for it."""
    await lock_dataset(session, dataset_id, by, dry_run=True)
    dataset = await session.get(Dataset, dataset_id)
    if dataset is None:
        raise no_such_dataset()
    _expect_numbers(asked)
    expect_fit(asked.model, dataset.type)
    label_ids = await _label_ids(session, dataset_id, asked.labels)
    filter_ = asked.filter or WITHOUT_LABELS
    await _expect_samples(session, dataset_id, filter_, asked.limit)
    counts = [LabelCount(**row) for row in await sql.run(session, SQL.label_counts, dataset_id=dataset_id)]
    if isinstance(asked.model, BuiltInModel):
        expect_examples(counts)
    elif not counts:
        raise Invalid("The dataset has no labels; create those that the model may suggest.")
    elif asked.limit == 0 and not any(each.samples for each in counts):
        raise Invalid("No sample is labelled, so the model cannot be evaluated.", code="EMPTY_SELECTION")
    arguments: dict[str, Any] = {
        "model": {"kind": KINDS[type(asked.model)], **asdict(asked.model)},
        "filter": FILTER.dump_python(filter_, mode="json"),
        "min_confidence": asked.min_confidence,
        "label_ids": label_ids,
        "limit": asked.limit,
        "base": asked.base,
        "token_id": by.token_id,
    }
    job_id = await jobs.enqueue(
        session,
        dataset_id,
        "AUTO_LABEL",
        requested_by=by.name,
        arguments=arguments,
        needs=None if isinstance(asked.model, HttpModel) else "VISION",
    )
    if job_id is None:
        await _expect_no_other(session, dataset_id)
        raise no_such_dataset()
    session.add(
        AutoLabel(
            job_id=job_id,
            dataset_id=dataset_id,
            model_kind=KINDS[type(asked.model)],
            min_confidence=asked.min_confidence,
        )
    )
    await session.flush()
    return StartedAutoLabeling(job_id)


def model_of(arguments: dict[str, Any]) -> AnyModel:
    """The model of a job."""
    values = dict(arguments["model"])
    type_ = next(type_ for type_, kind in KINDS.items() if kind == values["kind"])
    del values["kind"]
    return type_(**values)


def expect_examples(counts: Sequence[LabelCount], unread: Sequence[tuple[str, str]] = ()) -> None:
    """Raises Invalid unless enough labels have enough examples. `unread`: paths of images that are not among them, as
    they could not be read, and why."""
    if sum(each.samples >= MIN_EXAMPLES for each in counts) < MIN_LABELS:
        most = sorted(counts, key=lambda each: -each.samples)
        first = ", ".join(f"{each.samples:,} with `{each.name}`" for each in most[:MAX_IN_MESSAGE])
        message = (
            f"The built-in model learns from at least {MIN_LABELS} labels, each of {MIN_EXAMPLES} labelled samples or "
            f"more; label some more. There are {first or 'no labels'}{', …' if most[MAX_IN_MESSAGE:] else ''}."
        )
        for path, reason in unread[:1]:
            message += f" {len(unread):,} labelled images could not be read, such as `{path}`: {reason}"
        named = [{"name": each.name, "sampleCount": each.samples} for each in most[:MAX_NAMED]]
        raise Invalid(message, labels=named, least=MIN_EXAMPLES)


def _expect_numbers(asked: Request) -> None:
    if not 0 <= asked.min_confidence <= 1:  # also for NaN
        message = f"`minConfidence` must be a number from 0 to 1, and is {asked.min_confidence:g}."
        raise Invalid(message, path="minConfidence")
    if asked.limit is not None and asked.limit < 0:
        raise Invalid(f"`limit` must be 0 or more, and is {asked.limit}.", path="limit")


async def _label_ids(session: AsyncSession, dataset_id: int, references: Sequence[LabelReference]) -> list[int] | None:
    """Raises LABEL_NOT_FOUND."""
    if not references:
        return None
    if len(references) > MAX_LABELS:
        raise Invalid(f"At most {MAX_LABELS:,} labels are named in one call.", most=MAX_LABELS)
    used = label_resolution.distinct(references)
    known = await labels.lock_labels(session, dataset_id, used)
    names = label_resolution.names_for(used, known)
    return sorted(known[name] for name in names)


async def _expect_samples(session: AsyncSession, dataset_id: int, filter_: SampleFilter, limit: int | None) -> None:
    meets = conditions(filter_, working_set(dataset_id))  # refuses values that mean nothing
    if limit == 0:
        return
    of_dataset = select(Sample.id).where(col(Sample.dataset_id) == dataset_id, meets)
    if (await session.exec(of_dataset.limit(1))).first() is None:
        raise Invalid("No sample is selected: nothing can be suggested.", code="EMPTY_SELECTION")


async def _expect_no_other(session: AsyncSession, dataset_id: int) -> None:
    active = select(Job.id).where(
        col(Job.dataset_id) == dataset_id, col(Job.kind) == "AUTO_LABEL", col(Job.status).in_(jobs.ACTIVE)
    )
    found = (await session.exec(active)).first()
    if found is not None:
        message = "The dataset has an auto labelling queued or running; wait until it ends, or cancel it, and repeat."
        raise Conflict(message, code="DATASET_BUSY", jobId=f"{jobs.TYPE_NAMES['AUTO_LABEL']}:{found}")
