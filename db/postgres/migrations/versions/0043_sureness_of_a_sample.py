"""How sure models are of a sample is read from its own rows, also before Postgres has statistics of suggestions."""

from pathlib import Path

from alembic import op

from db.postgres.migrations import run_script

revision = "0043"
down_revision: str | None = "0042"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_script(op.get_bind(), Path(__file__).with_suffix(".sql"))


def downgrade() -> None:
    run_script(op.get_bind(), Path(__file__).with_name("0043_sureness_of_a_sample_down.sql"))
