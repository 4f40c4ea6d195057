"""Dry runs of syncs, and the samples that a sync leaves as they are."""

from pathlib import Path

from alembic import op

from db.postgres.migrations import run_script

revision = "0028"
down_revision: str | None = "0027"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_script(op.get_bind(), Path(__file__).with_suffix(".sql"))


def downgrade() -> None:
    run_script(op.get_bind(), Path(__file__).with_name("0028_dry_runs_of_syncs_down.sql"))
