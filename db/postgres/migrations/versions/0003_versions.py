"""Versions: published revisions, and the indexes that their pages need of the past."""

from pathlib import Path

from alembic import op

from db.postgres.migrations import run_script

revision = "0003"
down_revision: str | None = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_script(op.get_bind(), Path(__file__).with_suffix(".sql"))


def downgrade() -> None:
    run_script(op.get_bind(), Path(__file__).with_name("0003_versions_down.sql"))
