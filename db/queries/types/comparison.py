"""Comparisons of two states of a dataset. Only what changed between their revisions is read: the rows that ended in
between, which are all past rows and found by `until`, and the rows that began in between, found by `since`."""

from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import CTE, BigInteger, ColumnElement, Subquery, Text, and_, case, func, or_, select, union_all
from sqlalchemy import literal_column as sql
from sqlalchemy.types import TypeEngine

from db.postgres.models import Dataset, Label, Sample, sample_past_published
from db.queries import ids
from db.queries.compile_context import IDS, CompileContext, Field, ObjectType, SelectedField
from db.queries.connections import Listing, Page
from db.queries.json_text import Parts, array, concatenate, number, text, unescaped, value_or_null
from db.queries.pagination import ID, Order
from db.queries.rows import DatasetState, DerivedTable, PublishedVersion, Row, all_revisions, table_of
from db.queries.types.fields import column

DIFFERENCE: dict[str, TypeEngine[Any]] = {
    "id": BigInteger(),
    "since": BigInteger(),
    "kind": Text(),
    "label_ids_before": IDS,
    "label_ids_after": IDS,
}
ANY_REVISION = DerivedTable(
    {column.name: column.type for column in table_of(Sample).columns}, lambda name: all_revisions(Sample, name)
)
LABEL_FIELDS = ("name", "color", "shortcut")
NO_IDS = sql("'{}'::bigint[]", IDS)


@dataclass(frozen=True, slots=True)
class Comparison:
    """From the state `base` to the state `head`: the revisions in between, and a row for each sample that differs."""

    base: DatasetState
    head: DatasetState
    span: CTE
    differences: CTE

    def count(self, kind: str | None) -> ColumnElement[Any]:
        """How many samples differ; of a `kind`, if given."""
        rows = select(func.count()).select_from(self.differences)
        if kind is not None:
            rows = rows.where(self.differences.c.kind == sql(f"'{kind}'", Text))
        return rows.scalar_subquery()


def compare(context: CompileContext, row: Row, field: SelectedField) -> Parts:
    """Of a dataset: from one version to another, or to the working set."""
    context.costly = True
    base = _state(context, row, field.argument("baseId"))
    head = replace(_state(context, row, field.argument("headId")), base=base)
    span = _span(context, base, head).cte(context.name("span"))
    differences = _differences(head, span).cte(context.name("differences")).prefix_with("MATERIALIZED")
    json = concatenate(context.nested(Comparison(base, head, span, differences), field.fields))
    return [select(json).add_cte(span, differences, nest_here=True).scalar_subquery()]


def _state(context: CompileContext, row: Row, id_: Any) -> DatasetState:
    """Of the version with this id, or of the working set. An unknown version is an error when the row is read."""
    if id_ is None:
        return DatasetState(row.state.dataset_id, row.state.is_bound)
    version_id = context.bind(BigInteger(), lambda text: text and ids.decode(text, "Version"), id_)
    revision = select(func.version_of(row.state.dataset_id, version_id)).scalar_subquery()
    version = PublishedVersion(version_id, revision)
    return DatasetState(row.state.dataset_id, row.state.is_bound, version)


def _span(context: CompileContext, base: DatasetState, head: DatasetState) -> Any:
    """The two revisions in their order, and whether the comparison goes against it."""

    def revision(state: DatasetState) -> ColumnElement[Any]:
        if state.version is not None:
            return state.version.revision
        dataset = context.row(Dataset)
        return dataset.select(dataset["revision"], where=[dataset["id"] == state.dataset_id]).scalar_subquery()

    two = select(revision(base).label("base"), revision(head).label("head")).subquery()
    early, late = func.least(two.c.base, two.c.head), func.greatest(two.c.base, two.c.head)
    return select(early.label("early"), late.label("late"), (two.c.base > two.c.head).label("backward"))


def _states(head: DatasetState, span: CTE) -> tuple[Subquery, Subquery]:
    """The rows that were written between the two revisions, as they are in `base` and in `head`."""
    early, late, backward = (select(span.c[name]).scalar_subquery() for name in ("early", "late", "backward"))
    live, past = table_of(Sample).c, sample_past_published.c
    in_past = select(past.id, past.since, past.label_ids).where(past.dataset_id == head.dataset_id)
    in_present = select(live.id, live.since, live.label_ids).where(live.dataset_id == head.dataset_id)
    ended = in_past.where(past.until > early, past.until <= late, past.since <= early)
    begun = (
        in_present.where(live.since > early, live.since <= late),
        in_past.where(past.since > early, past.since <= late, past.until > late),
    )
    before = union_all(ended.where(~backward), *(rows.where(backward) for rows in begun)).subquery("before")
    after = union_all(ended.where(backward), *(rows.where(~backward) for rows in begun)).subquery("after")
    return before, after


def _differences(head: DatasetState, span: CTE) -> Any:
    """A row for each sample that differs. `since` is of the row to show: that of `head`, or else that of `base`."""
    before, after = _states(head, span)
    old, new = before.c, after.c
    kind = case(
        (old.id.is_(None), sql("'ADDED'", Text)),
        (new.id.is_(None), sql("'REMOVED'", Text)),
        else_=sql("'RELABELED'", Text),
    )
    columns = [
        func.coalesce(new.id, old.id).label("id"),
        func.coalesce(new.since, old.since).label("since"),
        kind.label("kind"),
        func.coalesce(old.label_ids, NO_IDS).label("label_ids_before"),
        func.coalesce(new.label_ids, NO_IDS).label("label_ids_after"),
    ]
    differ = or_(old.id.is_(None), new.id.is_(None), old.label_ids != new.label_ids)
    return select(*columns).select_from(before.join(after, old.id == new.id, full=True)).where(differ)


# -- fields of a comparison -------------------------------------------------------------------------------------------


def count(kind: str) -> Field:
    return Field(lambda _context, comparison, _field: number(comparison.count(kind)))


def edited(_context: CompileContext, comparison: Comparison, _field: SelectedField) -> Parts:
    before, after = _states(comparison.head, comparison.span)
    both = select(func.count()).select_from(before.join(after, before.c.id == after.c.id))
    return number(both.where(before.c.label_ids == after.c.label_ids).scalar_subquery())


def changes(context: CompileContext, comparison: Comparison, field: SelectedField) -> Parts:
    kind = field.argument("kind")
    listing = Listing(
        ("SampleChange",),
        lambda *_: Order("sample.change", (ID,)),
        counted=lambda *_: comparison.count(kind),
    )
    rows = DerivedTable(DIFFERENCE, comparison.differences.alias)
    return Page(
        context,
        listing,
        field,
        comparison.head,
        lambda row: [] if kind is None else [row["kind"] == sql(f"'{kind}'", Text)],
        rows,
    ).json()


def labels(context: CompileContext, comparison: Comparison, field: SelectedField) -> Parts:
    def labels_of(state: DatasetState) -> Any:
        label = context.row(Label, state)
        columns = [label[name].label(name) for name in ("id", *LABEL_FIELDS)]
        rows = label.select(*columns, where=[label["dataset_id"] == state.dataset_id, *label.conditions()])
        return rows.subquery(context.name("look"))

    old, new = labels_of(comparison.base), labels_of(comparison.head)
    is_same = and_(*(old.c[name].is_not_distinct_from(new.c[name]) for name in LABEL_FIELDS))
    pair = (Row(old.name, Label, comparison.base), Row(new.name, Label, comparison.head))
    item = context.nested(pair, field.fields)
    differing = select(concatenate(array(item, func.coalesce(old.c.id, new.c.id))))
    differing = differing.select_from(old.join(new, old.c.id == new.c.id, full=True))
    return [differing.where(or_(old.c.id.is_(None), new.c.id.is_(None), ~is_same)).scalar_subquery()]


def differing_label(index: int) -> Field:
    """Of a pair of labels, of which one may not exist."""

    def compiled(context: CompileContext, pair: tuple[Row, Row], field: SelectedField) -> Parts:
        row = pair[index]
        return value_or_null(context.one(field.fields, lambda label: [label["id"] == row["id"]], row.state))

    return Field(compiled, is_nullable=True)


COMPARISON = ObjectType(
    name="Comparison",
    fields={
        "addedCount": count("ADDED"),
        "removedCount": count("REMOVED"),
        "relabeledCount": count("RELABELED"),
        "editedCount": Field(edited),
        "labels": Field(labels, is_list=True),
        "changes": Field(changes),
    },
)
LABEL_CHANGE = ObjectType(
    name="LabelChange",
    fields={
        "before": differing_label(0),
        "after": differing_label(1),
    },
)


# -- fields of a sample's change --------------------------------------------------------------------------------------


def sample(context: CompileContext, row: Row, field: SelectedField) -> Parts:
    """As it is in `head`; a removed one as it was in `base`. Looked up for those on a page only."""
    base = row.state.base
    assert base is not None
    shown = row.join(
        Row(context.name("w"), ANY_REVISION, row.state),
        lambda other: and_(other["id"] == row["id"], other["since"] == row["since"]),
    )
    in_base, in_head = (
        concatenate(context.nested(Row(shown.name, Sample, state, joins=row.joins), field.fields))
        for state in (base, replace(row.state, base=None))
    )
    return [case((row["kind"] == sql("'REMOVED'"), in_base), else_=in_head)]


def names(among: str, except_: str, *, in_base: bool = False) -> Field:
    """The names of the labels in one list of a change that are not in another."""

    def compiled(context: CompileContext, row: Row, _field: SelectedField) -> Parts:
        label = context.row(Label, row.state.base if in_base else row.state)
        context.unbounded += 1
        differ = [label["id"] == func.any(row[among]), label["id"] != func.all(row[except_])]
        json = concatenate(array(text(label["name"]), label["id"]))
        return [label.select(json, where=[*differ, *label.conditions()]).scalar_subquery()]

    return Field(compiled, is_list=True)


SAMPLE_CHANGE = ObjectType(
    name="SampleChange",
    fields={
        "kind": column("kind", unescaped),
        "sample": Field(sample),
        "addedLabelNames": names("label_ids_after", "label_ids_before"),
        "removedLabelNames": names("label_ids_before", "label_ids_after", in_base=True),
    },
)
