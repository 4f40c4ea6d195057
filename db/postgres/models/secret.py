from sqlalchemy import LargeBinary
from sqlmodel import Field, SQLModel

from db.postgres.models.columns import text_column


class Secret(SQLModel, table=True):
    """A secret that all servers of a database share."""

    __tablename__ = "secret"

    name: str = text_column(primary_key=True)
    value: bytes = Field(sa_type=LargeBinary)
