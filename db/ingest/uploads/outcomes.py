"""What is known of an upload that was asked for, and what became of it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import asyncpg
from sqlmodel.ext.asyncio.session import AsyncSession

from db.formats import names
from db.ingest.uploads.files import OnConflict
from db.ingest.uploads.rows import Put
from db.postgres import sql

LOCK = """
    SELECT id FROM upload WHERE dataset_id = :dataset_id AND key = ANY(:keys::text[]) ORDER BY id FOR UPDATE
"""
ROWS = """
    SELECT upload.id, key, file_name, size, labels, create_missing, on_conflict, upload.path, staged,
           finished_at, error_code, error, generation, sample.id AS sample
    FROM upload LEFT JOIN sample ON sample.id = upload.sample_id
    WHERE upload.dataset_id = :dataset_id AND key = ANY(:keys::text[])
"""


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

    @classmethod
    def of(cls, row: asyncpg.Record) -> "Upload":
        return cls(**dict(row))


@dataclass(frozen=True, slots=True)
class Completed:
    """What became of an upload: a sample, or a refusal. `ended`: its key has nothing more to wait for."""

    key: str
    file_name: str | None = None
    sample: int | None = None
    code: str | None = None
    message: str = ""
    ended: bool = False


@dataclass(frozen=True, slots=True)
class Arrived:
    """What was found under the keys, each once. `puts` know their places, `refused` go by them. `generations`: of the
    uploads, by key, when they were looked at."""

    input_path: str
    keys: tuple[str, ...]
    puts: tuple[Put, ...]
    refused: Mapping[int, Completed]
    generations: Mapping[str, int]


NOTHING = Arrived("", (), (), {}, {})


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
    """By key, held until the commit. Locked first: only a later statement sees the samples of whom it waited for."""
    known = sorted({key for key in keys if names.is_storable(key)})
    await sql.run(session, LOCK, dataset_id=dataset_id, keys=known)
    found = await sql.run(session, ROWS, dataset_id=dataset_id, keys=known)
    return {row["key"]: Upload.of(row) for row in found}
