"""Changes that are written before they are recorded, while the change before them is still under way."""

from pathlib import Path

from alembic import op

from db.postgres.migrations import run_script

revision = "0047"
down_revision: str | None = "0046"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_script(op.get_bind(), Path(__file__).with_suffix(".sql"))


def downgrade() -> None:
    run_script(op.get_bind(), Path(__file__).with_name("0047_written_before_recorded_down.sql"))
