"""Where uploaded files go: the store of their dataset, and free paths in it."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Self

import asyncpg
from sqlmodel.ext.asyncio.session import AsyncSession

from db.errors import Invalid, StorageError
from db.formats.images import Format
from db.formats.patterns import Exclusion
from db.history.changes import no_such_dataset
from db.identity.tokens import Identity
from db.ingest.uploads.files import MAX_NAMES, InvalidName, OnConflict, checked_name, numbered
from db.postgres import sql
from db.postgres.engine import Database
from db.storage import Store, Stores

SQL: Final = sql.load(__file__)
EXCLUDED: Final = (
    "The dataset excludes files of this name. Rename the file, or change `exclude` of the dataset with `updateDataset`."
)
BLOCKS: Final = ((0, 1), (1, 10), (10, 100), (100, MAX_NAMES + 1))  # numbers of names that are looked up at once


@dataclass(frozen=True, slots=True)
class Destination:
    """Of a dataset: where its files are, the formats of images that it takes, and the paths that it excludes."""

    input_path: str
    formats: Sequence[Format]
    exclude: Exclusion

    @classmethod
    def of(cls, row: asyncpg.Record) -> Self:
        return cls(row["input_path"], row["formats"], Exclusion.of(row["exclude"]))

    def check(self, name: str) -> None:
        if self.exclude.match(name):
            raise InvalidName(EXCLUDED)


async def destination_of(database: Database, dataset_id: int, *, by: Identity) -> Destination:
    """Raises DATASET_NOT_FOUND, also where the token may not see the dataset."""
    async with database.reading() as connection:
        row = await sql.first(connection, SQL.destination, dataset_id=dataset_id)
    if row is None or not by.sees(dataset_id):
        raise no_such_dataset()
    return Destination.of(row)


def open_store(stores: Stores, input_path: str) -> Store:
    """The store of a dataset. Its path was good when the dataset was made: what is wrong with it now may pass."""
    try:
        return stores.open(input_path)
    except Invalid as refused:
        raise StorageError(refused.message) from refused


async def lock_names(session: AsyncSession, dataset_id: int) -> None:
    """Keys and names of a dataset are given away by one transaction at a time, so each sees what all before took."""
    await sql.run(session, SQL.lock_names, dataset_id=dataset_id)


async def expect_room(session: AsyncSession, dataset_id: int, size: int, most: int, *, by: Identity) -> None:
    """Refuse new files of this size beyond what may be staged for a dataset: of that one token has at most half of what
    the others leave, so there is always some for another one. The names are locked."""
    staged = await sql.first(session, SQL.staged_bytes, dataset_id=dataset_id, token_id=by.token_id)
    assert staged is not None
    waiting, others = staged["of_token"], staged["of_all"] - staged["of_token"]
    limit = max(0, most - others) // 2
    if waiting + size > limit:
        message = (
            f"The dataset waits for files of {waiting} bytes that this token requested, and for at most {limit} at a "
            f"time, half of what other tokens leave of {most}: complete or import those, or cancel them with "
            "`cancelUploads`."
        )
        raise Invalid(message, code="UPLOAD_TOO_LARGE", limit=limit, staged=waiting)


async def free_paths(
    session: AsyncSession,
    dataset_id: int,
    names: Iterable[str],
    on_conflict: OnConflict,
    *,
    without: Collection[str] = (),
) -> list[str | None]:
    """A free path for each name, in their order; None where there is none. At most one statement for each block. The
    names were checked before."""
    checked = [checked_name(name) for name in names]
    found: list[str | None] = [None] * len(checked)
    taken: set[str | None] = set(without)
    for block in BLOCKS if on_conflict == "RENAME" else BLOCKS[:1]:
        waiting = [position for position, path in enumerate(found) if path is None]
        names = {checked[position] for position in waiting}
        candidates = {name: [numbered(name, number) for number in range(*block)] for name in names}
        if candidates:
            paths = sorted({path for paths in candidates.values() for path in paths})
            rows = await sql.run(session, SQL.taken, dataset_id=dataset_id, paths=paths)
            taken |= {row["path"] for row in rows}
        free = {name: (path for path in paths if path not in taken) for name, paths in candidates.items()}
        for position in waiting:
            found[position] = next(free[checked[position]], None)
            taken.add(found[position])
    return found
