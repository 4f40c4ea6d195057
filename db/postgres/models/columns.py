"""The few shapes that our columns have. SQLModel shares no Column between classes, so each call makes a new field."""

from typing import Any

from sqlalchemy import BigInteger, DateTime, Identity, Text, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlmodel import Field


def key() -> Any:
    """A bigint that the database gives."""
    return Field(default=None, primary_key=True, sa_type=BigInteger, sa_column_args=[Identity(always=False)])


def big(
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


def words(*, default: str | None = None, ordered: bool = False, nullable: bool = False, key: bool = False) -> Any:
    """Text; `ordered` compares by code point, whatever the server's locale."""
    kind = Text(collation="C") if ordered else Text()
    optional: dict[str, Any] = {"default": None, "nullable": True} if nullable else _default(default)
    return Field(sa_type=kind, primary_key=key, **optional)


def timestamp(*, default: bool = False, nullable: bool = False) -> Any:
    kind = DateTime(timezone=True)
    if nullable:
        return Field(default=None, nullable=True, sa_type=kind)
    return Field(**_default("now()" if default else None), sa_type=kind)


def big_list(*, default: str | None = None, nullable: bool = False) -> Any:
    optional: dict[str, Any] = {"default": None, "nullable": True} if nullable else _default(default)
    return Field(sa_type=ARRAY(BigInteger), **optional)


def word_list(*, default: str | None = None, ordered: bool = False) -> Any:
    return Field(**_default(default), sa_type=ARRAY(Text(collation="C") if ordered else Text()))


def json(*, default: str | None = None, nullable: bool = False) -> Any:
    optional: dict[str, Any] = {"default": None, "nullable": True} if nullable else _default(default)
    return Field(sa_type=JSONB, **optional)


def _default(sql: str | None) -> dict[str, Any]:
    """A column that the database fills when we say nothing."""
    return (
        {} if sql is None else {"default": None, "nullable": False, "sa_column_kwargs": {"server_default": text(sql)}}
    )
