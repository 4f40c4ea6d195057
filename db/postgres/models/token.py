from datetime import datetime

from sqlalchemy import LargeBinary, UniqueConstraint
from sqlmodel import Field, SQLModel

from db.postgres.models.columns import bigint_list, id_column, text_column, timestamp


class Token(SQLModel, table=True):
    """Who may do what. Only the token's SHA-256 is kept."""

    __tablename__ = "token"
    __table_args__ = (UniqueConstraint("hash", name="token_hash_key"),)

    id: int = id_column()
    name: str = text_column()
    prefix: str = text_column()
    hash: bytes = Field(sa_type=LargeBinary)
    scope: str = text_column()
    dataset_ids: list[int] | None = bigint_list(nullable=True)
    created_at: datetime = timestamp(default=True)
    expires_at: datetime | None = timestamp(nullable=True)
    revoked_at: datetime | None = timestamp(nullable=True)
