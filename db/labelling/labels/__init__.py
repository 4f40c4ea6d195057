"""Labels: names of a dataset, each one row however many samples carry it."""

from db.labelling.labels.create import LabelValues, add, checked, create
from db.labelling.labels.delete import DeleteMode, delete
from db.labelling.labels.find import KnownLabels, in_use, no_such_labels, owner
from db.labelling.labels.outcomes import Created, Deleted, Renamed, Updated
from db.labelling.labels.rename import OnConflict, rename
from db.labelling.labels.update import KEPT, Kept, update

__all__ = [
    "KEPT",
    "Created",
    "DeleteMode",
    "Deleted",
    "Kept",
    "KnownLabels",
    "LabelValues",
    "OnConflict",
    "Renamed",
    "Updated",
    "add",
    "checked",
    "create",
    "delete",
    "in_use",
    "no_such_labels",
    "owner",
    "rename",
    "update",
]
