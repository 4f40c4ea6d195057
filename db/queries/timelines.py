"""The lists of changes and of jobs: what happened to a dataset, newest first, filtered by kind, status, actor and time.

They are sorted by time. For each list of a filter there is an index with the time behind the column that it is compared
with. So a period is a range of every index, and a page has the newest rows with each of the values, read from the end
of that range: how the rows are distributed makes no difference.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement

from db.queries import patterns
from db.queries.compile_context import CompileContext, SelectedField
from db.queries.connections import Listing
from db.queries.filters import TEXTS, TimeFilter, in_period
from db.queries.pagination import MOMENT, Key, Order
from db.queries.rows import Row


def timeline(name: str, types: Sequence[str], moment: str, unique: Key, columns: Mapping[str, str]) -> Listing:
    """`moment`: the column of `createdAt`. `columns`: those that the lists of the filter are compared with, by the name
    of each list; rows are read by the index of the first that is given."""
    order = Order(name, (Key(moment, MOMENT), unique), descending=True)

    def matching(context: CompileContext, row: Row, field: SelectedField) -> Sequence[ColumnElement[bool]]:
        period: Mapping[str, Any] = (field.argument("filter") or {}).get("createdAt") or {}
        time = TimeFilter(period.get("preset"), period.get("from"), period.get("to"))
        return list(in_period("createdAt", row[moment], time, context.bind))

    def one_of(context: CompileContext, field: SelectedField) -> Sequence[tuple[str, ColumnElement[Any]]]:
        filter_: Mapping[str, Any] = field.argument("filter") or {}
        lists = [(column, filter_[name]) for name, column in columns.items() if filter_.get(name)]
        if lists:  # which index is best to count, or for two lists at once, depends on the values
            context.custom_plan = context.costly = True
        return [(column, context.bind(TEXTS, patterns.one_of, values)) for column, values in lists]

    return Listing(types, lambda *_: order, matching=matching, one_of=one_of)
