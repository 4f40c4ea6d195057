"""Comparisons of two states of a dataset. Only what changed between their revisions is read: the rows that ended in
between, which all lie in the past and are found by `until`, and the rows that began in between, found by `since`."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import CTE, BigInteger, ColumnElement, Text, and_, case, func, or_, select, union_all
from sqlalchemy import literal_column as sql
from sqlalchemy.types import TypeEngine

from db.postgres.models import Dataset, Label, Sample, sample_past
from db.queries import ids
from db.queries.compile_context import IDS, Build, Type
from db.queries.connections import Listing, connection
from db.queries.json_text import NULL, Encode, Parts, array, assemble, number, or_null, text, word
from db.queries.pagination import Kind, Order
from db.queries.rows import Derived, Pinned, Row, Scope, table_of, whole_history
from db.queries.selection import Select

DIFFERENCE: dict[str, TypeEngine[Any]] = {
    "id": BigInteger(),
    "since": BigInteger(),
    "kind": Text(),
    "label_ids_before": IDS,
    "label_ids_after": IDS,
}
SHOWN = Derived(
    {column.name: column.type for column in table_of(Sample).columns}, lambda name: whole_history(Sample, name)
)
LOOKS: dict[str, Encode] = {"name": text, "color": or_null(word), "shortcut": or_null(text)}
COUNTS = {"added": "ADDED", "removed": "REMOVED", "relabeled": "RELABELED"}
NONE = sql("'{}'::bigint[]", IDS)


def compare(build: Build, row: Row, selected: Select) -> Parts:
    """Of a dataset: from one version to another, or to the working set."""
    build.costly = True
    base = _state(build, row, selected.given("base"))
    head = _state(build, row, selected.given("head"))
    scope = Scope(head.dataset_id, head.planned, head.pinned, against=base)
    span = _span(build, scope).cte(build.name("span"))
    found = _differences(head, span).cte(build.name("differences")).prefix_with("MATERIALIZED")
    name, selects = selected.of_only_type()

    def part(each: Select) -> Parts:
        match each.name:
            case "changes":
                return connection(build, _changes(found), each, scope, _of_kind(each), Derived(DIFFERENCE, found.alias))
            case "edited":
                return number(_edited(head, span))
            case "labels":
                return _labels(build, each, base, head)
        return number(_count(found, COUNTS[each.name]))

    json = assemble(build.fields(name, selects, part))
    return [select(json).add_cte(span, found, nest_here=True).scalar_subquery()]


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


def _span(build: Build, head: Scope) -> Any:
    """The two revisions in their order, and whether the comparison goes against it."""
    assert head.against is not None
    two = select(_revision(build, head.against).label("base"), _revision(build, head).label("head")).subquery()
    early, late = func.least(two.c.base, two.c.head), func.greatest(two.c.base, two.c.head)
    return select(early.label("early"), late.label("late"), (two.c.base > two.c.head).label("backward"))


def _states(head: Scope, span: CTE) -> tuple[Any, Any]:
    """The rows that were written between the two revisions, as they are in `base` and in `head`."""
    early, late, backward = (select(span.c[name]).scalar_subquery() for name in ("early", "late", "backward"))
    ended, begun = _ended(head, early, late), _begun(head, early, late)
    before = union_all(_where(ended, ~backward), *(_where(each, backward) for each in begun)).subquery("before")
    after = union_all(_where(ended, backward), *(_where(each, ~backward) for each in begun)).subquery("after")
    return before, after


def _edited(head: Scope, span: CTE) -> ColumnElement[Any]:
    before, after = _states(head, span)
    both = select(func.count()).select_from(before.join(after, before.c.id == after.c.id))
    return both.where(before.c.label_ids == after.c.label_ids).scalar_subquery()


def _labels(build: Build, selected: Select, base: Scope, head: Scope) -> Parts:
    was, became = _looks(build, base), _looks(build, head)
    same = and_(*(was.c[look].is_not_distinct_from(became.c[look]) for look in LOOKS))
    type_name, selects = selected.of_only_type()

    def part(each: Select) -> Parts:
        if each.name == "labelId":
            return ['"Label:', func.coalesce(was.c.id, became.c.id), '"']
        return _look(build, each, {"before": was, "after": became}[each.name])

    item = build.fields(type_name, selects, part)
    differing = select(assemble(array(item, func.coalesce(was.c.id, became.c.id))))
    differing = differing.select_from(was.join(became, was.c.id == became.c.id, full=True))
    return [differing.where(or_(was.c.id.is_(None), became.c.id.is_(None), ~same)).scalar_subquery()]


def _looks(build: Build, scope: Scope) -> Any:
    """The labels of a state."""
    label = build.row(Label, scope)
    columns = [label[name].label(name) for name in ("id", *LOOKS)]
    rows = select(*columns).select_from(label.origin())
    return rows.where(label["dataset_id"] == scope.dataset_id, *label.holds()).subquery(build.name("look"))


def _look(build: Build, selected: Select, state: Any) -> Parts:
    type_name, selects = selected.of_only_type()
    json = assemble(build.fields(type_name, selects, lambda each: LOOKS[each.name](state.c[each.name])))
    return [case((state.c.id.is_(None), NULL), else_=json)]


def _differences(head: Scope, span: CTE) -> Any:
    """A row for each sample that differs. `since` is of the row to show: that of `head`, or else that of `base`."""
    before, after = _states(head, span)
    was, became = before.c, after.c
    kind = case(
        (was.id.is_(None), sql("'ADDED'", Text)),
        (became.id.is_(None), sql("'REMOVED'", Text)),
        else_=sql("'RELABELED'", Text),
    )
    columns = [
        func.coalesce(became.id, was.id).label("id"),
        func.coalesce(became.since, was.since).label("since"),
        kind.label("kind"),
        func.coalesce(was.label_ids, NONE).label("label_ids_before"),
        func.coalesce(became.label_ids, NONE).label("label_ids_after"),
    ]
    differ = or_(was.id.is_(None), became.id.is_(None), was.label_ids != became.label_ids)
    return select(*columns).select_from(before.join(after, was.id == became.id, full=True)).where(differ)


def _where(rows: Any, condition: ColumnElement[bool]) -> Any:
    return rows.where(condition)


def _ended(head: Scope, early: ColumnElement[Any], late: ColumnElement[Any]) -> Any:
    past = sample_past.c
    rows = select(past.id, past.since, past.label_ids)
    return rows.where(past.dataset_id == head.dataset_id, past.until > early, past.until <= late, past.since <= early)


def _begun(head: Scope, early: ColumnElement[Any], late: ColumnElement[Any]) -> list[Any]:
    live, past = table_of(Sample).c, sample_past.c
    now = select(live.id, live.since, live.label_ids)
    then = select(past.id, past.since, past.label_ids)
    return [
        now.where(live.dataset_id == head.dataset_id, live.since > early, live.since <= late),
        then.where(past.dataset_id == head.dataset_id, past.since > early, past.since <= late, past.until > late),
    ]


def _changes(found: CTE) -> Listing:
    def counted(_build: Build, _scope: Scope, selected: Select) -> ColumnElement[Any]:
        return _count(found, selected.given("kind"))

    return Listing("SampleChange", {"SAMPLE": Order("sample.change", (("id", Kind.NUMBER),))}, counted=counted)


def _of_kind(selected: Select) -> Any:
    kind = selected.given("kind")
    return lambda row: [] if kind is None else [row["kind"] == sql(f"'{kind}'", Text)]


def _count(found: CTE, kind: str | None) -> ColumnElement[Any]:
    counted = select(func.count()).select_from(found)
    if kind is not None:
        counted = counted.where(found.c.kind == sql(f"'{kind}'", Text))
    return counted.scalar_subquery()


# -- a change of a sample ---------------------------------------------------------------------------------------------


def sample(build: Build, row: Row, selected: Select) -> Parts:
    """As it is in the later state; a removed one as it was in the earlier. Looked up for those on a page only."""
    base = row.scope.against
    assert base is not None
    head = replace(row.scope, against=None)
    shown = row.join(
        Row(build.name("w"), SHOWN, row.scope),
        lambda other: and_(other["id"] == row["id"], other["since"] == row["since"]),
    )
    name, selects = selected.of_only_type()
    was = row["kind"] == sql("'REMOVED'")
    json = [assemble(build.object(name, _as_sample(row, shown.name, scope), selects)) for scope in (base, head)]
    return [case((was, json[0]), else_=json[1])]


def _as_sample(row: Row, name: str, scope: Scope) -> Row:
    return Row(name, Sample, scope, joins=row.joins)


def labels_added(build: Build, row: Row, _select: Select) -> Parts:
    return _names(build, row.scope, row["label_ids_after"], row["label_ids_before"])


def labels_removed(build: Build, row: Row, _select: Select) -> Parts:
    assert row.scope.against is not None
    return _names(build, row.scope.against, row["label_ids_before"], row["label_ids_after"])


def _names(build: Build, scope: Scope, among: ColumnElement[Any], but: ColumnElement[Any]) -> Parts:
    label = build.row(Label, scope)
    build.unbounded += 1
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
