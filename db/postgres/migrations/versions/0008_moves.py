"""What tells a file that moved: hashes of its content and its pixels, its change time; why a job failed, in numbers."""

from pathlib import Path

from alembic import op

from db.postgres.migrations import run_script

revision = "0008"
down_revision: str | None = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_script(op.get_bind(), Path(__file__).with_suffix(".sql"))


def downgrade() -> None:
    run_script(op.get_bind(), Path(__file__).with_name("0008_moves_down.sql"))
