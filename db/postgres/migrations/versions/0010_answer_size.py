"""What stops a statement whose answer would be too long."""

from alembic import op

revision = "0010"
down_revision: str | None = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
        CREATE FUNCTION answer_too_long() RETURNS text LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION 'the answer is too long' USING ERRCODE = 'LG413';
        END
        $$
        """
    )


def downgrade() -> None:
    op.execute("DROP FUNCTION answer_too_long()")
