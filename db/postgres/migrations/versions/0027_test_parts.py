"""Samples that a split puts aside for test, beside those for evaluation."""

from pathlib import Path

from alembic import op

from db.postgres.migrations import run_script

revision = "0027"
down_revision: str | None = "0026"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_script(op.get_bind(), Path(__file__).with_suffix(".sql"))


def downgrade() -> None:
    run_script(op.get_bind(), Path(__file__).with_name("0027_test_parts_down.sql"))
