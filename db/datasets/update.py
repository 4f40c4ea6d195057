"""Updating a dataset's name, description and settings. They are not part of its working set: no change is recorded."""

from dataclasses import dataclass

from sqlalchemy import func
from sqlalchemy import update as update_rows
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from db import jobs
from db.datasets.create import Settings, name_taken
from db.errors import Forbidden, Invalid
from db.formats import names
from db.history.changes import lock_dataset, no_such_dataset
from db.identity.tokens import Identity
from db.postgres.models import Dataset, Label, label_past


@dataclass(frozen=True, slots=True)
class Updated:
    dataset_id: int


async def update(
    session: AsyncSession,
    dataset_id: int,
    *,
    by: Identity,
    name: str | None = None,
    description: str | None = None,
    settings: Settings | None = None,
) -> Updated:
    """Set what is given; None leaves it."""
    columns = (settings or Settings()).columns()
    if name is not None:
        columns["name"] = names.dataset_name(name)
    if description is not None:
        columns["description"] = names.description(description)
    if not by.sees(dataset_id):
        raise no_such_dataset()
    if columns.get("label_names") == "STANDARD":
        await _expect_standard_names(session, dataset_id, by)
    found = await session.exec(
        select(Dataset).where(col(Dataset.id) == dataset_id, col(Dataset.deleted_at).is_(None)).with_for_update()
    )
    dataset = found.one_or_none()
    if dataset is None:
        raise no_such_dataset()
    changed = {column: value for column, value in columns.items() if value != getattr(dataset, column)}
    if "name" in changed:
        await _expect_free_name(session, changed["name"], by)
    if changed:
        await session.exec(
            update_rows(Dataset)
            .where(col(Dataset.id) == dataset_id)
            .values(**changed, updated_at=func.clock_timestamp())
        )
    return Updated(dataset_id)


async def _expect_free_name(session: AsyncSession, name: str, by: Identity) -> None:
    """Names are unique among all datasets, so trying one shows whether a dataset has it."""
    if by.dataset_ids is not None:
        raise Forbidden("This token is confined to certain datasets, so it cannot give one another name.")
    taken = await session.exec(select(Dataset.id).where(col(Dataset.name) == name, col(Dataset.deleted_at).is_(None)))
    if taken.first() is not None:
        raise name_taken(name)


async def _expect_standard_names(session: AsyncSession, dataset_id: int, by: Identity) -> None:
    """No label has another name, nor would get one back by an undo or a version; and none is created now."""
    await lock_dataset(session, dataset_id, by, exclusive=True)
    await jobs.expect_no_ingest(session, dataset_id)  # it would have read the rule, and may still create labels
    present = await session.exec(select(Label.name).where(col(Label.dataset_id) == dataset_id))
    former = await session.exec(select(label_past.c.name).where(label_past.c.dataset_id == dataset_id).distinct())
    refused = sorted(name for name in {*present, *former} if not names.is_standard(name))
    if refused:
        raise Invalid(
            f"The dataset keeps the rule ANY: present or former names of its labels do not fit STANDARD, "
            f"such as `{refused[0]}`.",
            names=refused[:100],
        )
