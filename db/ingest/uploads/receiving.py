"""The door for bytes, where a store has none of its own: what is awaited under a URL that we signed."""

from dataclasses import dataclass

from db.ingest.uploads.upload_requests import STAGING
from db.postgres.engine import Database

AWAITED = """
    SELECT dataset_id, input_path, size FROM upload JOIN dataset ON dataset.id = dataset_id
    WHERE staged = $1 AND finished_at IS NULL AND deleted_at IS NULL
"""


@dataclass(frozen=True, slots=True)
class Awaited:
    """A file that is to come: so many bytes, for this path below this input path."""

    dataset_id: int
    input_path: str
    path: str
    size: int


async def awaited(database: Database, name: str) -> Awaited | None:
    """None: nothing is (any more)."""
    async with database.reading() as connection:
        row = await connection.fetchrow(AWAITED, name)
    return None if row is None else Awaited(row["dataset_id"], row["input_path"], STAGING + name, row["size"])
