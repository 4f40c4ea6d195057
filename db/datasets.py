"""Datasets: made, described anew, deleted. The files of a dataset are never touched here."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlmodel.ext.asyncio.session import AsyncSession

from db import jobs, labels, names, purge, statements, sync
from db.access import record
from db.changes import no_such_dataset
from db.errors import AlreadyExists, Forbidden
from db.labels import LabelValues
from db.labels.create import listed
from db.storage import Stores
from db.tokens import Identity

INSERT = """
    INSERT INTO dataset (name, description, type, input_path, output_path, created_by)
    VALUES (:name, :description, :type, :input_path, :output_path, :created_by)
    ON CONFLICT (name) WHERE deleted_at IS NULL DO NOTHING
    RETURNING id
"""
UPDATE = """
    UPDATE dataset SET name = coalesce(:name, name), description = coalesce(:description, description),
           updated_at = CASE WHEN (coalesce(:name, name), coalesce(:description, description)) = (name, description)
                             THEN updated_at ELSE clock_timestamp() END
    WHERE id = :id AND deleted_at IS NULL
    RETURNING id
"""
TAKEN = "SELECT true FROM dataset WHERE name = :name AND id <> :id AND deleted_at IS NULL"
DELETE = "UPDATE dataset SET deleted_at = now() WHERE id = :id AND deleted_at IS NULL RETURNING id"


@dataclass(frozen=True, slots=True)
class DatasetValues:
    """A dataset to be made, its paths as `placed` gave them."""

    name: str
    type: str
    input_path: str
    output_path: str | None = None
    description: str = ""
    labels: Sequence[LabelValues] = ()


@dataclass(frozen=True, slots=True)
class Created:
    dataset_id: int
    job: int | None = None


@dataclass(frozen=True, slots=True)
class Touched:
    dataset_id: int


async def placed(input_path: str, output_path: str | None, stores: Stores, *, by: Identity) -> tuple[str, str | None]:
    """Both paths in their one form, allowed and apart."""
    _expect_unconfined(by)
    source = await stores.input(input_path)
    return source, None if output_path is None else await stores.output(output_path, source=source)


async def create(session: AsyncSession, values: DatasetValues, *, by: Identity, sync_now: bool = True) -> Created:
    """Make a dataset with its labels; `sync_now` asks for its first sync, and both commit together."""
    _expect_unconfined(by)
    name = names.dataset_name(values.name)
    first_labels = labels.checked(values.labels)
    made = await statements.first(
        session,
        INSERT,
        name=name,
        description=names.description(values.description),
        type=values.type,
        input_path=values.input_path,
        output_path=values.output_path,
        created_by=by.name,
    )
    if made is None:
        raise _name_taken(name)
    dataset_id: int = made["id"]
    if first_labels:
        change = await record(
            session, dataset_id, by, "CREATE_LABELS", f"Created {listed(v.name for v in first_labels)}"
        )
        await labels.add(session, dataset_id, first_labels, change)
    job = await sync.start(session, dataset_id, requested_by=by.name) if sync_now else None
    return Created(dataset_id, job)


async def update(
    session: AsyncSession, dataset_id: int, *, by: Identity, name: str | None = None, description: str | None = None
) -> Touched:
    """Give a dataset another name or description. These are no facts of its working set: no change is recorded."""
    values = {
        "name": None if name is None else names.dataset_name(name),
        "description": None if description is None else names.description(description),
    }
    _seen(dataset_id, by)
    if values["name"] is not None:
        await _expect_free_to_rename(session, dataset_id, values["name"], by)
    if await statements.first(session, TAKEN, id=dataset_id, name=values["name"]):
        raise _name_taken(str(values["name"]))
    if await statements.first(session, UPDATE, id=dataset_id, **values) is None:
        raise no_such_dataset()
    return Touched(dataset_id)


async def delete(session: AsyncSession, dataset_id: int, *, by: Identity) -> Touched:
    """Delete a dataset: its name is free at once, its jobs stop, its rows go in time; files and outputs stay."""
    _seen(dataset_id, by)
    if await statements.first(session, DELETE, id=dataset_id) is None:
        raise no_such_dataset()
    await jobs.cancel_all(session, dataset_id)
    await purge.start(session, dataset_id, requested_by=by.name)
    return Touched(dataset_id)


def _expect_unconfined(by: Identity) -> None:
    """Before anything is looked up: a path or a name that is refused would tell a confined token what is there."""
    if by.dataset_ids is not None:
        raise Forbidden("This token is confined to certain datasets, so it cannot create one.")


async def _expect_free_to_rename(session: AsyncSession, dataset_id: int, name: str, by: Identity) -> None:
    """Names are unique among all datasets, so to try one tells whether a dataset has it."""
    if by.dataset_ids is None:
        return
    now = await statements.first(session, "SELECT name FROM dataset WHERE id = :id", id=dataset_id)
    if now is not None and now["name"] != name:
        raise Forbidden("This token is confined to certain datasets, so it cannot give one another name.")


def _seen(dataset_id: int, by: Identity) -> None:
    if not by.sees(dataset_id):
        raise no_such_dataset()


def _name_taken(name: str) -> AlreadyExists:
    return AlreadyExists(
        f"There is a dataset named `{name}` already; choose another name.", code="DATASET_ALREADY_EXISTS", name=name
    )
