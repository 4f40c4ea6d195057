"""Labels: names of a dataset, each one row however many samples carry it."""

from db.labelling.labels.create import Created, LabelValues, checked, create, insert
from db.labelling.labels.delete import Deleted, delete
from db.labelling.labels.find import KnownLabels, lock_labels
from db.labelling.labels.rename import Renamed, rename
from db.labelling.labels.update import UNCHANGED, Updated, update

__all__ = [
    "UNCHANGED",
    "Created",
    "Deleted",
    "KnownLabels",
    "LabelValues",
    "Renamed",
    "Updated",
    "checked",
    "create",
    "delete",
    "insert",
    "lock_labels",
    "rename",
    "update",
]
