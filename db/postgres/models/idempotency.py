from datetime import datetime

from sqlalchemy import LargeBinary
from sqlmodel import Field, SQLModel

from db.postgres.models.columns import big, json, timestamp, words


class Idempotency(SQLModel, table=True):
    """What a keyed mutation did (a row per root field, committed with it) and answered (the row whose field is '')."""

    __tablename__ = "idempotency"

    token_id: int = big(references="token.id", cascade=True, primary_key=True)
    key: str = words(key=True)
    field: str = words(key=True)
    request_hash: bytes = Field(sa_type=LargeBinary)
    outcome: str | None = json(nullable=True)
    response: bytes | None = Field(default=None, sa_type=LargeBinary)
    created_at: datetime = timestamp(default=True)
