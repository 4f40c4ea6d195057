"""JSON text, put together by Postgres.

Concatenated text is about a third cheaper than `json_build_object` (measured in docs/decisions/), and knows no limit on
keys or their length. An answer is a list of parts: constant text and SQL expressions. A part that is NULL vanishes, so
whatever may be null says so.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Text, case, cast, func
from sqlalchemy import literal_column as sql
from sqlalchemy.dialects.postgresql import aggregate_order_by

Part = str | ColumnElement[Any]
Parts = list[Part]
Encode = Callable[[ColumnElement[Any]], Parts]

MOST_ARGUMENTS = 90  # a Postgres function takes 100
NULL: ColumnElement[str] = sql("'null'")


def text(column: ColumnElement[Any]) -> Parts:
    """Any text or moment, escaped. A moment is written as RFC 3339 in the session's zone, which is UTC."""
    return [func.to_json(column)]


def word(column: ColumnElement[Any]) -> Parts:
    """Text that needs no escaping: our own words, digits, base64."""
    return ['"', column, '"']


def words(column: ColumnElement[Any]) -> Parts:
    """A list of texts, escaped."""
    return [func.to_json(column)]


def number(column: ColumnElement[Any]) -> Parts:
    return [column]


def flag(column: ColumnElement[Any]) -> Parts:
    return [cast(column, Text)]


def or_null(encode: Encode) -> Encode:
    def encoded(column: ColumnElement[Any]) -> Parts:
        match encode(column):
            case [ColumnElement() as only]:
                return [func.coalesce(cast(only, Text), NULL)]
            case parts:
                return [case((column.is_(None), NULL), else_=assemble(parts))]

    return encoded


def value_or_null(json: ColumnElement[Any]) -> Parts:
    """JSON text that may be missing."""
    return [func.coalesce(json, NULL)]


def assemble(parts: Sequence[Part]) -> ColumnElement[str]:
    """One expression of all parts, constant neighbours joined."""
    found: list[ColumnElement[Any]] = []
    words: list[str] = []
    for part in [*parts, None]:
        if isinstance(part, str):
            words.append(part)
            continue
        if words:
            found.append(constant("".join(words)))
            words.clear()
        if part is not None:
            found.append(part)
    return _concat(found)


def _concat(items: list[ColumnElement[Any]]) -> ColumnElement[str]:
    if len(items) > MOST_ARGUMENTS:
        return _concat([_concat(list(few)) for few in _few(items)])
    return func.concat(*items)


def _few(items: list[ColumnElement[Any]]) -> Iterable[Sequence[ColumnElement[Any]]]:
    return (items[start : start + MOST_ARGUMENTS] for start in range(0, len(items), MOST_ARGUMENTS))


def constant(json: str) -> ColumnElement[str]:
    """Text of ours (keys of the answer, punctuation), quoted for SQL."""
    quoted = json.replace("'", "''")
    return sql(f"'{quoted}'")


def array(item: Sequence[Part], *order: ColumnElement[Any], only: ColumnElement[bool] | None = None) -> Parts:
    """An aggregate: a JSON array of the item of every row; `only` of some. A row whose item is one NULL is left out."""
    comma: Any = aggregate_order_by(sql("','"), *order) if order else sql("','")
    whole = item[0] if len(item) == 1 and not isinstance(item[0], str) else assemble(item)
    joined = func.string_agg(cast(whole, Text), comma)
    return ["[", joined if only is None else joined.filter(only), "]"]
