"""Datasets: made, described anew, deleted. The files of a dataset are never touched here."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlmodel.ext.asyncio.session import AsyncSession

from db import jobs
from db.datasets import purge
from db.errors import AlreadyExists, Forbidden, Invalid
from db.formats import names, patterns
from db.history.changes import lock_dataset, no_such_dataset, record
from db.identity.tokens import Identity
from db.ingest import sync
from db.labelling import labels
from db.labelling.labels import LabelValues
from db.labelling.labels.create import listed
from db.postgres import sql
from db.storage import Stores

INSERT = """
    INSERT INTO dataset (name, description, type, input_path, output_path, created_by, include, exclude, label_names)
    VALUES (:name, :description, :type, :input_path, :output_path, :created_by,
            coalesce(:include::text[], '{}'), coalesce(:exclude::text[], '{}'), coalesce(:label_names, 'STANDARD'))
    ON CONFLICT (name) WHERE deleted_at IS NULL DO NOTHING
    RETURNING id
"""
UPDATE = """
    UPDATE dataset SET name = new.name, description = new.description, include = new.include, exclude = new.exclude,
           label_names = new.label_names,
           updated_at = CASE WHEN new IS NOT DISTINCT FROM (dataset.name, dataset.description, dataset.include,
                                                           dataset.exclude, dataset.label_names)
                             THEN updated_at ELSE clock_timestamp() END
    FROM (SELECT coalesce(:name COLLATE "C", name) AS name, coalesce(:description, description) AS description,
                 coalesce(:include::text[], include) AS include, coalesce(:exclude::text[], exclude) AS exclude,
                 coalesce(:label_names, label_names) AS label_names
          FROM dataset WHERE id = :id AND deleted_at IS NULL FOR UPDATE) AS new
    WHERE id = :id AND deleted_at IS NULL
    RETURNING id
"""
TAKEN = "SELECT true FROM dataset WHERE name = :name AND id <> :id AND deleted_at IS NULL"
DELETE = "UPDATE dataset SET deleted_at = now() WHERE id = :id AND deleted_at IS NULL RETURNING id"


# Names that a label has or had, and that may not fit: all that are long, or not of ASCII alone.
DOUBTFUL = """
    SELECT DISTINCT name FROM (SELECT name FROM label WHERE dataset_id = :id
                               UNION ALL SELECT name FROM label_past WHERE dataset_id = :id) named
    WHERE char_length(name) > 32 OR name ~ '[^0-9A-Za-z_-]'
"""


@dataclass(frozen=True, slots=True)
class Settings:
    """Which files a sync takes, and which names labels may have. None: as it is, or as usual."""

    include: Sequence[str] | None = None
    exclude: Sequence[str] | None = None
    label_names: names.LabelNameRule | None = None

    def checked(self) -> dict[str, Any]:
        include, exclude = (
            None if given is None else patterns.checked(given) for given in (self.include, self.exclude)
        )
        return {"include": include, "exclude": exclude, "label_names": self.label_names}


@dataclass(frozen=True, slots=True)
class DatasetValues:
    """A dataset to be made, its paths as `placed` gave them."""

    name: str
    type: str
    input_path: str
    output_path: str | None = None
    description: str = ""
    labels: Sequence[LabelValues] = ()
    settings: Settings = Settings()


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
    first_labels = labels.checked(values.labels, values.settings.label_names or "STANDARD")
    made = await sql.first(
        session,
        INSERT,
        name=name,
        description=names.description(values.description),
        type=values.type,
        input_path=values.input_path,
        output_path=values.output_path,
        created_by=by.name,
        **values.settings.checked(),
    )
    if made is None:
        raise _name_taken(name)
    dataset_id: int = made["id"]
    if first_labels:
        change = await record(
            session, dataset_id, by.name, "CREATE_LABELS", f"Created {listed(v.name for v in first_labels)}"
        )
        await labels.add(session, dataset_id, first_labels, change)
    job = await sync.start(session, dataset_id, requested_by=by.name) if sync_now else None
    return Created(dataset_id, job)


async def update(
    session: AsyncSession,
    dataset_id: int,
    *,
    by: Identity,
    name: str | None = None,
    description: str | None = None,
    settings: Settings | None = None,
) -> Touched:
    """Give a dataset another name, description or settings. These are no facts of its working set: no change is
    recorded."""
    values = {
        "name": None if name is None else names.dataset_name(name),
        "description": None if description is None else names.description(description),
        **(settings or Settings()).checked(),
    }
    _seen(dataset_id, by)
    if values["name"] is not None:
        await _expect_free_to_rename(session, dataset_id, values["name"], by)
    if values["label_names"] == "STANDARD":
        await _expect_standard_names(session, dataset_id, by)
    if await sql.first(session, TAKEN, id=dataset_id, name=values["name"]):
        raise _name_taken(str(values["name"]))
    if await sql.first(session, UPDATE, id=dataset_id, **values) is None:
        raise no_such_dataset()
    return Touched(dataset_id)


async def _expect_standard_names(session: AsyncSession, dataset_id: int, by: Identity) -> None:
    """No label has another name, nor would get one back by an undo or a version; and none is made meanwhile."""
    await lock_dataset(session, dataset_id, by, exclusive=True)
    running = await jobs.active_ingest(session, dataset_id)
    if running is not None:  # it has read the rule, and may still make labels
        raise jobs.dataset_busy(running)
    found = [row["name"] for row in await sql.run(session, DOUBTFUL, id=dataset_id)]
    refused = sorted(name for name in found if not names.is_standard(name))
    if refused:
        raise Invalid(
            f"The dataset keeps the rule ANY: present or former names of its labels do not fit STANDARD, "
            f"such as `{refused[0]}`.",
            names=refused[:100],
        )


async def delete(session: AsyncSession, dataset_id: int, *, by: Identity) -> Touched:
    """Delete a dataset: its name is free at once, its jobs stop, its rows go in time; files and outputs stay."""
    _seen(dataset_id, by)
    if await sql.first(session, DELETE, id=dataset_id) is None:
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
    now = await sql.first(session, "SELECT name FROM dataset WHERE id = :id", id=dataset_id)
    if now is not None and now["name"] != name:
        raise Forbidden("This token is confined to certain datasets, so it cannot give one another name.")


def _seen(dataset_id: int, by: Identity) -> None:
    if not by.sees(dataset_id):
        raise no_such_dataset()


def _name_taken(name: str) -> AlreadyExists:
    return AlreadyExists(
        f"There is a dataset named `{name}` already; choose another name.", code="DATASET_ALREADY_EXISTS", name=name
    )
