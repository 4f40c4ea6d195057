"""Until when URLs of the parts of an upload may be used."""

from pathlib import Path

from alembic import op

from db.postgres.migrations import run_script

revision = "0034"
down_revision: str | None = "0033"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_script(op.get_bind(), Path(__file__).with_suffix(".sql"))


def downgrade() -> None:
    run_script(op.get_bind(), Path(__file__).with_name("0034_urls_of_parts_down.sql"))
