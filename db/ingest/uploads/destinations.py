"""Where uploaded files go: the store of their dataset, and free paths in it."""

from collections import defaultdict
from collections.abc import Collection, Iterable
from typing import Final

from sqlmodel.ext.asyncio.session import AsyncSession

from db.errors import Invalid, StorageError
from db.history.changes import no_such_dataset
from db.identity.tokens import Identity
from db.ingest.uploads.files import MAX_NAMES, OnConflict, checked_name, numbered
from db.postgres import sql
from db.postgres.engine import Database
from db.storage import Store, Stores

SQL: Final = sql.load(__file__)
BLOCKS: Final = ((0, 1), (1, 10), (10, 100), (100, MAX_NAMES + 1))  # numbers of names that are looked up at once


async def input_path_of(database: Database, dataset_id: int, *, by: Identity) -> str:
    """The input path of a dataset that the token may see."""
    async with database.reading() as connection:
        path: str | None = await sql.value(connection, SQL.input_path, dataset_id=dataset_id)
    if path is None or not by.sees(dataset_id):
        raise no_such_dataset()
    return path


def open_store(stores: Stores, input_path: str) -> Store:
    """The store of a dataset. Its path was good when the dataset was made: what is wrong with it now may pass."""
    try:
        return stores.open(input_path)
    except Invalid as refused:
        raise StorageError(refused.message) from refused


async def lock_names(session: AsyncSession, dataset_id: int) -> None:
    """Keys and names of a dataset are given away by one transaction at a time, so each sees what all before took."""
    await sql.run(session, SQL.lock_names, dataset_id=dataset_id)


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
    found: dict[int, str] = {}
    waiting = defaultdict[str, list[int]](list)  # positions by name
    for position, name in enumerate(names):
        waiting[checked_name(name)].append(position)
    count, taken = sum(map(len, waiting.values())), set(without)
    for block in BLOCKS if on_conflict == "RENAME" else BLOCKS[:1]:
        candidates = {
            name: [numbered(name, number) for number in range(*block)]
            for name, positions in waiting.items()
            if positions
        }
        if candidates:
            paths = sorted({path for paths in candidates.values() for path in paths})
            rows = await sql.run(session, SQL.taken, dataset_id=dataset_id, paths=paths)
            taken |= {row["path"] for row in rows}
        for name, paths in candidates.items():
            for path in paths:
                if waiting[name] and path not in taken:
                    found[waiting[name].pop(0)] = path
                    taken.add(path)
    return [found.get(position) for position in range(count)]
