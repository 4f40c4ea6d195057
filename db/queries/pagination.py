"""Keyset pagination: an order is both how a list is sorted and how a position in it is found again.

A cursor names the order and the sort key of one row, so it stays right while rows come and go: the next page begins
behind that key, whether or not its row still exists. It carries a checksum, which is no secret: a cursor only says
where to go on reading what its bearer may read anyway.
"""

import base64
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from math import isfinite
from typing import TYPE_CHECKING, Any

from sqlalchemy import BigInteger, ColumnElement, DateTime, Double, Text, and_, case, extract, func, or_, tuple_
from sqlalchemy import literal_column as sql
from sqlalchemy.types import TypeEngine

from db.errors import Invalid
from db.formats.names import is_storable
from db.queries.json_text import finite
from db.queries.patterns import bounded

if TYPE_CHECKING:
    from db.queries.rows import Row

DEFAULT_SIZE = 20
FACET_SIZE = 50  # values of a facet, by default
CHECKSUM = 8  # hexadecimal digits
HASH = 16  # hexadecimal digits, of a random order's seed and keys
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MAX_NUMBER = 2**63 - 1


@dataclass(frozen=True, slots=True)
class KeyType:
    """The type of a sort key. `without_index`: the same value, for which no index can be used. `read` and `written`: of
    a cursor's text; reading raises ValueError for what we do not write so."""

    type: TypeEngine[Any]
    without_index: Callable[[ColumnElement[Any]], ColumnElement[Any]]
    read: Callable[[str], Any]
    written: Callable[[ColumnElement[Any]], ColumnElement[Any]] = lambda column: column


def _number(text: str) -> int:
    number = int(text)
    if str(number) != text or abs(number) > MAX_NUMBER:
        raise ValueError
    return number


NUMBER = KeyType(BigInteger(), lambda column: column + sql("0"), _number)
TEXT = KeyType(Text(), lambda column: column.op("||")(sql("''")), str)
MOMENT = KeyType(  # written in microseconds since 1970
    DateTime(timezone=True),
    lambda column: column + sql("interval '0'"),
    lambda text: EPOCH + timedelta(microseconds=_number(text)),
    lambda column: func.trunc(extract("epoch", finite(column)) * sql("1000000")),
)


def _finite(text: str) -> float:
    number = float(text)
    if not isfinite(number):
        raise ValueError
    return number


DISTANCE = KeyType(Double(), lambda column: column + sql("0"), _finite)
FRACTION = KeyType(  # or without end, as the key of what has none
    Double(), DISTANCE.without_index, lambda text: float(text) if text.endswith("Infinity") else _finite(text)
)


@dataclass(frozen=True, slots=True)
class Key:
    """A value that sorts a list: a column of its rows, or what `of` makes of a row. A text is the first key."""

    name: str
    type: KeyType
    of: "Callable[[Row], ColumnElement[Any]] | None" = None

    def value(self, row: "Row") -> ColumnElement[Any]:
        return row[self.name] if self.of is None else self.of(row)


ID = Key("id", NUMBER)


@dataclass(frozen=True, slots=True)
class Order:
    """The values that sort a list, together unique in it. `name` binds cursors to the order; no colon in it.

    `column`: of the rows, whose index is in this order; None where another table's is. `seed`: of a random order, in
    SQL and as it comes with the request; it binds cursors, too. `last`: the index has only the rows with a value in
    `column`; the others come after these, in either direction, and this is their key. `has_rest`: there may be others.
    """

    name: str
    keys: tuple[Key, ...]
    descending: bool = False
    column: str | None = None
    seed: tuple[ColumnElement[Any], Any] | None = None
    last: ColumnElement[Any] | None = None
    has_rest: bool = False

    def group(self, row: "Row") -> list[ColumnElement[bool]]:
        """Which rows these are, where those without a value are apart."""
        if self.last is None or self.column is None:
            return []
        return [row[self.column].is_(None) if row.is_rest else row[self.column].is_not(None)]

    def by(
        self, row: "Row", *, backward: bool = False, unless: ColumnElement[bool] | None = None
    ) -> list[ColumnElement[Any]]:
        """What to sort by. `unless` this is true, an index in this order may save the sorting."""
        descending = self.descending != backward
        values = [key.value(row) for key in self.keys]
        if unless is not None:
            first = 1 if row.is_rest else 0
            without_index = self.keys[first].type.without_index
            values[first] = case((unless, without_index(values[first])), else_=values[first])
        return [value.desc() if descending else value.asc() for value in values]

    def beyond(
        self, row: "Row", key: Sequence[ColumnElement[Any]], *, backward: bool = False, inclusive: bool = False
    ) -> ColumnElement[bool]:
        """The rows that come after a key (`backward`: before it) in this order. That the first value does, too, is said
        where the values are of several tables, so that each can be read from there on."""
        if row.is_rest and self.last is not None:
            is_among_them, others = key[0] == self.last, replace(self, keys=self.keys[1:], last=None)
            is_beyond = others.beyond(row, key[1:], backward=backward, inclusive=inclusive)
            return and_(is_among_them, is_beyond) if backward else or_(~is_among_them, is_beyond)
        own, other = tuple_(*(each.value(row) for each in self.keys)), tuple_(*key)
        first, is_spread = self.keys[0].value(row), self.seed is not None
        if self.descending != backward:
            is_beyond = own <= other if inclusive else own < other
            return and_(is_beyond, first <= key[0]) if is_spread else is_beyond
        is_beyond = own >= other if inclusive else own > other
        return and_(is_beyond, first >= key[0]) if is_spread else is_beyond

    def cursor(self, value: Callable[[str], ColumnElement[Any]]) -> ColumnElement[str]:
        """A row's cursor, made by Postgres of the values of its keys: base64url of checksum and key."""
        values = [part for key in self.keys for part in (sql("':'"), key.type.written(value(key.name)))]
        seed = [] if self.seed is None else [self.seed[0]]
        body = func.concat(sql(f"'{self.name}'"), *seed, *values)
        digest = func.encode(func.sha256(func.convert_to(body, sql("'UTF8'"))), sql("'hex'"))
        whole = func.convert_to(func.concat(func.left(digest, sql(str(CHECKSUM))), body), sql("'UTF8'"))
        return func.translate(func.encode(whole, sql("'base64'")), sql("E'+/=\\n'"), sql("'-_'"))

    def write(self, *numbers: int) -> str:
        """The same cursor, made here of a key of numbers."""
        return _encode(":".join([self.name, *map(str, numbers)]))

    def key(self, cursor: str, seed: str | None = None) -> list[Any]:
        """The key in a cursor. Raises INVALID_CURSOR for one that we did not make for this order."""
        try:
            whole = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode()
            body = whole[CHECKSUM:]
            name, _, key = body.partition(":")
            own_name = self.name if seed is None else self.name + seed_key(seed)
            if name != own_name or not is_storable(body) or cursor != _encode(body):
                raise ValueError
            values = key.rsplit(":", len(self.keys) - 1)
            return [each.type.read(value) for each, value in zip(self.keys, values, strict=True)]
        except (ValueError, OverflowError):
            message = "The cursor is of another list or order, or was modified: start again without it."
            raise Invalid(message, code="INVALID_CURSOR") from None


def _encode(body: str) -> str:
    whole = hashlib.sha256(body.encode()).hexdigest()[:CHECKSUM] + body
    return base64.urlsafe_b64encode(whole.encode()).decode().rstrip("=")


def seed_key(seed: str) -> str:
    """What orders and cursors are made with, of any text."""
    return hashlib.sha256(bounded(seed).encode("utf-8", "surrogatepass")).hexdigest()[:HASH]


def by_column(list_: str, column: str, type_: KeyType, *, descending: bool = False, is_unique: bool = False) -> Order:
    """A list by a column of its rows, and by their ids where it is not unique."""
    keys = (Key(column, type_),) if is_unique else (Key(column, type_), ID)
    return Order(f"{list_}.{column}.{'down' if descending else 'up'}", keys, descending, column)


def page_size(first: int | None, last: int | None, *, limit: int) -> int:
    """How many rows a page has. Raises Invalid outside 0..limit, and for both at once."""
    if first is not None and last is not None:
        raise Invalid("Give `first` or `last`, not both.")
    requested = first if last is None else last
    if requested is None:
        return min(DEFAULT_SIZE, limit)
    if not 0 <= requested <= limit:
        name = "last" if first is None else "first"
        raise Invalid(f"`{name}` must be a number from 0 to {limit}, and is {requested}.", most=limit)
    return requested
