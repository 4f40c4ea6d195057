"""Datasets: create, update, delete, purge and check. Their files are never changed here.

A dataset's name, description and settings are not part of its working set: updating them records no change.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import func
from sqlalchemy import update as update_rows
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from db import jobs
from db.errors import AlreadyExists, Forbidden, Invalid
from db.formats import names, patterns
from db.formats.images import FORMATS, Format
from db.history.changes import lock_dataset, no_such_dataset, record
from db.identity.tokens import Identity
from db.ingest import job_requests, sync
from db.labelling import labels
from db.labelling.labels import LabelValues, listed
from db.postgres.models import Dataset, Label, label_past
from db.storage import Stores


@dataclass(frozen=True, slots=True)
class Settings:
    """Which images a dataset takes, and which names labels may have. None: the default, or in an update the present
    one."""

    include: Sequence[str] | None = None
    exclude: Sequence[str] | None = None
    label_names: names.LabelNameRule | None = None
    image_formats: Sequence[Format] | None = None
    compares_looks: bool | None = None

    def columns(self) -> dict[str, Any]:
        """Those that are set. Raises Invalid for a pattern that cannot be, and where no format is left."""
        checked = {
            "include": None if self.include is None else patterns.validated(self.include),
            "exclude": None if self.exclude is None else patterns.validated(self.exclude),
            "label_names": self.label_names,
            "image_formats": None if self.image_formats is None else _formats(self.image_formats),
            "compares_looks": self.compares_looks,
        }
        return {name: value for name, value in checked.items() if value is not None}


@dataclass(frozen=True, slots=True)
class DatasetValues:
    """A dataset to be created, its paths as `resolve_paths` returns them."""

    name: str
    type: str
    input_path: str
    output_path: str | None = None
    description: str = ""
    labels: Sequence[LabelValues] = ()
    settings: Settings = field(default_factory=Settings)


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of a dataset that was created: `job`, its first sync, and `change`, which made its labels."""

    dataset_id: int
    job: int | None = None
    change: int | None = None


async def resolve_paths(
    input_path: str, output_path: str | None, stores: Stores, *, by: Identity
) -> tuple[str, str | None]:
    """Both paths in their one form. Raises INVALID_PATH where they are not allowed, or lie in each other."""
    _expect_unconfined(by)
    source = await stores.input(input_path)
    return source, None if output_path is None else await stores.output(output_path, source=source)


async def create(session: AsyncSession, values: DatasetValues, *, by: Identity, sync_now: bool = True) -> Outcome:
    """Create a dataset with its labels; with `sync_now`, its first sync commits with it."""
    _expect_unconfined(by)
    name = names.dataset_name(values.name)
    first_labels = labels.checked(values.labels, values.settings.label_names or "STANDARD")
    created = await session.exec(
        insert(Dataset)
        .values(
            name=name,
            description=names.description(values.description),
            type=values.type,
            input_path=values.input_path,
            output_path=values.output_path,
            created_by=by.name,
            **values.settings.columns(),
        )
        .on_conflict_do_nothing(index_elements=[col(Dataset.name)], index_where=col(Dataset.deleted_at).is_(None))
        .returning(col(Dataset.id))
    )
    dataset_id = created.scalar_one_or_none()
    if dataset_id is None:
        raise name_taken(name)
    change = None
    if first_labels:
        summary = f"Created {listed(v.name for v in first_labels)}"
        change = await record(session, dataset_id, by.name, "CREATE_LABELS", summary)
        await labels.insert(session, dataset_id, first_labels, change)
    job = await job_requests.start(session, dataset_id, sync.Options(), requested_by=by.name) if sync_now else None
    return Outcome(dataset_id, job, None if change is None else change.id)


async def update(
    session: AsyncSession,
    dataset_id: int,
    *,
    by: Identity,
    name: str | None = None,
    description: str | None = None,
    settings: Settings | None = None,
) -> Outcome:
    """Set what is given; None leaves it."""
    columns = (settings or Settings()).columns()
    if name is not None:
        columns["name"] = names.dataset_name(name)
    if description is not None:
        columns["description"] = names.description(description)
    if columns.get("label_names") == "STANDARD":
        await _expect_standard_names(session, dataset_id, by)
    dataset = await _lock_row(session, dataset_id, by)
    changed = {column: value for column, value in columns.items() if value != getattr(dataset, column)}
    if "name" in changed:
        if by.dataset_ids is not None:  # names are unique among all datasets: trying one shows whether it is in use
            raise Forbidden("This token is limited to certain datasets, so it cannot rename one.")
        same_name = select(Dataset.id).where(col(Dataset.name) == changed["name"], col(Dataset.deleted_at).is_(None))
        if (await session.exec(same_name)).first() is not None:
            raise name_taken(changed["name"])
    if changed:
        changed["updated_at"] = func.greatest(col(Dataset.updated_at), func.clock_timestamp())
        await session.exec(update_rows(Dataset).where(col(Dataset.id) == dataset_id).values(changed))
    return Outcome(dataset_id)


async def delete(session: AsyncSession, dataset_id: int, *, by: Identity) -> Outcome:
    """Delete a dataset: its name is free at once, its jobs stop, and a job purges its rows."""
    await _lock_row(session, dataset_id, by)
    await session.exec(update_rows(Dataset).where(col(Dataset.id) == dataset_id).values(deleted_at=func.now()))
    await jobs.cancel_all(session, dataset_id)
    await jobs.enqueue(session, dataset_id, "PURGE", requested_by=by.name)
    return Outcome(dataset_id)


async def _lock_row(session: AsyncSession, dataset_id: int, by: Identity) -> Dataset:
    """The dataset, whose row nobody else writes until the commit. Who only refers to it does not wait."""
    row = select(Dataset).where(col(Dataset.id) == dataset_id, col(Dataset.deleted_at).is_(None))
    locked = row.with_for_update(key_share=True)
    dataset = (await session.exec(locked)).one_or_none() if by.sees(dataset_id) else None
    if dataset is None:
        raise no_such_dataset()
    return dataset


def _expect_unconfined(by: Identity) -> None:
    """Before anything is looked up: a path or a name that is refused would show a confined token what is there."""
    if by.dataset_ids is not None:
        raise Forbidden("This token is limited to certain datasets, so it cannot create one.")


def _formats(given: Sequence[Format]) -> list[Format]:
    """Each once, in one order."""
    if not given:
        raise Invalid("A dataset takes images of at least one format.")
    return [form for form in FORMATS if form in given]


def name_taken(name: str) -> AlreadyExists:
    return AlreadyExists(
        f"A dataset named `{name}` already exists; choose another name.", code="DATASET_ALREADY_EXISTS", name=name
    )


async def _expect_standard_names(session: AsyncSession, dataset_id: int, by: Identity) -> None:
    """No label has another name, nor would get one back by an undo or a version; and none is created now."""
    await lock_dataset(session, dataset_id, by, exclusive=True)
    await jobs.expect_no_ingest(session, dataset_id)  # it would have read the rule, and may still create labels
    present = await session.exec(select(Label.name).where(col(Label.dataset_id) == dataset_id))
    former = await session.exec(select(label_past.c.name).where(label_past.c.dataset_id == dataset_id).distinct())
    refused = sorted(name for name in {*present, *former} if not names.is_standard(name))
    if refused:
        raise Invalid(
            "`labelNames` stays ANY: some present or former names of labels do not fit STANDARD, such as "
            f"`{refused[0]}`.",
            names=refused[:100],
        )
