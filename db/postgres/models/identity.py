"""Tokens, secrets and idempotency keys."""

from datetime import datetime

from sqlalchemy import LargeBinary, UniqueConstraint
from sqlmodel import Field, SQLModel

from db.postgres.models.columns import bigint, bigint_list, id_column, json, text_column, timestamp


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


class Secret(SQLModel, table=True):
    """A secret that all servers of a database share."""

    __tablename__ = "secret"

    name: str = text_column(primary_key=True)
    value: bytes = Field(sa_type=LargeBinary)


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
