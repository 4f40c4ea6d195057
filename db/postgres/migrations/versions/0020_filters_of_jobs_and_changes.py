"""Lists of changes and jobs are sorted by time and read by kind, status and actor; requested uploads have ids of labels."""

from pathlib import Path

from alembic import op

from db.postgres.migrations import run_script

revision = "0020"
down_revision: str | None = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_script(op.get_bind(), Path(__file__).with_suffix(".sql"))


def downgrade() -> None:
    run_script(op.get_bind(), Path(__file__).with_name("0020_filters_of_jobs_and_changes_down.sql"))
