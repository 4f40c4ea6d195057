"""The tables of past rows: the columns of the table that they belong to, and `until`."""

from sqlalchemy import BigInteger, Column, PrimaryKeyConstraint, Table
from sqlmodel import SQLModel


def past_of(model: type[SQLModel]) -> Table:
    """The rows as they were from revision `since` until, and not including, revision `until`.

    They refer to nothing: what they name may be gone.
    """
    table: Table = model.__table__  # type: ignore[attr-defined]
    columns = [Column(each.name, each.type, nullable=each.nullable) for each in table.columns]
    until = Column("until", BigInteger, nullable=False)
    return Table(f"{table.name}_past", table.metadata, *columns, until, PrimaryKeyConstraint("id", "since"))
