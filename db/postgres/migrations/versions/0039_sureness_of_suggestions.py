"""Samples have how sure models are of them, for orders and filters by suggestions."""

from pathlib import Path

from alembic import op

from db.postgres.migrations import run_script

revision = "0039"
down_revision: str | None = "0038"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_script(op.get_bind(), Path(__file__).with_suffix(".sql"))


def downgrade() -> None:
    run_script(op.get_bind(), Path(__file__).with_name("0039_sureness_of_suggestions_down.sql"))
