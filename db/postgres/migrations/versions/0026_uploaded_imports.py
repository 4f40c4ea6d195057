"""Files that are uploaded with the request for an import."""

from pathlib import Path

from alembic import op

from db.postgres.migrations import run_script

revision = "0026"
down_revision: str | None = "0025"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_script(op.get_bind(), Path(__file__).with_suffix(".sql"))


def downgrade() -> None:
    run_script(op.get_bind(), Path(__file__).with_name("0026_uploaded_imports_down.sql"))
