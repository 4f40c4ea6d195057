"""Lists of samples by suggestions: of a label in the order of the samples, and by the lowest confidence."""

from pathlib import Path

from alembic import op

from db.postgres.migrations import run_script

revision = "0045"
down_revision: str | None = "0044"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_script(op.get_bind(), Path(__file__).with_suffix(".sql"))


def downgrade() -> None:
    run_script(op.get_bind(), Path(__file__).with_name("0045_lists_of_suggestions_down.sql"))
