from db.postgres.models import Change
from db.queries.compile_context import Build, Type
from db.queries.connections import Listing
from db.queries.json_text import Parts, flag, number, text, value_or_null
from db.queries.pagination import Kind, Order
from db.queries.rows import Row
from db.queries.selection import Select
from db.queries.types.fields import column, global_id


def undone_by(build: Build, row: Row, select: Select) -> Parts:
    return value_or_null(build.one(select, lambda other: [other["id"] == row["undone_by"]], row.scope))


CHANGE = Type(
    name="Change",
    model=Change,
    is_node=True,
    fields={
        "id": global_id("Change"),
        "revision": column("revision", number),
        "kind": column("kind"),
        "actor": column("actor"),
        "at": column("at", text),
        "summary": column("summary"),
        "undoable": column("undoable", flag),
        "undoneBy": undone_by,
    },
)

CHANGES = Listing(type="Change", orders={"NEWEST": Order("change", (("revision", Kind.NUMBER),), descending=True)})
