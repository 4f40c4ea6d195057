"""JSON text, assembled by Postgres.

Concatenated text is about a third cheaper than `json_build_object` (measured in docs/decisions/), and knows no limit on
keys or their length. An answer is a list of parts: constant text and SQL expressions. A part that is NULL vanishes, so
a field that may be null must be compiled as `nullable`.
"""

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import ColumnElement, DateTime, Text, case, cast, func
from sqlalchemy import literal_column as sql
from sqlalchemy.dialects.postgresql import aggregate_order_by

Part = str | ColumnElement[Any]
Parts = list[Part]
Encode = Callable[[ColumnElement[Any]], Parts]

MAX_ARGUMENTS = 90  # a Postgres function takes 100
NULL: ColumnElement[str] = sql("'null'")


def text(column: ColumnElement[Any]) -> Parts:
    """Any text, list of texts, or moment, escaped."""
    return moment(column) if isinstance(column.type, DateTime) else [func.to_json(column)]


def moment(column: ColumnElement[Any]) -> Parts:
    """RFC 3339 with exactly three digits of the second, the rest cut off, in the session's zone, which is UTC.

    A microsecond is added to the whole millisecond, so that Postgres writes all six digits, of which three are taken:
    half as expensive as `to_char`.
    """
    with_all_digits = func.date_bin(sql("'1 ms'"), finite(column), sql("'2000-01-01Z'")) + sql(
        "interval '1 microsecond'"
    )
    return [func.left(cast(func.to_json(with_all_digits), Text), sql("24")), 'Z"']


def finite(column: ColumnElement[Any]) -> ColumnElement[Any]:
    """A moment that is not NULL; ±infinity, which imports wrote once, as the first or the last moment of a datetime."""
    return func.greatest(
        func.least(column, sql("timestamptz '9999-12-31 23:59:59.999999Z'")), sql("timestamptz '0001-01-01Z'")
    )


def unescaped(column: ColumnElement[Any]) -> Parts:
    """Text that needs no escaping: values of enums, digits, base64."""
    return ['"', column, '"']


def number(column: ColumnElement[Any]) -> Parts:
    return [column]


def boolean(column: ColumnElement[Any]) -> Parts:
    return [cast(column, Text)]


def nullable(encode: Encode) -> Encode:
    """The same, or `null`."""

    def encoded(column: ColumnElement[Any]) -> Parts:
        match encode(column):
            case [ColumnElement() as only]:
                return [func.coalesce(cast(only, Text), NULL)]
            case parts:
                return null_with(column, parts)

    return encoded


def null_with(column: ColumnElement[Any], json: Parts) -> Parts:
    """JSON, or `null` where the column is NULL."""
    return [case((column.is_(None), NULL), else_=concatenate(json))]


def value_or_null(json: ColumnElement[Any]) -> Parts:
    """JSON text that may be missing."""
    return [func.coalesce(json, NULL)]


def concatenate(parts: Sequence[Part]) -> ColumnElement[str]:
    """One expression of all parts, neighbouring constants joined."""
    items: list[ColumnElement[Any]] = []
    constants: list[str] = []
    for part in [*parts, None]:
        if isinstance(part, str):
            constants.append(part)
            continue
        if constants:
            items.append(constant("".join(constants)))
            constants.clear()
        if part is not None:
            items.append(part)
    while len(items) > MAX_ARGUMENTS:
        starts = range(0, len(items), MAX_ARGUMENTS)
        items = [func.concat(*items[start : start + MAX_ARGUMENTS]) for start in starts]
    return func.concat(*items)


def constant(json: str) -> ColumnElement[str]:
    """Text of ours (keys of the answer, punctuation), quoted for SQL."""
    quoted = json.replace("'", "''")
    return sql(f"'{quoted}'")


def array(item: Sequence[Part], *order: ColumnElement[Any], only: ColumnElement[bool] | None = None) -> Parts:
    """An aggregate: a JSON array of the item of every row; `only` of some. A row whose item is one NULL is left out."""
    comma: Any = aggregate_order_by(sql("','"), *order) if order else sql("','")
    whole = item[0] if len(item) == 1 and not isinstance(item[0], str) else concatenate(item)
    joined = func.string_agg(cast(whole, Text), comma)
    return ["[", joined if only is None else joined.filter(only), "]"]
