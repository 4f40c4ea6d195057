"""A sync notes which of the known files it found unchanged, instead of staging them."""

from pathlib import Path

from alembic import op

from db.postgres.migrations import run_script

revision = "0024"
down_revision: str | None = "0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_script(op.get_bind(), Path(__file__).with_suffix(".sql"))


def downgrade() -> None:
    run_script(op.get_bind(), Path(__file__).with_name("0024_unchanged_files_down.sql"))
