"""A dataset has one dry run of a sync for each token, not one for all."""

from pathlib import Path

from alembic import op

from db.postgres.migrations import run_script

revision = "0041"
down_revision: str | None = "0040"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_script(op.get_bind(), Path(__file__).with_suffix(".sql"))


def downgrade() -> None:
    run_script(op.get_bind(), Path(__file__).with_name("0041_dry_runs_by_token_down.sql"))
