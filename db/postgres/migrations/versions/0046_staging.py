"""A job knows whether Postgres has crashed since it began to stage, which empties unlogged tables."""

from alembic import op

revision = "0046"
down_revision: str | None = "0045"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("CREATE UNLOGGED TABLE staging (job_id bigint PRIMARY KEY)")


def downgrade() -> None:
    op.execute("DROP TABLE staging")
