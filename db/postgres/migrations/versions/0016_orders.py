"""Lists of samples in every order, and filters by label ids, are found by indexes."""

from pathlib import Path

from alembic import op

from db.postgres.migrations import run_script

revision = "0016"
down_revision: str | None = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_script(op.get_bind(), Path(__file__).with_suffix(".sql"))


def downgrade() -> None:
    run_script(op.get_bind(), Path(__file__).with_name("0016_orders_down.sql"))
