"""Labels: names of a dataset, each one row however many samples carry it."""

from db.labelling.labels.create import Created, LabelValues, checked, create, insert
from db.labelling.labels.delete import Deleted, DeleteMode, delete
from db.labelling.labels.find import KnownLabels, lock_labels
from db.labelling.labels.rename import OnConflict, Renamed, rename
from db.labelling.labels.update import UNCHANGED, Unchanged, Updated, update

__all__ = [
    "UNCHANGED",
    "Created",
    "DeleteMode",
    "Deleted",
    "KnownLabels",
    "LabelValues",
    "OnConflict",
    "Renamed",
    "Unchanged",
    "Updated",
    "checked",
    "create",
    "delete",
    "insert",
    "lock_labels",
    "rename",
    "update",
]
