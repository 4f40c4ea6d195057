"""The kinds of columns. SQLModel classes cannot share a Column, so each call makes a new field."""

from typing import Any

from sqlalchemy import BigInteger, Boolean, DateTime, Identity, Integer, Text, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlmodel import Field


def id_column() -> Any:
    """A bigint that the database assigns."""
    return Field(default=None, primary_key=True, sa_type=BigInteger, sa_column_args=[Identity(always=False)])


def bigint(
    *,
    default: str | None = None,
    references: str | None = None,
    cascade: bool | None = False,  # None: the reference is set to null
    primary_key: bool = False,
    **more: Any,
) -> Any:
    arguments: dict[str, Any] = {"sa_type": BigInteger, "primary_key": primary_key}
    if references is not None:
        arguments["foreign_key"] = references
        arguments["ondelete"] = "SET NULL" if cascade is None else "CASCADE" if cascade else None
    return Field(**_default(default), **arguments, **more)


def text_column(
    *, default: str | None = None, ordered: bool = False, nullable: bool = False, primary_key: bool = False
) -> Any:
    """Text; `ordered` compares by code point, whatever the server's locale."""
    kind = Text(collation="C") if ordered else Text()
    optional: dict[str, Any] = {"default": None, "nullable": True} if nullable else _default(default)
    return Field(sa_type=kind, primary_key=primary_key, **optional)


def boolean(*, default: bool) -> Any:
    return Field(default=default, sa_type=Boolean, sa_column_kwargs={"server_default": text(str(default).lower())})


def integer(*, default: int) -> Any:
    return Field(default=default, sa_type=Integer, sa_column_kwargs={"server_default": text(str(default))})


def timestamp(*, default: bool = False, nullable: bool = False) -> Any:
    kind = DateTime(timezone=True)
    if nullable:
        return Field(default=None, nullable=True, sa_type=kind)
    return Field(**_default("now()" if default else None), sa_type=kind)


def bigint_list(*, default: str | None = None, nullable: bool = False) -> Any:
    optional: dict[str, Any] = {"default": None, "nullable": True} if nullable else _default(default)
    return Field(sa_type=ARRAY(BigInteger), **optional)


def text_list(*, default: str | None = None, ordered: bool = False) -> Any:
    return Field(**_default(default), sa_type=ARRAY(Text(collation="C") if ordered else Text()))


def json(*, default: str | None = None, nullable: bool = False) -> Any:
    optional: dict[str, Any] = {"default": None, "nullable": True} if nullable else _default(default)
    return Field(sa_type=JSONB, **optional)


def _default(sql: str | None) -> dict[str, Any]:
    """A column with a default in the database."""
    return (
        {} if sql is None else {"default": None, "nullable": False, "sa_column_kwargs": {"server_default": text(sql)}}
    )
