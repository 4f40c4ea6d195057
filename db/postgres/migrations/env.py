"""How alembic reaches the database: async, one transaction, one migrator at a time."""

import asyncio
from typing import Final

from alembic import context
from sqlalchemy import Connection, text

from db.postgres.engine import single_transaction
from db.postgres.migrations import MIGRATING
from db.postgres.models import metadata

# Tables that only statements in SQL use.
WITHOUT_MODEL: Final = frozenset(
    {
        "auto_label_example",
        "auto_label_sample",
        "embedding",
        "export_sample",
        "idempotency",
        "image_feature",
        "import_file",
        "import_line",
        "import_upload",
        "look",
        "look_hash",
        "sample_past_unpublished",
        "source_deletion",
        "staging",
        "sync_item",
        "sync_object",
        "sync_sidecar",
        "sync_unchanged",
        "upload",
        "verdict",
        "verdict_past",
    }
)


def migrate(connection: Connection) -> None:
    context.configure(connection=connection, target_metadata=metadata, compare_type=True, include_object=is_ours)
    with context.begin_transaction():
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": MIGRATING})
        context.run_migrations()


def is_ours(_object: object, name: str | None, kind: str, _reflected: bool, _compared: object) -> bool:
    """Indexes, constraints and some tables are in the migrations' SQL alone; schema.sql guards them."""
    return kind in ("table", "column") and name != "alembic_version" and name not in WITHOUT_MODEL


async def main() -> None:
    async with single_transaction(context.config.attributes["url"]) as connection:
        await connection.run_sync(migrate)


if (given := context.config.attributes.get("connection")) is not None:
    migrate(given)
else:
    asyncio.run(main())
