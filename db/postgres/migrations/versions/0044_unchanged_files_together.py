"""A sync notes the files that it found unchanged together: one row for those of a batch, instead of one for each."""

from pathlib import Path

from alembic import op

from db.postgres.migrations import run_script

revision = "0044"
down_revision: str | None = "0043"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_script(op.get_bind(), Path(__file__).with_suffix(".sql"))


def downgrade() -> None:
    run_script(op.get_bind(), Path(__file__).with_name("0044_unchanged_files_together_down.sql"))
