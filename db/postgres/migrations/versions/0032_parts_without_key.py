"""The key from samples of a split to its version goes."""

from pathlib import Path

from alembic import op

from db.postgres.migrations import run_script

revision = "0032"
down_revision: str | None = "0031"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_script(op.get_bind(), Path(__file__).with_suffix(".sql"))


def downgrade() -> None:
    run_script(op.get_bind(), Path(__file__).with_name("0032_parts_without_key_down.sql"))
