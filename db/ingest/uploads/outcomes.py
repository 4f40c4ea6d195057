"""An upload that was requested, as its row says, and its outcome."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlmodel.ext.asyncio.session import AsyncSession

from db.errors import DomainError
from db.formats import names
from db.ingest.entry import Entry
from db.ingest.uploads.files import OnConflict
from db.postgres import sql

SQL: Final = sql.load(__file__)


@dataclass(frozen=True, slots=True)
class Upload:
    """A row, as it was read. `sample` is one that is there still."""

    id: int
    key: str
    file_name: str
    size: int
    labels: Sequence[str]
    create_missing: bool
    on_conflict: OnConflict
    path: str
    staged: str
    finished_at: datetime | None
    error_code: str | None
    error: str | None
    generation: int
    sample: int | None

    @property
    def is_open(self) -> bool:
        return self.finished_at is None

    def refused(self, error: DomainError, *, ended: bool) -> "Completed":
        return Completed(self.key, self.file_name, code=error.code, message=error.message, ended=ended)


@dataclass(frozen=True, slots=True)
class Completed:
    """The outcome of an upload: a sample, or a refusal. `ended`: its key has nothing more to wait for."""

    key: str
    file_name: str | None = None
    sample: int | None = None
    code: str | None = None
    message: str = ""
    ended: bool = False


@dataclass(frozen=True, slots=True)
class InspectedUploads:
    """What was found under the keys, each once: entries whose positions are those of their keys, and refusals by these
    positions. `generations`: of the uploads, by key, when they were read."""

    input_path: str
    keys: tuple[str, ...]
    entries: tuple[Entry, ...]
    refused: Mapping[int, Completed]
    generations: Mapping[str, int]


NOTHING = InspectedUploads("", (), (), {}, {})


@dataclass(frozen=True, slots=True)
class Completion:
    dataset_id: int
    input_path: str
    results: tuple[Completed, ...]
    staged: tuple[str, ...] = ()  # paths that nobody needs any more
    change: int | None = None

    @property
    def is_final(self) -> bool:
        """Whether completing the same keys again could do nothing more."""
        return all(one.ended for one in self.results)


async def rows(session: AsyncSession, dataset_id: int, keys: Iterable[str]) -> dict[str, Upload]:
    """The uploads by key, locked until the commit. They are locked first: only a later statement sees the samples of a
    transaction that the lock waited for."""
    known = sorted({key for key in keys if names.is_storable(key)})
    await sql.run(session, SQL.lock, dataset_id=dataset_id, keys=known)
    found = await sql.run(session, SQL.rows, dataset_id=dataset_id, keys=known)
    return {row["key"]: Upload(**row) for row in found}
