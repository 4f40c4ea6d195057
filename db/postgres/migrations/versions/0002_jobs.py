"""Jobs at work: who runs one, the queue that carries their ids, and the tables in which a sync prepares its merge."""

from pathlib import Path

from alembic import op

from db.postgres.migrations import run_script

revision = "0002"
down_revision: str | None = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_script(op.get_bind(), Path(__file__).with_suffix(".sql"))
    run_script(op.get_bind(), Path(__file__).with_name("0002_jobs_queue.sql"))


def downgrade() -> None:
    run_script(op.get_bind(), Path(__file__).with_name("0002_jobs_down.sql"))
