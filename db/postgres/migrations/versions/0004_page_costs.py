"""Cheaper pages: planner's functions that keep their own plans, and indexes that know which past rows are a version's."""

from pathlib import Path

from alembic import op

from db.postgres.migrations import run_script

revision = "0004"
down_revision: str | None = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_script(op.get_bind(), Path(__file__).with_suffix(".sql"))


def downgrade() -> None:
    run_script(op.get_bind(), Path(__file__).with_name("0004_page_costs_down.sql"))
