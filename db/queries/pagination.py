"""Keyset pages: an order is both how a list is sorted and how a place in it is found again.

A cursor names the order and the sort key of one row, so it stays right while rows come and go: the next page begins
behind that key, whether or not its row is still there. It carries a checksum, which is no secret: a cursor only says
where to go on reading what its bearer may read anyway.
"""

import base64
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, DateTime, Text, case, extract, func, tuple_
from sqlalchemy import literal_column as sql
from sqlalchemy.types import TypeEngine

from db.errors import Invalid
from db.formats.names import is_storable

DEFAULT_SIZE = 20
CHECKSUM = 8  # hexadecimal digits
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LARGEST = 2**63 - 1

Columns = Callable[[str], ColumnElement[Any]]


class Kind(Enum):
    """What a sort key is made of, and how a cursor writes it: a moment in microseconds since 1970."""

    NUMBER = "number"
    MOMENT = "moment"
    TEXT = "text"

    @property
    def type(self) -> TypeEngine[Any]:
        match self:
            case Kind.NUMBER:
                return BigInteger()
            case Kind.MOMENT:
                return DateTime(timezone=True)
            case Kind.TEXT:
                return Text()

    def written(self, column: ColumnElement[Any]) -> ColumnElement[Any]:
        if self is Kind.MOMENT:
            return func.trunc(extract("epoch", column) * sql("1000000"))
        return column

    def veiled(self, column: ColumnElement[Any]) -> ColumnElement[Any]:
        """The same value, which no index knows."""
        match self:
            case Kind.NUMBER:
                return column + sql("0")
            case Kind.MOMENT:
                return column + sql("interval '0'")
            case Kind.TEXT:
                return column.op("||")(sql("''"))

    def read(self, text: str) -> Any:
        match self:
            case Kind.NUMBER:
                return _number(text)
            case Kind.MOMENT:
                return EPOCH + timedelta(microseconds=_number(text))
            case Kind.TEXT:
                return text


@dataclass(frozen=True, slots=True)
class Order:
    """The columns that sort a list, together unique in it. `name` binds cursors to the order; no colon in it."""

    name: str
    keys: tuple[tuple[str, Kind], ...]
    descending: bool = False

    def by(
        self, column: Columns, *, backward: bool = False, unless: ColumnElement[bool] | None = None
    ) -> list[ColumnElement[Any]]:
        """What to sort by. `unless` this holds, an index in this order may save the sorting."""
        falling = self.descending != backward
        values = [column(name) for name, _ in self.keys]
        if unless is not None:
            values[0] = case((unless, self.veiled(values[0])), else_=values[0])
        return [value.desc() if falling else value.asc() for value in values]

    @property
    def first(self) -> str:
        """The column that is ordered by before all others."""
        return self.keys[0][0]

    def veiled(self, column: ColumnElement[Any]) -> ColumnElement[Any]:
        """The first column's values, in which the planner sees no index."""
        return self.keys[0][1].veiled(column)

    def beyond(
        self, column: Columns, place: Sequence[ColumnElement[Any]], *, backward: bool = False, inclusive: bool = False
    ) -> ColumnElement[bool]:
        """The rows that come after a place (`backward`: before it) in this order."""
        here, there = tuple_(*(column(name) for name, _ in self.keys)), tuple_(*place)
        if self.descending != backward:
            return here <= there if inclusive else here < there
        return here >= there if inclusive else here > there

    def cursor(self, column: Columns) -> ColumnElement[str]:
        """A row's cursor, made by Postgres: base64url of checksum and key."""
        values = [part for name, kind in self.keys for part in (sql("':'"), kind.written(column(name)))]
        body = func.concat(sql(f"'{self.name}'"), *values)
        digest = func.encode(func.sha256(func.convert_to(body, sql("'UTF8'"))), sql("'hex'"))
        whole = func.convert_to(func.concat(func.left(digest, sql(str(CHECKSUM))), body), sql("'UTF8'"))
        return func.translate(func.encode(whole, sql("'base64'")), sql("E'+/=\\n'"), sql("'-_'"))

    def place(self, cursor: str) -> list[Any]:
        """The key that a cursor holds. Raises INVALID_CURSOR for one that we did not make for this order."""
        try:
            return self._place(cursor)
        except (ValueError, OverflowError):
            message = "The cursor is not of this list in this order: start again without it."
            raise Invalid(message, code="INVALID_CURSOR") from None

    def _place(self, cursor: str) -> list[Any]:
        whole = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode()
        checksum, body = whole[:CHECKSUM], whole[CHECKSUM:]
        name, *values = body.split(":", len(self.keys))
        if name != self.name or checksum != _checksum(body) or not is_storable(body) or cursor != _encoded(whole):
            raise ValueError
        return [kind.read(value) for (_, kind), value in zip(self.keys, values, strict=True)]


def size(first: int | None, last: int | None, *, most: int) -> int:
    """How many rows a page holds. Raises Invalid outside 0..most, and for both at once."""
    if first is not None and last is not None:
        raise Invalid("Ask for `first` or for `last` items, not for both at once.")
    asked = first if last is None else last
    if asked is None:
        return min(DEFAULT_SIZE, most)
    if not 0 <= asked <= most:
        raise Invalid(f"A page holds 0 to {most} items: ask for `first` or `last` in these bounds.", most=most)
    return asked


def _number(text: str) -> int:
    number = int(text)
    if str(number) != text or abs(number) > LARGEST:
        raise ValueError
    return number


def _checksum(body: str) -> str:
    return hashlib.sha256(body.encode()).hexdigest()[:CHECKSUM]


def _encoded(whole: str) -> str:
    return base64.urlsafe_b64encode(whole.encode()).decode().rstrip("=")
