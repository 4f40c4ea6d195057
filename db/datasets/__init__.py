"""Datasets: create, update, delete, purge and check. Their files are never changed here."""

from db.datasets.create import Created, DatasetValues, Settings, create, resolve_paths
from db.datasets.delete import Deleted, delete
from db.datasets.update import Updated, update
