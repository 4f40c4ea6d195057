"""What a sample's row says because of its annotations is stated once, in functions."""

from pathlib import Path

from alembic import op

from db.postgres.migrations import run_script

revision = "0015"
down_revision: str | None = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_script(op.get_bind(), Path(__file__).with_suffix(".sql"))


def downgrade() -> None:
    op.execute("DROP FUNCTION derived_state(bigint), sample_state(bigint[], boolean)")
