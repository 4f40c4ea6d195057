"""Changes, and what they touched: the rows that began at their revision, live or past by now, and those that ended."""

from collections.abc import Callable
from typing import Any, Final

from sqlalchemy import ColumnElement, FromClause, Integer, Text, and_, case, false, func, select, true
from sqlalchemy import literal_column as sql

from db.identity.tokens import Scope
from db.postgres.models import Change, ChangeKind, Label, Sample, label_past, sample_past
from db.queries.compile_context import IDS, CompileContext, Field, SelectedField
from db.queries.connections import Listing, Page
from db.queries.json_text import Parts, array, boolean, concatenate, number, unescaped
from db.queries.pagination import ID, NUMBER, Key, Order
from db.queries.rows import DerivedTable, Row, all_revisions, table_of
from db.queries.timelines import timeline
from db.queries.types.fields import DATASET_OF_ROW, column, node_type, one

# What whoever may label does, and may undo himself.
LABELLING: Final[tuple[ChangeKind, ...]] = (
    *("LABEL_SAMPLES", "REPLACE_SAMPLE_LABEL", "ANNOTATE_SAMPLES", "UPDATE_SAMPLES"),
    *("SUGGEST_ANNOTATIONS", "DECIDE_SUGGESTIONS", "CREATE_LABELS", "UPDATE_LABEL"),
)
# What touches samples, a million maybe, and removes none: no use to look for those.
REMOVES_NO_SAMPLE: Final[tuple[ChangeKind, ...]] = (*LABELLING, "RENAME_LABEL", "MERGE_LABELS", "IMPORT")
MAX_DELETED = 1_000  # ids of deleted samples that a change lists
SAMPLE_COLUMNS = {each.name: each.type for each in table_of(Sample).columns}


def words(kinds: tuple[ChangeKind, ...]) -> list[ColumnElement[Any]]:
    return [sql(f"'{kind}'", Text) for kind in kinds]


# -- samples ----------------------------------------------------------------------------------------------------------


def touched(context: CompileContext, change: Row) -> DerivedTable:
    """The live samples that the change made or changed. Their ids come from two indexes, in order; OFFSET: each sample
    is looked up by its id, however many the planner expects."""

    def source(name: str) -> FromClause:
        began: Any = all_revisions(Sample, context.name("b"), past=sample_past)
        is_of_change = [began.c.dataset_id == change["dataset_id"], began.c.since == change["revision"]]
        live = table_of(Sample).alias(context.name("s"))
        sample = select(live).where(live.c.id == began.c.id).offset(sql("0")).lateral(context.name("l"))
        others = (each for each in sample.c if each.name != "id")
        rows = select(began.c.id, *others).select_from(began.join(sample, true()))
        return rows.where(*is_of_change).subquery(name)

    return DerivedTable(SAMPLE_COLUMNS, source)


def begun(change: Row, model: Any = Sample, past_table: Any = sample_past) -> tuple[Any, Any]:
    """The ids of the rows that began at the revision: those that are live, and those that are past by now."""
    live, past = table_of(model).alias(), past_table.alias()
    return (
        select(live.c.id).where(live.c.dataset_id == change["dataset_id"], live.c.since == change["revision"]),
        select(past.c.id).where(past.c.dataset_id == change["dataset_id"], past.c.since == change["revision"]),
    )


def sample_count(change: Row) -> ColumnElement[Any]:
    """Live rows are counted in their index alone."""
    live, past = (each.subquery() for each in begun(change))
    sample = table_of(Sample).alias()
    still_there = select(func.count()).select_from(past.join(sample, sample.c.id == past.c.id))
    return select(func.count()).select_from(live).scalar_subquery() + still_there.scalar_subquery()


def samples(context: CompileContext, change: Row, field: SelectedField) -> Parts:
    context.costly = True
    listing = Listing(
        ("Sample",),
        lambda *_: Order("change.sample", (ID,)),
        counted=lambda *_: sample_count(change),
    )
    state = change.state.working_set()
    return Page(context, listing, field, state, lambda _sample: [], touched(context, change)).json()


def count_samples(context: CompileContext, change: Row, _field: SelectedField) -> Parts:
    context.costly = True
    return number(sample_count(change))


def deleted(change: Row) -> Any:
    """The ids of the samples that the change removed, and that are not back."""
    ended, past, live = sample_past.alias(), sample_past.alias(), table_of(Sample).alias()
    is_live = select(live.c.id).where(live.c.id == ended.c.id).exists()
    is_changed = select(past.c.id).where(past.c.id == ended.c.id, past.c.since == change["revision"]).exists()
    return select(ended.c.id).where(
        ended.c.dataset_id == change["dataset_id"],
        ended.c.until == change["revision"],
        change["kind"].not_in(words(REMOVES_NO_SAMPLE)),
        ~is_live,
        ~is_changed,
    )


def deleted_ids(context: CompileContext, change: Row, _field: SelectedField) -> Parts:
    context.costly, context.unbounded = True, context.unbounded + 1
    rows = deleted(change)
    first = rows.order_by(rows.selected_columns.id).limit(sql(str(MAX_DELETED))).subquery(context.name("gone"))
    return [select(concatenate(array(['"Sample:', first.c.id, '"'], first.c.id))).scalar_subquery()]


def count_deleted(context: CompileContext, change: Row, _field: SelectedField) -> Parts:
    context.costly = True
    return number(select(func.count()).select_from(deleted(change).subquery()).scalar_subquery())


# -- labels -----------------------------------------------------------------------------------------------------------


def labels(context: CompileContext, change: Row, field: SelectedField) -> Parts:
    live, past = begun(change, Label, label_past)
    ids = func.array(live.union_all(past).scalar_subquery(), type_=IDS)
    return context.many(field.fields, lambda label: [label["id"] == func.any(ids)], change.state.working_set())


# -- undoing ----------------------------------------------------------------------------------------------------------


def is_own_labelling(change: Callable[[str], ColumnElement[Any]], who: ColumnElement[Any]) -> ColumnElement[bool]:
    """Whether somebody labelled by this change, or undid it, or undid that, and nobody else had a part in it."""
    first, following = table_of(Change).alias(), table_of(Change).alias()
    steps = select(first.c.id, first.c.kind, first.c.actor).where(first.c.undone_by == change("id"))
    undone = steps.cte("undone", recursive=True)
    undone = undone.union_all(
        select(following.c.id, following.c.kind, following.c.actor)
        .select_from(undone.join(following, following.c.undone_by == undone.c.id))
        .where(undone.c.kind == sql("'UNDO'", Text), undone.c.actor == who)
    )
    own = select(undone.c.id).where(undone.c.kind.in_(words(LABELLING)), undone.c.actor == who)
    return case(
        (change("actor") != who, false()),
        (change("kind") == sql("'UNDO'", Text), own.add_cte(undone, nest_here=True).exists()),
        else_=change("kind").in_(words(LABELLING)),
    )


def is_undoable_by_viewer(context: CompileContext, change: Row, _field: SelectedField) -> Parts:
    scope = context.input(Integer(), lambda inputs: int(inputs.identity.scope))
    who = context.input(Text(), lambda inputs: inputs.identity.name)
    may = case(
        (scope >= sql(str(int(Scope.MANAGE))), true()),
        (scope >= sql(str(int(Scope.LABEL))), is_own_labelling(change.__getitem__, who)),
        else_=false(),
    )
    return boolean(and_(change["undoable"], may))


CHANGE = node_type(
    "Change",
    Change,
    {
        "dataset": DATASET_OF_ROW,
        "revision": column("revision", number),
        "kind": column("kind", unescaped),
        "actor": column("actor"),
        "createdAt": column("at"),
        "summary": column("summary"),
        "samples": Field(samples),
        "sampleCount": Field(count_samples),
        "deletedSampleIds": Field(deleted_ids, is_list=True),
        "deletedSampleCount": Field(count_deleted),
        "labels": Field(labels, is_list=True),
        "isUndoable": column("undoable", boolean),
        "isUndoableByViewer": Field(is_undoable_by_viewer),
        "undoneBy": one(lambda other, change: other["id"] == change["undone_by"]),
    },
)

CHANGES = timeline("change", ("Change",), "at", Key("revision", NUMBER), {"actors": "actor", "kinds": "kind"})
