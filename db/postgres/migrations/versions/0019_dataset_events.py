"""What happens to a dataset besides its changes is kept in order, for those who follow it."""

from pathlib import Path

from alembic import op

from db.postgres.migrations import run_script

revision = "0019"
down_revision: str | None = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_script(op.get_bind(), Path(__file__).with_suffix(".sql"))


def downgrade() -> None:
    run_script(op.get_bind(), Path(__file__).with_name("0019_dataset_events_down.sql"))
