"""Changes of many samples are shown as jobs."""

from pathlib import Path

from alembic import op

from db.postgres.migrations import run_script

revision = "0030"
down_revision: str | None = "0029"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_script(op.get_bind(), Path(__file__).with_suffix(".sql"))


def downgrade() -> None:
    run_script(op.get_bind(), Path(__file__).with_name("0030_large_changes_down.sql"))
