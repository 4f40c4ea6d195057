"""Exports of datasets: what is written, the samples that are, and the files that came of it."""

from pathlib import Path

from alembic import op

from db.postgres.migrations import run_script

revision = "0022"
down_revision: str | None = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_script(op.get_bind(), Path(__file__).with_suffix(".sql"))


def downgrade() -> None:
    run_script(op.get_bind(), Path(__file__).with_name("0022_exports_down.sql"))
