"""The samples that a change touched are read in pages, by their ids."""

from pathlib import Path

from alembic import op

from db.postgres.migrations import run_script

revision = "0018"
down_revision: str | None = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_script(op.get_bind(), Path(__file__).with_suffix(".sql"))


def downgrade() -> None:
    run_script(op.get_bind(), Path(__file__).with_name("0018_what_changes_touched_down.sql"))
