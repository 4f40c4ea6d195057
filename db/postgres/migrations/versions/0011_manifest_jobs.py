"""Manifest jobs that clients see and ask for, one at a time for a version; uploads tell their generations apart."""

from pathlib import Path

from alembic import op

from db.postgres.migrations import run_script

revision = "0011"
down_revision: str | None = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_script(op.get_bind(), Path(__file__).with_suffix(".sql"))


def downgrade() -> None:
    run_script(op.get_bind(), Path(__file__).with_name("0011_manifest_jobs_down.sql"))
