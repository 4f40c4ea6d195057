"""Files for imports that are uploaded in parts."""

from pathlib import Path

from alembic import op

from db.postgres.migrations import run_script

revision = "0029"
down_revision: str | None = "0028"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_script(op.get_bind(), Path(__file__).with_suffix(".sql"))


def downgrade() -> None:
    run_script(op.get_bind(), Path(__file__).with_name("0029_imports_in_parts_down.sql"))
