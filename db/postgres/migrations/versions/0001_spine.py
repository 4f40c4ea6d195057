"""The spine: datasets, labels, sources, samples, annotations, their history, jobs, tokens."""

from pathlib import Path

from alembic import op

from db.postgres.migrations import run_script

revision = "0001"
down_revision: str | None = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_script(op.get_bind(), Path(__file__).with_suffix(".sql"))


def downgrade() -> None:
    run_script(op.get_bind(), Path(__file__).with_name("0001_spine_down.sql"))
