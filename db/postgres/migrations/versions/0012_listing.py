"""What a sync passes over, which files it takes, and which names its labels may have."""

from pathlib import Path

from alembic import op

from db.postgres.migrations import run_script

revision = "0012"
down_revision: str | None = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_script(op.get_bind(), Path(__file__).with_suffix(".sql"))


def downgrade() -> None:
    run_script(op.get_bind(), Path(__file__).with_name("0012_listing_down.sql"))
