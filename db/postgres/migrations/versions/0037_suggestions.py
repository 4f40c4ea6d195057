"""Models, what they suggest, and what people decide about it."""

from pathlib import Path

from alembic import op

from db.postgres.migrations import run_script

revision = "0037"
down_revision: str | None = "0036"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_script(op.get_bind(), Path(__file__).with_suffix(".sql"))


def downgrade() -> None:
    run_script(op.get_bind(), Path(__file__).with_name("0037_suggestions_down.sql"))
