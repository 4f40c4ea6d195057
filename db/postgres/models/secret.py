from sqlalchemy import LargeBinary
from sqlmodel import Field, SQLModel

from db.postgres.models.columns import words


class Secret(SQLModel, table=True):
    """What all servers of one database must agree on and nobody else may know."""

    __tablename__ = "secret"

    name: str = words(key=True)
    value: bytes = Field(sa_type=LargeBinary)
