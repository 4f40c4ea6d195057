"""Jobs count how often they were begun without getting on, whatever ended them."""

from alembic import op

revision = "0013"
down_revision: str | None = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE job ADD COLUMN claims integer DEFAULT 0 NOT NULL")


def downgrade() -> None:
    op.execute("ALTER TABLE job DROP COLUMN claims")
