from db.postgres.models import Change
from db.queries.connections import Listing
from db.queries.json_text import boolean, number
from db.queries.pagination import NUMBER, Order
from db.queries.types.fields import column, node_type, one

CHANGE = node_type(
    "Change",
    Change,
    {
        "revision": column("revision", number),
        "kind": column("kind"),
        "actor": column("actor"),
        "createdAt": column("at"),
        "summary": column("summary"),
        "isUndoable": column("undoable", boolean),
        "undoneBy": one(lambda other, change: other["id"] == change["undone_by"]),
    },
)

CHANGES = Listing(("Change",), orders={"NEWEST": Order("change", (("revision", NUMBER),), descending=True)})
