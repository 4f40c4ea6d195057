"""Samples have what facets group them by, and so have the indexes that count them."""

from pathlib import Path

from alembic import op

from db.postgres.migrations import run_script

revision = "0033"
down_revision: str | None = "0032"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_script(op.get_bind(), Path(__file__).with_suffix(".sql"))


def downgrade() -> None:
    run_script(op.get_bind(), Path(__file__).with_name("0033_facets_down.sql"))
