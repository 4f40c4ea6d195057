"""Models whose embeddings are stored. The embeddings are in a table of db/postgres/pgvector.sql, where there is pgvector."""

from pathlib import Path

from alembic import op

from db.postgres.migrations import run_script

revision = "0035"
down_revision: str | None = "0034"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_script(op.get_bind(), Path(__file__).with_suffix(".sql"))


def downgrade() -> None:
    run_script(op.get_bind(), Path(__file__).with_name("0035_embeddings_down.sql"))
