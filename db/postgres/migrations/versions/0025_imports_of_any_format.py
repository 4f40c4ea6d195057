"""Imports of any format: how each line is matched with a sample, and what a job says about the import as a whole."""

from pathlib import Path

from alembic import op

from db.postgres.migrations import run_script

revision = "0025"
down_revision: str | None = "0024"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_script(op.get_bind(), Path(__file__).with_suffix(".sql"))


def downgrade() -> None:
    run_script(op.get_bind(), Path(__file__).with_name("0025_imports_of_any_format_down.sql"))
