"""Comparisons of two states of a dataset. Only what changed between their revisions is read: the rows that ended in
between, which all lie in the past and are found by `until`, and the rows that began in between, found by `since`."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, FromClause, Text, case, func, select, union_all
from sqlalchemy import literal_column as sql
from sqlalchemy.types import TypeEngine

from db.models import Dataset, Label, Sample, SamplePast
from db.pages import Kind, Order
from db.select import ids
from db.select.build import IDS, Build, Type
from db.select.connections import Listing, connection
from db.select.rows import STILL, Derived, Pinned, Row, Scope, table_of, usage_in
from db.select.selection import Select
from db.select.text import Parts, array, assemble, number, text, word

COLUMNS = [column.name for column in table_of(Sample).columns]
SIDES: dict[str, TypeEngine[Any]] = {"label_ids_before": IDS, "label_ids_after": IDS, "kind": Text()}
TYPES: dict[str, TypeEngine[Any]] = {column.name: column.type for column in table_of(Sample).columns} | SIDES
COUNTS = {"added": "ADDED", "removed": "REMOVED", "relabeled": "RELABELED"}


def compare(build: Build, row: Row, selected: Select) -> Parts:
    """Of a dataset: from one version to another, or to the working set."""
    base = _state(build, row, selected.given("base"))
    head = _state(build, row, selected.given("head"))
    scope = Scope(head.dataset_id, head.planned, head.pinned, against=base)
    model = _differences(build, scope)
    name, selects = selected.of_only_type()
    counts = build.name("counts")

    def part(each: Select) -> Parts:
        if each.name == "changes":
            return connection(build, CHANGES, each, scope, _of_kind(each), model)
        return number(sql(f"{counts}.{each.name}"))

    json = assemble(build.fields(name, selects, part))
    if not any(each.name in COUNTS for each in selects):
        return [json]
    return [select(json).select_from(_counted(build, model, counts)).scalar_subquery()]


def _state(build: Build, row: Row, given: Any) -> Scope:
    """Of the version with this id, or of the working set. An unknown version is an error when the row is read."""
    if given is None:
        return Scope(row.scope.dataset_id, row.scope.planned)
    id_ = build.bind(BigInteger(), lambda text: text and ids.decode(text, "Version"), given)
    revision = select(func.version_of(row.scope.dataset_id, id_)).scalar_subquery()
    return Scope(row.scope.dataset_id, row.scope.planned, pinned=Pinned(id_, revision))


def _revision(build: Build, scope: Scope) -> ColumnElement[Any]:
    if scope.pinned is not None:
        return scope.pinned.revision
    dataset = build.row(Dataset)
    found = select(dataset["revision"]).select_from(dataset.origin()).where(dataset["id"] == scope.dataset_id)
    return found.scalar_subquery()


def _differences(build: Build, head: Scope) -> Derived:
    """One row for each sample that differs: as it is in `head`, or, where it is not there, as it was before."""
    base = head.against
    assert base is not None
    of_base, of_head = _revision(build, base), _revision(build, head)
    early, late = func.least(of_base, of_head), func.greatest(of_base, of_head)
    backward = of_base > of_head

    def made(name: str) -> FromClause:
        ended, begun = _ended(head, early, late).subquery("ended"), _begun(head, early, late).subquery("begun")
        before = _either(backward, begun.c, ended.c)
        after = _either(backward, ended.c, begun.c)
        kind = case(
            (before("id").is_(None), sql("'ADDED'", Text)),
            (after("id").is_(None), sql("'REMOVED'", Text)),
            (before("label_ids") != after("label_ids"), sql("'RELABELED'", Text)),
        )
        shown = [_shown(column, before, after, base, head).label(column) for column in COLUMNS]
        none = sql("'{}'::bigint[]", IDS)
        sides = [
            func.coalesce(before("label_ids"), none).label("label_ids_before"),
            func.coalesce(after("label_ids"), none).label("label_ids_after"),
        ]
        joined = ended.join(begun, ended.c.id == begun.c.id, full=True)
        return select(*shown, *sides, kind.label("kind")).select_from(joined).where(kind.is_not(None)).subquery(name)

    return Derived(TYPES, made)


def _ended(head: Scope, early: ColumnElement[Any], late: ColumnElement[Any]) -> Any:
    past = table_of(SamplePast).c
    rows = select(*(past[column] for column in COLUMNS))
    return rows.where(past.dataset_id == head.dataset_id, past.until > early, past.until <= late, past.since <= early)


def _begun(head: Scope, early: ColumnElement[Any], late: ColumnElement[Any]) -> Any:
    live, past = table_of(Sample).c, table_of(SamplePast).c
    now = select(*(live[column] for column in COLUMNS), STILL.label("until"))
    now = now.where(live.dataset_id == head.dataset_id, live.since > early, live.since <= late)
    then = select(*(past[column] for column in COLUMNS), past.until)
    then = then.where(past.dataset_id == head.dataset_id, past.since > early, past.since <= late, past.until > late)
    return union_all(now, then)


def _either(choose: ColumnElement[bool], one: Any, other: Any) -> Any:
    return lambda column: case((choose, one[column]), else_=other[column])


def _shown(column: str, before: Any, after: Any, base: Scope, head: Scope) -> ColumnElement[Any]:
    is_there = after("id").is_not(None)
    if column == "usage":
        return case((is_there, _usage(head, after)), else_=_usage(base, before))
    return case((is_there, after(column)), else_=before(column))


def _usage(scope: Scope, column: Any) -> ColumnElement[Any]:
    return column("usage") if scope.pinned is None else usage_in(scope.pinned, column)


def _of_kind(selected: Select) -> Any:
    kind = selected.given("kind")
    return lambda row: [] if kind is None else [row["kind"] == sql(f"'{kind}'", Text)]


def _counted(build: Build, model: Derived, name: str) -> FromClause:
    found = model.made(build.name("all"))
    numbers = [
        func.count().filter(found.c.kind == sql(f"'{kind}'", Text)).label(column) for column, kind in COUNTS.items()
    ]
    return select(*numbers).select_from(found).subquery(name)


# -- a change of a sample ---------------------------------------------------------------------------------------------


def sample(build: Build, row: Row, selected: Select) -> Parts:
    """As it is in the later state; a removed one as it was in the earlier."""
    base = row.scope.against
    assert base is not None
    head = Scope(row.scope.dataset_id, row.scope.planned, row.scope.pinned)
    name, selects = selected.of_only_type()
    was = row["kind"] == sql("'REMOVED'")
    json = [assemble(build.object(name, _as_sample(row, scope), selects)) for scope in (base, head)]
    return [case((was, json[0]), else_=json[1])]


def _as_sample(row: Row, scope: Scope) -> Row:
    return Row(row.name, Sample, scope, row.is_page, row.used, row.joins, row.gathered)


def labels_added(build: Build, row: Row, _select: Select) -> Parts:
    return _names(build, row, row.scope, row["label_ids_after"], row["label_ids_before"])


def labels_removed(build: Build, row: Row, _select: Select) -> Parts:
    assert row.scope.against is not None
    return _names(build, row, row.scope.against, row["label_ids_before"], row["label_ids_after"])


def _names(build: Build, row: Row, scope: Scope, among: ColumnElement[Any], but: ColumnElement[Any]) -> Parts:
    label = build.row(Label, scope)
    names = assemble(array(text(label["name"]), label["id"]))
    conditions: Sequence[ColumnElement[bool]] = [label["id"] == func.any(among), label["id"] != func.all(but)]
    return [select(names).select_from(label.origin()).where(*conditions, *label.holds()).scalar_subquery()]


SAMPLE_CHANGE = Type(
    name="SampleChange",
    model=Sample,
    fields={
        "kind": lambda _build, row, _select: word(row["kind"]),
        "sample": sample,
        "labelsAdded": labels_added,
        "labelsRemoved": labels_removed,
    },
)

CHANGES = Listing(type="SampleChange", orders={"SAMPLE": Order("sample.change", (("id", Kind.NUMBER),))})
