"""The job's row is the queue: it says when the job is due, and the tables of the queue library go."""

from pathlib import Path

from alembic import op

from db.postgres.migrations import run_script

revision = "0014"
down_revision: str | None = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_script(op.get_bind(), Path(__file__).with_suffix(".sql"))


def downgrade() -> None:
    run_script(op.get_bind(), Path(__file__).with_name("0002_jobs_queue.sql"))
    run_script(op.get_bind(), Path(__file__).with_name("0014_one_queue_down.sql"))
