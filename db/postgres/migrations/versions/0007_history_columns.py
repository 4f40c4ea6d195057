"""History: the tables of past rows and their triggers are made from the columns of the tables that they belong to."""

from pathlib import Path

from alembic import op

from db.postgres.migrations import run_script

revision = "0007"
down_revision: str | None = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_script(op.get_bind(), Path(__file__).with_suffix(".sql"))


def downgrade() -> None:
    run_script(op.get_bind(), Path(__file__).with_name("0007_history_columns_down.sql"))
