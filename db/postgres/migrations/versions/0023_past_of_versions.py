"""Past samples that no version shows are kept apart, without the indexes that pages of versions need."""

from pathlib import Path

from alembic import op

from db.postgres.migrations import run_script

revision = "0023"
down_revision: str | None = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_script(op.get_bind(), Path(__file__).with_suffix(".sql"))


def downgrade() -> None:
    run_script(op.get_bind(), Path(__file__).with_name("0023_past_of_versions_down.sql"))
