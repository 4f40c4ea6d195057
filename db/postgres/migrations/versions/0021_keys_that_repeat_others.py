"""Foreign keys that repeat others go: each was looked up once more for every row of a bulk write."""

from alembic import op

revision = "0021"
down_revision: str | None = "0020"
branch_labels = None
depends_on = None

# An annotation's sample, and a version, belong to a dataset that is there: their own keys say so.
TABLES = ("annotation", "version_eval")


def upgrade() -> None:
    for table in TABLES:
        op.execute(f"ALTER TABLE {table} DROP CONSTRAINT {table}_dataset_id_fkey")


def downgrade() -> None:
    for table in TABLES:
        op.execute(f"ALTER TABLE {table} ADD FOREIGN KEY (dataset_id) REFERENCES dataset")
