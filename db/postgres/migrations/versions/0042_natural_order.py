"""The natural order of paths takes less than half the time; its results are the same."""

from pathlib import Path

from alembic import op

from db.postgres.migrations import run_script

revision = "0042"
down_revision: str | None = "0041"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_script(op.get_bind(), Path(__file__).with_suffix(".sql"))


def downgrade() -> None:
    run_script(op.get_bind(), Path(__file__).with_name("0042_natural_order_down.sql"))
