"""The formats of images that a dataset takes, and new ones."""

from pathlib import Path

from alembic import op

from db.postgres.migrations import run_script

revision = "0031"
down_revision: str | None = "0030"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_script(op.get_bind(), Path(__file__).with_suffix(".sql"))


def downgrade() -> None:
    run_script(op.get_bind(), Path(__file__).with_name("0031_image_formats_down.sql"))
