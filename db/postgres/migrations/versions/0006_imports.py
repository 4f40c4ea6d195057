"""Imports: a job of its own, which excludes syncs, and the lines of its manifest."""

from pathlib import Path

from alembic import op

from db.postgres.migrations import run_script

revision = "0006"
down_revision: str | None = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_script(op.get_bind(), Path(__file__).with_suffix(".sql"))


def downgrade() -> None:
    run_script(op.get_bind(), Path(__file__).with_name("0006_imports_down.sql"))
