"""Auto labelling: jobs by which models suggest."""

from pathlib import Path

from alembic import op

from db.postgres.migrations import run_script

revision = "0038"
down_revision: str | None = "0037"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_script(op.get_bind(), Path(__file__).with_suffix(".sql"))


def downgrade() -> None:
    run_script(op.get_bind(), Path(__file__).with_name("0038_auto_labelling_down.sql"))
