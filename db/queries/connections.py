"""Connections: the rows of a page are selected first, by its index; then their fields are read, for them only."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import sqlalchemy
from sqlalchemy import CTE, ColumnElement, FromClause, Text, and_, case, false, func, or_, select, true, union_all
from sqlalchemy import literal_column as sql

from db.queries.compile_context import CompileContext, Field, ObjectType, SelectedField, Where
from db.queries.json_text import NULL, Parts, array, boolean, concatenate, number, unescaped, value_or_null
from db.queries.nearest import Nearest
from db.queries.pagination import Order, page_size
from db.queries.rows import DatasetState, Model, Row
from db.queries.types.fields import NESTED, value

IN_INDEX = 8  # rows that are read from an index in the time of one that is read from the table, at least
WITHOUT_ROWS = frozenset({"totalCount", "facets", "__typename"})  # fields that show no row of the page


@dataclass(frozen=True, slots=True)
class Listing:
    """A list that is read in pages: of which types, all of one table, and in which order.

    `nearest`: where the list is of the samples that are nearest to a vector. `few`: whether so few rows match that they
    are better found and sorted. `indexed`: whether a row matches, as the index of the order alone answers it, where it
    does. `counted`: their number, where that is known without counting. `one_of`: columns, and the values that each may
    have; the rows with one value of the first column are in the order of the list in an index.
    """

    types: Sequence[str]
    order: Callable[[CompileContext, SelectedField], Order]
    matching: Callable[[CompileContext, Row, SelectedField], Sequence[ColumnElement[bool]]] = lambda *_: ()
    nearest: Callable[[CompileContext, SelectedField, DatasetState | None, Where], Nearest | None] = lambda *_: None
    few: Callable[[CompileContext, Row, SelectedField, int], ColumnElement[bool] | None] = lambda *_: None
    indexed: Callable[[CompileContext, Row, SelectedField, Order], ColumnElement[bool] | None] = lambda *_: None
    counted: Callable[[CompileContext, DatasetState, SelectedField], ColumnElement[Any] | None] = lambda *_: None
    one_of: Callable[[CompileContext, SelectedField], Sequence[tuple[str, ColumnElement[Any]]]] = lambda *_: ()


class Page:
    """A page of the rows that meet the conditions: what the fields of connections, edges and PageInfo are made from.
    `model`: the rows are made by the statement itself."""

    def __init__(
        self,
        context: CompileContext,
        listing: Listing,
        field: SelectedField,
        state: DatasetState | None,
        where: Where,
        model: Model | None = None,
    ) -> None:
        self.context, self.listing, self.field, self.state, self.where = context, listing, field, state, where
        self.model = model or context.row_type(listing.types[0]).model
        self.nearest = listing.nearest(context, field, state, self._matching)
        self.order = listing.order(context, field) if self.nearest is None else self.nearest.order
        self.one_of = listing.one_of(context, field)
        first, last = field.argument("first"), field.argument("last")
        self.backward = last is not None
        self.after, self.before = self._key("after"), self._key("before")
        self.size = page_size(first, last, limit=context.page)
        self.rows = context.row(self.model, state, is_page=True)
        self.position: ColumnElement[Any] = sql(f"{self.rows.name}.position")
        self.is_shown = self.position <= literal(self.size)
        self.items: dict[str, Parts] = {}  # of the selected lists, by their aliases
        self.items_are_columns = False  # of rows whose size is checked

    def _key(self, argument: str) -> list[ColumnElement[Any]] | None:
        """The sort key in the cursor of this argument."""
        cursor = self.field.argument(argument)
        if cursor is None:
            return None
        leaves = [cursor] if self.order.seed is None else [cursor, self.order.seed[1]]
        return [
            self.context.bind(key.type.type, lambda *of, index=index: self.order.key(*of)[index], *leaves)
            for index, key in enumerate(self.order.keys)
        ]

    def json(self) -> Parts:
        """One value, also without any rows."""
        [(type_name, fields)] = self.field.fields.items()
        before = self.context.unbounded
        lists = [each for each in fields if each.name in ("nodes", "edges")]
        with self.context.sharing(len(lists)):
            for each in lists:  # all items are compiled first: then it is known what the page is joined with
                with self.context.at(type_name, each.alias):
                    source = self.rows if each.name == "nodes" else self
                    self.items[each.alias] = self.context.nested(source, each.fields)
        origin = self.rows.origin() if self.context.unbounded == before else self._limited(before)
        parts = self.context.nested(self, self.field.fields)
        if {each.name for each in fields} <= WITHOUT_ROWS:
            return parts if self.nearest is None else self._with_tables(select(concatenate(parts)))
        selected = self._selected().subquery(self.context.name("selected"))
        numbered = select(selected, func.row_number().over().label("position"))
        table = numbered.cte(self.rows.name).prefix_with("MATERIALIZED")
        whole = select(concatenate(parts)).select_from(origin).having(true())  # one row, always
        return self._with_tables(whole, table, *self.rows.tables)

    def _with_tables(self, whole: sqlalchemy.Select[Any], *tables: CTE) -> Parts:
        own = () if self.nearest is None else self.nearest.tables
        return [whole.add_cte(*own, *tables, nest_here=True).scalar_subquery()]

    def _limited(self, before: int) -> FromClause:
        """The page's rows with their items, as long as these are no longer than an answer may be."""
        self.context.unbounded = before + 1
        names = {alias: f"item{index}" for index, alias in enumerate(self.items)}
        items = [case((self.is_shown, concatenate(self.items[alias]))).label(name) for alias, name in names.items()]
        rows = self.rows.select(*items).order_by(*self._reading_order())
        limited = self.context.limited(rows, list(names.values()))
        self.items = {alias: [limited.c[name]] for alias, name in names.items()}
        self.items_are_columns = True
        return limited

    def _reading_order(self) -> list[ColumnElement[Any]]:
        """The order of the list, where the rows of the page are not in it already."""
        if self.backward:
            return [self.position.desc()]
        return [self.position] if self.rows.joins else []

    # -- the rows of the page, and one more ---------------------------------------------------------------------------

    def _selected(self) -> sqlalchemy.Select[Any] | sqlalchemy.CompoundSelect[Any]:
        """By walking along the order or by sorting all matches. Where the planner cannot know which is better, both
        ways are in the statement, and one is taken when it starts. Rows that the order has no value for are read only
        if the others do not fill the page."""
        if self.one_of:
            return self._of_each_value()
        rows, found = self._groups(), self.source()
        is_match = None if self.nearest else self.listing.indexed(self.context, found, self.field, self.order)
        page = self.size + 1 if is_match is None else self.size // IN_INDEX + 1
        few = None if self.nearest else self.listing.few(self.context, rows[0], self.field, page)
        if few is not None and is_match is not None and rows[0].state.is_bound:
            return self._in_index(found, is_match, unless=few.is_not(false()))
        if few is None or rows[0].state.is_bound:
            parts = [self._in_order(row, unless=few) for row in rows]
        else:
            are_few = select(few).scalar_subquery()
            walked = [self._in_order(row) for row in rows] if is_match is None else [self._in_index(found, is_match)]
            parts = [each.where(are_few.is_(false())) for each in walked]
            parts += [self._in_order(row, unless=true()).where(are_few.is_not(false())) for row in self._groups()]
        return parts[0] if len(parts) == 1 else union_all(*parts).limit(literal(self.size + 1))

    def _groups(self) -> list[Row]:
        """The rows of the list, or those with and those without a value for its order, as they are read."""
        rows = [self.source()]
        if self.order.has_rest:
            rows.insert(0 if self.backward else 1, self.source())
            rows[0 if self.backward else 1].is_rest = True
        return rows

    def _in_index(
        self, found: Row, is_match: ColumnElement[bool], unless: ColumnElement[bool] | None = None
    ) -> sqlalchemy.Select[Any]:
        """The rows as the index of the order finds them, which says of each whether it matches: others are not read.
        `unless` this is true: then they are found and sorted."""
        if unless is not None:
            is_match = case((unless, and_(*self._matching(found))), else_=is_match)
        keys = {key.name: key.value(found).label(key.name) for key in self.order.keys}
        rows = found.select(*keys.values(), where=[*self.where(found), is_match, *self._between(found)])
        rows = rows.order_by(*self.order.by(found, backward=self.backward, unless=unless))
        page = rows.limit(literal(self.size + 1)).subquery(self.context.name("found"))
        row = self.source()
        row.sources[page.name] = (page, row["id"] == page.c.id)
        values = {**{name: row[name] for name in sorted(self.rows.used)}, **{name: page.c[name] for name in keys}}
        descending = self.order.descending != self.backward
        order = [page.c[name].desc() if descending else page.c[name].asc() for name in keys]
        return row.select(*(value.label(name) for name, value in values.items())).order_by(*order)

    def _of_each_value(self) -> sqlalchemy.Select[Any]:
        """The first rows with each value of a column, from its index; of these the first."""
        table = self.context.name("of")
        each = func.unnest(self.one_of[0][1]).table_valued("value").render_derived(name=table)
        row = self.source()
        first = self._in_order(row, value=sql(f"{table}.value", Text)).lateral(self.context.name("first"))
        keys = [first.c[key.name] for key in self.order.keys]
        rows = select(first).select_from(each.join(first, true()))
        order = [key.desc() if row.descending else key.asc() for key in keys]
        return rows.order_by(*order).limit(literal(self.size + 1))

    def _in_order(
        self, row: Row, unless: ColumnElement[bool] | None = None, value: ColumnElement[Any] | None = None
    ) -> sqlalchemy.Select[Any]:
        row.order, row.descending = self.order, self.order.descending != self.backward
        keys = {key.name: key.value(row) for key in self.order.keys}
        values = {**{name: row[name] for name in sorted(self.rows.used)}, **keys}
        columns = [value.label(name) for name, value in values.items()]
        where = [*self.conditions(row, value), *self.order.group(row), *self._between(row)]
        order = self.order.by(row, backward=self.backward, unless=unless)
        return row.select(*columns, where=where).order_by(*order).limit(literal(self.size + 1))

    def _between(self, row: Row) -> list[ColumnElement[bool]]:
        return [
            self.order.beyond(row, key, backward=backward)
            for key, backward in ((self.after, False), (self.before, True))
            if key is not None
        ]

    # -- the rows of the whole list -----------------------------------------------------------------------------------

    def source(self) -> Row:
        return self.context.row(self.model, self.state)

    def conditions(self, row: Row, value: ColumnElement[Any] | None = None) -> list[ColumnElement[bool]]:
        """`value`: the only one of the first column in `one_of`."""
        if self.nearest is not None:
            self.nearest.join(row)
            return [*self.where(row), *row.conditions()]
        is_one = [row[column] == func.any(values) for column, values in self.one_of]
        if value is not None:
            is_one[0] = row[self.one_of[0][0]] == value
        return [*self._matching(row), *is_one]

    def _matching(self, row: Row) -> list[ColumnElement[bool]]:
        matching = self.listing.matching(self.context, row, self.field)
        return [*self.where(row), *row.conditions(), *self.context.are(self.listing.types, row), *matching]

    # -- fields -------------------------------------------------------------------------------------------------------

    def listed(self, field: SelectedField) -> Parts:
        item = self.items[field.alias]
        return array(item) if self.items_are_columns else array(item, *self._reading_order(), only=self.is_shown)

    def cursor(self) -> ColumnElement[str]:
        return self.order.cursor(self.rows.selected)

    def has_more(self, *, backward: bool) -> ColumnElement[bool]:
        """Whether rows follow on one side: where reading went, the one row more says so; and rows that a cursor
        excluded count too."""
        is_ahead, cursor = backward == self.backward, self.after if backward else self.before
        more: list[ColumnElement[bool]] = [func.count(sql("*")) > literal(self.size)] if is_ahead else []
        if cursor is not None:
            for row in self._groups():
                excluded = self.order.beyond(row, cursor, backward=backward, inclusive=True)
                one = row.select(sql("true"), where=[*self.conditions(row), *self.order.group(row), excluded])
                if self.order.last is not None:  # few rows may have a value: where they lie, the index says
                    nearest = one.order_by(*self.order.by(row, backward=not backward)).limit(literal(1))
                    more.append(nearest.scalar_subquery().is_not(None))
                else:
                    more.append(one.exists())
        return or_(false(), *more)

    def end_cursor(self, *, last: bool) -> ColumnElement[str]:
        """The cursor of the first or the last row shown; null on an empty page."""
        quoted = func.concat(sql("'\"'"), self.cursor(), sql("'\"'"))
        order = self.position.asc() if last == self.backward else self.position.desc()
        end = select(quoted).select_from(sqlalchemy.table(self.rows.name)).where(self.is_shown)
        return end.order_by(order).limit(sql("1")).scalar_subquery()

    def distance(self) -> Parts:
        """From the vector that the list is sorted by."""
        return [NULL] if self.nearest is None else number(self.rows.selected("distance"))

    def total(self) -> ColumnElement[Any]:
        if self.nearest is not None:
            return self.nearest.count()
        if self.state is not None:
            counted = self.listing.counted(self.context, self.state, self.field)
            if counted is not None:
                return counted
        self.context.costly = True
        row = self.source()
        return row.select(func.count(sql("*")), where=self.conditions(row)).scalar_subquery()


def literal(number: int) -> ColumnElement[int]:
    """Page sizes are in the statement, so that every plan knows them."""
    return sql(str(number))


def page(listing: Listing, where: Callable[[Row, Row], ColumnElement[bool]], *, in_state: bool = True) -> Field:
    """The rows of a listing that belong to a row: the condition gets them first. `in_state`: in the same state of the
    dataset."""
    return Field(
        lambda context, row, field: Page(
            context, listing, field, row.state if in_state else None, lambda other: [where(other, row)]
        ).json()
    )


def connection_types(
    item: str,
    more: Mapping[str, Field] = MappingProxyType({}),
    more_of_edges: Mapping[str, Field] = MappingProxyType({}),
) -> tuple[ObjectType, ObjectType]:
    """The types of the connections of an item type, and of their edges. `more`: fields that its connections have."""
    items = Field(lambda _context, page, field: page.listed(field), is_list=True)
    return (
        ObjectType(
            f"{item}Connection",
            {
                "edges": items,
                "nodes": items,
                "pageInfo": NESTED,
                "totalCount": value(lambda page: page.total(), number),
                **more,
            },
        ),
        ObjectType(
            f"{item}Edge",
            {
                "cursor": value(lambda page: page.cursor(), unescaped),
                "node": Field(lambda context, page, field: context.nested(page.rows, field.fields)),
                **more_of_edges,
            },
        ),
    )


DISTANCE = Field(lambda _context, page, _field: page.distance(), is_nullable=True)
PAGE_INFO = ObjectType(
    "PageInfo",
    {
        "hasNextPage": value(lambda page: page.has_more(backward=False), boolean),
        "hasPreviousPage": value(lambda page: page.has_more(backward=True), boolean),
        "startCursor": replace(value(lambda page: page.end_cursor(last=False), value_or_null), is_nullable=True),
        "endCursor": replace(value(lambda page: page.end_cursor(last=True), value_or_null), is_nullable=True),
    },
)
