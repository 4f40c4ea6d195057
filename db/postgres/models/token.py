from datetime import datetime

from sqlalchemy import LargeBinary, UniqueConstraint
from sqlmodel import Field, SQLModel

from db.postgres.models.columns import big_list, key, timestamp, words


class Token(SQLModel, table=True):
    """Who may do what. Only the token's SHA-256 is kept."""

    __tablename__ = "token"
    __table_args__ = (UniqueConstraint("hash", name="token_hash_key"),)

    id: int = key()
    name: str = words()
    prefix: str = words()
    hash: bytes = Field(sa_type=LargeBinary)
    scope: str = words()
    dataset_ids: list[int] | None = big_list(nullable=True)
    created_at: datetime = timestamp(default=True)
    expires_at: datetime | None = timestamp(nullable=True)
    revoked_at: datetime | None = timestamp(nullable=True)
