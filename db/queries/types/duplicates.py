"""Groups of samples whose images look alike, by hashes that a worker has made (`db/embeddings/looks.py`)."""

from typing import Any, Final

import sqlalchemy
from sqlalchemy import ARRAY, BigInteger, FromClause, func, select
from sqlalchemy import literal_column as sql
from sqlalchemy.types import TypeEngine

from db.errors import Invalid
from db.postgres.models import Sample, Source
from db.queries.compile_context import CompileContext, Field, ObjectType, SelectedField
from db.queries.connections import Listing, Page, connection_types
from db.queries.json_text import Parts, concatenate, number
from db.queries.pagination import ID, Order, page_size
from db.queries.rows import DerivedTable, Row, table_of
from db.queries.types.fields import column

# By the distance that two hashes of a group may have: what all hashes of a group have in common.
GROUPS: Final = ("id", "group1", "group2")
COLUMNS: Final[dict[str, TypeEngine[Any]]] = {
    "id": BigInteger(),
    "count": BigInteger(),
    "hashes": ARRAY(BigInteger()),
}
HASH: Final = sqlalchemy.table(
    "look_hash", *(sqlalchemy.column(name) for name in ("dataset_id", "hash", *GROUPS, "is_shared"))
)
LOOK: Final = sqlalchemy.table("look", *(sqlalchemy.column(name) for name in ("source_id", "dataset_id", "hash")))


def duplicates(context: CompileContext, row: Row, field: SelectedField) -> Parts:
    """A group is in the order of its first hash; those of one image are not shared, and not read."""
    context.costly = context.custom_plan = True
    distance = field.argument("maxDistance")
    if distance not in range(len(GROUPS)):
        most = len(GROUPS) - 1
        message = f"`maxDistance` must be a number from 0 to {most}, and is {distance}."
        raise Invalid(message, path="maxDistance", most=most)
    state, group = row.state.working_set(), HASH.c[GROUPS[distance]]

    def groups(name: str) -> FromClause:
        sample = context.row(Sample, state)
        is_same = sqlalchemy.and_(LOOK.c.dataset_id == HASH.c.dataset_id, LOOK.c.hash == HASH.c.hash)
        origin = HASH.join(LOOK, is_same).join(sample.table(), sample["source_id"] == LOOK.c.source_id)
        is_shared = HASH.c.is_shared == sql("true")
        count, hashes = func.count().label("count"), func.array_agg(HASH.c.hash.distinct()).label("hashes")
        rows = select(group.label("id"), count, hashes).select_from(origin)
        rows = rows.where(HASH.c.dataset_id == state.dataset_id, is_shared, sample["dataset_id"] == state.dataset_id)
        return rows.group_by(group).having(func.count() > sql("1")).subquery(name)

    listing = Listing(("DuplicateGroup",), lambda *_: Order(f"duplicate.{distance}", (ID,)))
    return Page(context, listing, field, state, lambda _: [], DerivedTable(COLUMNS, groups)).json()


def samples(context: CompileContext, row: Row, field: SelectedField) -> Parts:
    state, before = row.state, context.unbounded
    first = page_size(field.argument("first"), None, limit=context.page)
    sample = context.row(Sample, state)
    is_alike = [LOOK.c.dataset_id == state.dataset_id, LOOK.c.hash == func.any(row["hashes"])]
    alike = select(LOOK.c.source_id).where(*is_alike)
    item = concatenate(context.nested(sample, field.fields)).label("item")
    rows = sample.select(item, where=[sample["dataset_id"] == state.dataset_id, sample["source_id"].in_(alike)])
    return [context.listed(rows.order_by(sample["id"]).limit(sql(str(first))), before)]


def unhashed(_context: CompileContext, page: Page, _field: SelectedField) -> Parts:
    context, state = page.context, page.state
    assert state is not None
    sample, source = context.row(Sample, state), table_of(Source).alias(context.name("f"))
    is_hashed = select(LOOK.c.source_id).where(LOOK.c.source_id == source.c.id).exists()
    origin = sample.table().join(source, source.c.id == sample["source_id"])
    is_waiting = [sample["dataset_id"] == state.dataset_id, source.c.status == sql("'PRESENT'"), ~is_hashed]
    return number(select(func.count()).select_from(origin).where(*is_waiting).scalar_subquery())


GROUP = ObjectType(
    "DuplicateGroup",
    {"sampleCount": column("count", number), "samples": Field(samples, is_list=True)},
)
DUPLICATE_TYPES = (GROUP, *connection_types("DuplicateGroup", {"unhashedCount": Field(unhashed)}))
