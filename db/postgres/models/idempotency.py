from datetime import datetime

from sqlalchemy import LargeBinary
from sqlmodel import Field, SQLModel

from db.postgres.models.columns import bigint, json, text_column, timestamp


class Idempotency(SQLModel, table=True):
    """What a mutation with an idempotency key did (a row per root field, committed with it), and its response (the
    row whose field is '')."""

    __tablename__ = "idempotency"

    token_id: int = bigint(references="token.id", cascade=True, primary_key=True)
    key: str = text_column(primary_key=True)
    field: str = text_column(primary_key=True)
    request_hash: bytes = Field(sa_type=LargeBinary)
    outcome: str | None = json(nullable=True)
    response: bytes | None = Field(default=None, sa_type=LargeBinary)
    created_at: datetime = timestamp(default=True)
