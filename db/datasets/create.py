"""Creating a dataset, with its labels and its first sync. Its files are only read."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from db.errors import AlreadyExists, Forbidden
from db.formats import names, patterns
from db.history.changes import record
from db.identity.tokens import Identity
from db.ingest import job_requests, sync
from db.labelling import labels
from db.labelling.labels import LabelValues
from db.labelling.labels.create import listed
from db.postgres.models import Dataset
from db.storage import Stores


@dataclass(frozen=True, slots=True)
class Settings:
    """Which files a sync takes, and which names labels may have. None: the default, or in an update the present one."""

    include: Sequence[str] | None = None
    exclude: Sequence[str] | None = None
    label_names: names.LabelNameRule | None = None

    def columns(self) -> dict[str, Any]:
        """Those that are set. Raises Invalid for a pattern that cannot be."""
        checked = {
            "include": None if self.include is None else patterns.validated(self.include),
            "exclude": None if self.exclude is None else patterns.validated(self.exclude),
            "label_names": self.label_names,
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
class Created:
    dataset_id: int
    job: int | None = None


async def resolve_paths(
    input_path: str, output_path: str | None, stores: Stores, *, by: Identity
) -> tuple[str, str | None]:
    """Both paths in their one form. Raises INVALID_PATH where they are not allowed, or lie in each other."""
    _expect_unconfined(by)
    source = await stores.input(input_path)
    return source, None if output_path is None else await stores.output(output_path, source=source)


async def create(session: AsyncSession, values: DatasetValues, *, by: Identity, sync_now: bool = True) -> Created:
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
    if first_labels:
        summary = f"Created {listed(v.name for v in first_labels)}"
        change = await record(session, dataset_id, by.name, "CREATE_LABELS", summary)
        await labels.insert(session, dataset_id, first_labels, change)
    job = await job_requests.start(session, dataset_id, sync.Options(), requested_by=by.name) if sync_now else None
    return Created(dataset_id, job)


def _expect_unconfined(by: Identity) -> None:
    """Before anything is looked up: a path or a name that is refused would show a confined token what is there."""
    if by.dataset_ids is not None:
        raise Forbidden("This token is confined to certain datasets, so it cannot create one.")


def name_taken(name: str) -> AlreadyExists:
    return AlreadyExists(
        f"There is a dataset named `{name}` already; choose another name.", code="DATASET_ALREADY_EXISTS", name=name
    )
