"""Connections: a page is chosen first, by its index; then what is wanted of its rows is read, for them only."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy
from sqlalchemy import CTE, ColumnElement, CompoundSelect, FromClause, case, false, func, or_, select, true, union_all
from sqlalchemy import literal_column as sql

from db.queries import pagination
from db.queries.compile_context import Build, Where
from db.queries.json_text import Parts, array, assemble, flag, number, value_or_null, word
from db.queries.pagination import Order
from db.queries.rows import Model, Row, Scope
from db.queries.selection import Select

Chosen = sqlalchemy.Select[Any] | CompoundSelect[Any]


@dataclass(frozen=True, slots=True)
class Listing:
    """A list that is read in pages: of which type, in which orders (the first one unless another is asked for).

    `others`: further types of the same table that its rows may be of. `few`: whether so few rows match that they are
    better found and sorted. `counted`: how many there are, where that is known without counting.
    """

    type: str
    orders: Mapping[str, Order]
    others: Sequence[str] = ()
    matching: Callable[[Build, Row, Select], Sequence[ColumnElement[bool]]] = lambda _build, _row, _select: ()
    few: Callable[[Build, Row, Select, int], ColumnElement[bool] | None] = lambda _build, _row, _select, _page: None
    counted: Callable[[Build, Scope, Select], ColumnElement[Any] | None] = lambda _build, _scope, _select: None

    def order(self, selected: Select) -> Order:
        return self.orders[selected.given("orderBy") or next(iter(self.orders))]


def connection(
    build: Build, listing: Listing, selected: Select, scope: Scope | None, where: Where, model: Model | None = None
) -> Parts:
    """A page of the rows that meet the conditions; `model`: the rows are made by the statement itself. The whole is
    one value, also when nothing is found."""
    return _Connection(build, listing, selected, scope, where, model).json()


class _Connection:
    def __init__(
        self,
        build: Build,
        listing: Listing,
        selected: Select,
        scope: Scope | None,
        where: Where,
        model: Model | None,
    ) -> None:
        self.build, self.listing, self.selected, self.scope, self.where = build, listing, selected, scope, where
        self.kind = build.types[listing.type]
        self.types = (listing.type, *listing.others)
        self.model = model or self.kind.model
        self.order = listing.order(selected)
        self.backward = selected.given("last") is not None
        self.after = self._place("after")
        self.before = self._place("before")
        self.size = pagination.size(selected.given("first"), selected.given("last"), most=build.page)
        self.page = self._page_row()
        self.made = False  # whether the items are columns of rows, checked for their size

    def json(self) -> Parts:
        name, selects = self.selected.of_only_type()
        before = self.build.unbounded
        lists = [each for each in selects if each.name in ("nodes", "edges")]
        with self.build.sharing(len(lists)):
            self.items = {each.alias: self._item(each) for each in lists}
        origin = self.page.origin() if self.build.unbounded == before else self._within(before)
        parts = self.build.fields(name, selects, self._field)
        if {each.name for each in selects} <= {"totalCount", "__typename"}:
            return parts
        table = self._page_table()
        whole = select(assemble(parts)).select_from(origin).having(true())  # one row, always
        return [whole.add_cte(table, *self.page.gathered, nest_here=True).scalar_subquery()]

    def _within(self, before: int) -> FromClause:
        """The page's rows with their items made, as long as these are no longer than an answer may be."""
        self.build.unbounded = before + 1
        names = {alias: f"item{at}" for at, alias in enumerate(self.items)}
        made = [case((self._is_shown(), assemble(item))).label(names[at]) for at, item in self.items.items()]
        rows = select(*made).select_from(self.page.origin()).order_by(*self._reading())
        found = self.build.within(rows, list(names.values()))
        self.items = {alias: [found.c[name]] for alias, name in names.items()}
        self.made = True
        return found

    def _field(self, selected: Select) -> Parts:
        match selected.name:
            case "nodes" | "edges":
                return self._array(self.items[selected.alias])
            case "pageInfo":
                name, selects = selected.of_only_type()
                return self.build.fields(name, selects, lambda each: self._page_info(each.name))
            case _:
                return number(self._total())

    def _item(self, selected: Select) -> Parts:
        """What one row gives to a list. All are made first: then it is known what the page is joined with."""
        with self.build.at(selected.alias):
            if selected.name == "nodes":
                return self._node(selected)
            name, selects = selected.of_only_type()
            return self.build.fields(name, selects, self._edge)

    def _edge(self, selected: Select) -> Parts:
        return word(self._cursor()) if selected.name == "cursor" else self._node(selected)

    def _node(self, selected: Select) -> Parts:
        if self.listing.others:
            return self.build.variants(self.types, self.page, selected)
        if self.listing.type not in selected.fields:
            return ["{}"]
        return self.build.object(self.listing.type, self.page, selected.fields[self.listing.type])

    def _array(self, item: Parts) -> Parts:
        return array(item) if self.made else array(item, *self._reading(), only=self._is_shown())

    def _reading(self) -> list[ColumnElement[Any]]:
        """The order of the list, where the page does not lie in it already."""
        if self.backward:
            return [self._position().desc()]
        return [self._position()] if self.page.joins else []

    # -- the page -----------------------------------------------------------------------------------------------------

    def _page_row(self) -> Row:
        page = Row(self.build.name("page"), self.model, self.scope or Scope(sql("null")), is_page=True)
        if self.scope is None:
            page.scope = Scope(page["id"])
        return page

    def _page_table(self) -> CTE:
        """The page's rows and one more, `position` counting from where reading begins."""
        chosen = self._chosen().subquery(self.build.name("chosen"))
        numbered = select(chosen, func.row_number().over().label("position"))
        return numbered.cte(self.page.name).prefix_with("MATERIALIZED")

    def _chosen(self) -> Chosen:
        """By walking along the order or by sorting what is found. Where the planner cannot know which is better, both
        ways stand in the statement, and one is taken when it starts."""
        row = self._source()
        few = self.listing.few(self.build, row, self.selected, self.size + 1)
        if few is None or row.scope.planned:
            return self._in_order(row, unless=few)
        are_few = select(few).scalar_subquery()
        walked = self._in_order(row).where(are_few.is_(false()))
        sorted_ = self._in_order(self._source(), unless=true()).where(are_few.is_not(false()))
        return union_all(walked, sorted_)

    def _in_order(self, row: Row, unless: ColumnElement[bool] | None = None) -> sqlalchemy.Select[Any]:
        row.order = self.order
        columns = sorted(self.page.used | {name for name, _ in self.order.keys})
        return (
            select(*(row[name].label(name) for name in columns))
            .select_from(row.origin())
            .where(*self._found(row), *self._between(row))
            .order_by(*self.order.by(row.__getitem__, backward=self.backward, unless=unless))
            .limit(_literal(self.size + 1))
        )

    def _source(self) -> Row:
        return self.build.row(self.model, self.scope)

    def _found(self, row: Row) -> list[ColumnElement[bool]]:
        matching = self.listing.matching(self.build, row, self.selected)
        kinds = [self.build.is_any(self.types, row)] if self.listing.others else self.kind.where(row)
        return [*self.where(row), *row.holds(), *kinds, *matching]

    def _between(self, row: Row) -> list[ColumnElement[bool]]:
        found = []
        if self.after is not None:
            found.append(self.order.beyond(row.__getitem__, self.after))
        if self.before is not None:
            found.append(self.order.beyond(row.__getitem__, self.before, backward=True))
        return found

    def _place(self, name: str) -> list[ColumnElement[Any]] | None:
        cursor = self.selected.given(name)
        if cursor is None:
            return None
        place, keys = self.order.place, enumerate(self.order.keys)
        return [self.build.bind(kind.type, lambda text, at=at: place(text)[at], cursor) for at, (_, kind) in keys]

    def _position(self) -> ColumnElement[Any]:
        return sql(f"{self.page.name}.position")

    def _is_shown(self) -> ColumnElement[bool]:
        return self._position() <= _literal(self.size)

    def _cursor(self) -> ColumnElement[str]:
        return self.order.cursor(self.page.__getitem__)

    # -- what lies around it ------------------------------------------------------------------------------------------

    def _page_info(self, name: str) -> Parts:
        match name:
            case "hasNextPage":
                return flag(self._is_more(ahead=not self.backward, cursor=self.before, backward=False))
            case "hasPreviousPage":
                return flag(self._is_more(ahead=self.backward, cursor=self.after, backward=True))
            case "startCursor":
                return self._end_cursor(last=self.backward)
            case _:
                return self._end_cursor(last=not self.backward)

    def _is_more(self, *, ahead: bool, cursor: list[ColumnElement[Any]] | None, backward: bool) -> ColumnElement[bool]:
        """Whether rows follow on one side: `ahead`, where reading went, the one row more says so; and rows that a
        cursor left out count too."""
        more: list[ColumnElement[bool]] = [func.count(sql("*")) > _literal(self.size)] if ahead else []
        if cursor is not None:
            row = self._source()
            left_out = self.order.beyond(row.__getitem__, cursor, backward=backward, inclusive=True)
            more.append(select(sql("1")).select_from(row.origin()).where(*self._found(row), left_out).exists())
        return or_(false(), *more)

    def _end_cursor(self, *, last: bool) -> Parts:
        """The cursor of the first or the last row shown, in the order of reading."""
        position = self._position()
        end = select(func.concat(sql("'\"'"), self._cursor(), sql("'\"'"))).select_from(
            sqlalchemy.table(self.page.name)
        )
        end = end.where(self._is_shown()).order_by(position.desc() if last else position.asc()).limit(sql("1"))
        return value_or_null(end.scalar_subquery())

    def _total(self) -> ColumnElement[Any]:
        if self.scope is not None:
            counted = self.listing.counted(self.build, self.scope, self.selected)
            if counted is not None:
                return counted
        self.build.costly = True
        row = self._source()
        return select(func.count(sql("*"))).select_from(row.origin()).where(*self._found(row)).scalar_subquery()


def _literal(number: int) -> ColumnElement[int]:
    """Page sizes stand in the statement, so that every plan knows them."""
    return sql(str(number))
