"""How images look: a hash of each, and which hashes are nearly the same."""

from pathlib import Path

from alembic import op

from db.postgres.migrations import run_script

revision = "0036"
down_revision: str | None = "0035"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_script(op.get_bind(), Path(__file__).with_suffix(".sql"))


def downgrade() -> None:
    run_script(op.get_bind(), Path(__file__).with_name("0036_looks_down.sql"))
