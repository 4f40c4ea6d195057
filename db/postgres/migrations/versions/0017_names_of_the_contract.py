"""Stored words are those of the GraphQL schema: shapes `Polyline` and `Point`, versions `READY`."""

from pathlib import Path

from alembic import op

from db.postgres.migrations import run_script

revision = "0017"
down_revision: str | None = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_script(op.get_bind(), Path(__file__).with_suffix(".sql"))


def downgrade() -> None:
    run_script(op.get_bind(), Path(__file__).with_name("0017_names_of_the_contract_down.sql"))
