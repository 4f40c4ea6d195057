"""Images: whether a file ends before its image does, and what a VOC file says of an object beside its shape."""

from pathlib import Path

from alembic import op

from db.postgres.migrations import run_script

revision = "0009"
down_revision: str | None = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_script(op.get_bind(), Path(__file__).with_suffix(".sql"))


def downgrade() -> None:
    run_script(op.get_bind(), Path(__file__).with_name("0009_images_down.sql"))
