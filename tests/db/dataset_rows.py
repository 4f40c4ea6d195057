"""Rows of datasets for tests of writers: made by SQL, independent of the writers under test."""

from dataclasses import dataclass, field

from db.datasets import check
from db.history import changes
from db.identity.tokens import Identity, Scope
from db.postgres.engine import Database
from db.postgres.sql import connection_of

ANN = Identity("ann", Scope.MANAGE, token_id=1)
BOB = Identity("bob", Scope.MANAGE, token_id=2)


@dataclass(frozen=True, slots=True)
class DatasetRows:
    """A dataset with the ids of its samples, oldest first, and of its labels by name."""

    id: int
    samples: list[int]
    labels: dict[str, int] = field(default_factory=dict)


async def make(
    database: Database,
    *,
    samples: int = 0,
    labels: tuple[str, ...] = (),
    name: str = "pets",
    input_path: str = "/images",
    kind: str = "IMAGE_CLASSIFICATION",
    directory: str = "",
    etag: str = "e",
    size: tuple[int, int] | None = None,
) -> DatasetRows:
    """Revision 1 adds what is there; samples `000000.jpg` … were made a minute apart. Without `size` it is unknown."""
    async with database.writing() as session:
        connection = await connection_of(session)
        dataset = await connection.fetchval(
            "INSERT INTO dataset (name, type, input_path, created_by) VALUES ($1, $2, $3, 'ann') RETURNING id",
            name,
            kind,
            input_path,
        )
        if not samples and not labels:
            return DatasetRows(dataset, [])
        change = await changes.record(session, dataset, kind="SYNC", actor="sync", summary="Synced")
        await connection.execute(
            """INSERT INTO source (dataset_id, path, etag, size, modified_at, format, width, height)
            SELECT $1, $3 || lpad(n::text, 6, '0') || '.jpg', $4, 100,
                   '2026-01-01Z'::timestamptz + n * interval '1 min', 'JPEG', $5, $6
            FROM generate_series(0, $2 - 1) n""",
            dataset,
            samples,
            directory,
            etag,
            *(size or (None, None)),
        )
        rows = await connection.fetch(
            """INSERT INTO sample (dataset_id, source_id, path, created_at, since)
            SELECT dataset_id, id, path, modified_at, $2 FROM source WHERE dataset_id = $1 ORDER BY id RETURNING id""",
            dataset,
            change.revision,
        )
        named = await connection.fetch(
            "INSERT INTO label (dataset_id, name, since) SELECT $1, unnest($2::text[]), $3 RETURNING name, id",
            dataset,
            list(labels),
            change.revision,
        )
    return DatasetRows(dataset, [row["id"] for row in rows], {row["name"]: row["id"] for row in named})


async def wrong(database: Database, dataset_id: int) -> list[str]:
    async with database.reading() as reader:
        return await check.recount(reader, dataset_id)


async def names(database: Database, dataset_id: int) -> dict[int, list[str]]:
    """The names of the labels on every live sample, sorted, by the sample's id."""
    async with database.reading() as reader:
        rows = await reader.fetch(NAMES, dataset_id)
    return {row["id"]: row["names"] for row in rows}


NAMES = """
    SELECT s.id, ARRAY(SELECT l.name FROM label l WHERE l.id = ANY(s.label_ids) ORDER BY l.name) AS names
    FROM sample s WHERE s.dataset_id = $1 ORDER BY s.id
"""
