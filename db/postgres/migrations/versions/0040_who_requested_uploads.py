"""Uploads say which token requested them: what is staged is bounded by token."""

from pathlib import Path

from alembic import op

from db.postgres.migrations import run_script

revision = "0040"
down_revision: str | None = "0039"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_script(op.get_bind(), Path(__file__).with_suffix(".sql"))


def downgrade() -> None:
    run_script(op.get_bind(), Path(__file__).with_name("0040_who_requested_uploads_down.sql"))
