from db.postgres.models import Change
from db.queries.compile_context import CompileContext, Field
from db.queries.connections import Listing
from db.queries.json_text import Parts, boolean, number, value_or_null
from db.queries.pagination import KeyType, Order
from db.queries.rows import Row
from db.queries.selection import SelectedField
from db.queries.types.fields import column, node_type


def undone_by(context: CompileContext, row: Row, field: SelectedField) -> Parts:
    return value_or_null(context.one(field, lambda other: [other["id"] == row["undone_by"]], row.state))


CHANGE = node_type(
    "Change",
    Change,
    {
        "revision": column("revision", number),
        "kind": column("kind"),
        "actor": column("actor"),
        "at": column("at"),
        "summary": column("summary"),
        "undoable": column("undoable", boolean),
        "undoneBy": Field(undone_by, is_nullable=True),
    },
)

CHANGES = Listing(type="Change", orders={"NEWEST": Order("change", (("revision", KeyType.NUMBER),), descending=True)})
