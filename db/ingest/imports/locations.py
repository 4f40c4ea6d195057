"""Locating and opening the files that a manifest names: never further than the server's owner, and the token
of whoever asked, allow.

A location has one form here: `s3://bucket/key`, or an absolute path without links being followed.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from db.errors import DomainError, Invalid, StorageError
from db.formats.names import excerpt, is_storable
from db.formats.paths import path_of_url, path_parts
from db.postgres import sql
from db.postgres.engine import Database
from db.storage import RootMissing, Store, Stores
from db.storage.locations import BUCKET, S3

SQL: Final = sql.load(__file__)

OBS: Final = "obs://"
FILE: Final = "file://"
MAX_KNOWN: Final = 10_000  # folders whose stores are remembered
MAX_LENGTH: Final = 2_048  # bytes of a location


def location_of(text: str, *, folder: str = "") -> str:
    """The one form of a file's location; `./` leads from `folder`. Raises Invalid."""
    if not is_storable(text) or len(text.encode()) > MAX_LENGTH:
        raise _refused(f"A location is text of at most {MAX_LENGTH:,} bytes.")
    if folder and text.startswith("./"):
        return location_of(f"{folder}{text[2:]}")
    if text.startswith(OBS):
        text = S3 + text.removeprefix(OBS)
    if text.startswith(S3):
        bucket, _, key = text.removeprefix(S3).partition("/")
        if not BUCKET.fullmatch(bucket):
            raise _refused(f"`{excerpt(bucket)}` cannot be the name of a bucket.")
        path_parts(key)
        return text
    path = path_of_url(text) if text.startswith(FILE) else text
    if not path.startswith("/"):
        raise _refused("A location is written s3://…, obs://…, file:///… or as an absolute path.")
    path_parts(path[1:])
    return path


def _refused(message: str) -> Invalid:
    return Invalid(message, code="INVALID_PATH")


def folder_of(text: str) -> str:
    """The one form of a location that others lie below: it ends with a slash."""
    return f"{location_of(text.rstrip('/') + '/-')[:-1]}"


@dataclass(slots=True)
class ReadableLocations:
    """Opens the stores of locations. `allowed`: all that may be read, where the token is confined."""

    stores: Stores
    allowed: Sequence[str] | None = None
    known: dict[str, Store | DomainError] = field(default_factory=dict)

    @classmethod
    async def of(cls, database: Database, stores: Stores, dataset_ids: Sequence[int] | None) -> "ReadableLocations":
        if dataset_ids is None:
            return cls(stores)
        async with database.reading() as connection:
            rows = await sql.run(connection, SQL.of_datasets, ids=list(dataset_ids))
        return cls(stores, [f"{path.rstrip('/')}/" for row in rows for path in row.values() if path is not None])

    async def open(self, location: str) -> tuple[Store, str]:
        """The store at the folder of a file, and the file's name in it. Raises INVALID_PATH where it may not be."""
        above, _, name = location.rpartition("/")

        def opened() -> Store | DomainError:
            try:
                url = self.stores.locations.input(f"{above}/")
            except Invalid:
                return _refused("The server may not read this location: see `--allow-root` and `LABELGRAPH_S3_…`.")
            if self.allowed is not None and not f"{url.rstrip('/')}/".startswith(tuple(self.allowed)):
                return _refused("The token that requested the import may not read this location.")
            return self.stores.open(url)

        if above not in self.known:
            if len(self.known) >= MAX_KNOWN:
                self.known.clear()
            self.known[above] = await self.stores.disks.resolving(above).run(opened)
        match self.known[above]:
            case DomainError() as refused:
                raise refused
            case store:
                return store, name

    async def read(self, location: str, *, length: int) -> bytes:
        """The first bytes of a file. Raises StorageError in place of RootMissing, which is said of input paths."""
        store, name = await self.open(location)
        try:
            return await store.read(name, length=length)
        except RootMissing as away:
            raise StorageError(missing(away, location)) from away


def missing(failed: StorageError, location: str) -> str:
    """Why a file cannot be read. That its folder is not there is said of input paths; this may be another one."""
    if isinstance(failed, RootMissing) and failed.message == RootMissing().message:
        return f"The folder of `{shown(location)}` does not exist, or the server may not read it."
    return failed.message


def shown(location: str) -> str:
    """In a message."""
    return excerpt(location, 200)
