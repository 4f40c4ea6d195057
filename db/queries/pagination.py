"""Keyset pagination: an order is both how a list is sorted and how a position in it is found again.

A cursor names the order and the sort key of one row, so it stays right while rows come and go: the next page begins
behind that key, whether or not its row still exists. It carries a checksum, which is no secret: a cursor only says
where to go on reading what its bearer may read anyway.
"""

import base64
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, DateTime, Text, case, extract, func, tuple_
from sqlalchemy import literal_column as sql
from sqlalchemy.types import TypeEngine

from db.errors import Invalid
from db.formats.names import is_storable

DEFAULT_SIZE = 20
CHECKSUM = 8  # hexadecimal digits
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MAX_NUMBER = 2**63 - 1

Columns = Callable[[str], ColumnElement[Any]]


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
    lambda column: func.trunc(extract("epoch", column) * sql("1000000")),
)


@dataclass(frozen=True, slots=True)
class Order:
    """The columns that sort a list, together unique in it. `name` binds cursors to the order; no colon in it."""

    name: str
    keys: tuple[tuple[str, KeyType], ...]
    descending: bool = False

    def by(
        self, column: Columns, *, backward: bool = False, unless: ColumnElement[bool] | None = None
    ) -> list[ColumnElement[Any]]:
        """What to sort by. `unless` this is true, an index in this order may save the sorting."""
        descending = self.descending != backward
        values = [column(name) for name, _ in self.keys]
        if unless is not None:
            values[0] = case((unless, self.keys[0][1].without_index(values[0])), else_=values[0])
        return [value.desc() if descending else value.asc() for value in values]

    def beyond(
        self, column: Columns, key: Sequence[ColumnElement[Any]], *, backward: bool = False, inclusive: bool = False
    ) -> ColumnElement[bool]:
        """The rows that come after a key (`backward`: before it) in this order."""
        own, other = tuple_(*(column(name) for name, _ in self.keys)), tuple_(*key)
        if self.descending != backward:
            return own <= other if inclusive else own < other
        return own >= other if inclusive else own > other

    def cursor(self, column: Columns) -> ColumnElement[str]:
        """A row's cursor, made by Postgres: base64url of checksum and key."""
        values = [part for name, type_ in self.keys for part in (sql("':'"), type_.written(column(name)))]
        body = func.concat(sql(f"'{self.name}'"), *values)
        digest = func.encode(func.sha256(func.convert_to(body, sql("'UTF8'"))), sql("'hex'"))
        whole = func.convert_to(func.concat(func.left(digest, sql(str(CHECKSUM))), body), sql("'UTF8'"))
        return func.translate(func.encode(whole, sql("'base64'")), sql("E'+/=\\n'"), sql("'-_'"))

    def write(self, *numbers: int) -> str:
        """The same cursor, made here of a key of numbers."""
        return _encode(":".join([self.name, *map(str, numbers)]))

    def key(self, cursor: str) -> list[Any]:
        """The key in a cursor. Raises INVALID_CURSOR for one that we did not make for this order."""
        try:
            whole = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode()
            body = whole[CHECKSUM:]
            name, *values = body.split(":", len(self.keys))
            if name != self.name or not is_storable(body) or cursor != _encode(body):
                raise ValueError
            return [type_.read(value) for (_, type_), value in zip(self.keys, values, strict=True)]
        except (ValueError, OverflowError):
            message = "The cursor is not of this list in this order: start again without it."
            raise Invalid(message, code="INVALID_CURSOR") from None


def _encode(body: str) -> str:
    whole = hashlib.sha256(body.encode()).hexdigest()[:CHECKSUM] + body
    return base64.urlsafe_b64encode(whole.encode()).decode().rstrip("=")


def by_creation(name: str) -> dict[str, Order]:
    """The orders of a list by `created_at`: newest first, and oldest first."""
    keys = (("created_at", MOMENT), ("id", NUMBER))
    return {"NEWEST": Order(f"{name}.newest", keys, descending=True), "OLDEST": Order(f"{name}.oldest", keys)}


def page_size(first: int | None, last: int | None, *, limit: int) -> int:
    """How many rows a page has. Raises Invalid outside 0..limit, and for both at once."""
    if first is not None and last is not None:
        raise Invalid("Ask for `first` or for `last` items, not for both at once.")
    requested = first if last is None else last
    if requested is None:
        return min(DEFAULT_SIZE, limit)
    if not 0 <= requested <= limit:
        raise Invalid(f"A page holds 0 to {limit} items: ask for `first` or `last` in these bounds.", most=limit)
    return requested
