"""Where bytes live. One protocol, several stores, one test suite; vendor exceptions stop here.

A store is opened at a dataset's input path; the paths of its objects are text below that, `/` between the parts.
"""

from db.storage.access import Access
from db.storage.local import LocalStore
from db.storage.memory import MemoryStore
from db.storage.objects import (
    Head,
    ObjectChanged,
    ObjectExists,
    ObjectMissing,
    Page,
    RootMissing,
    Store,
    StoredObject,
)
from db.storage.opening import Stores

__all__ = [
    "Access",
    "Head",
    "LocalStore",
    "MemoryStore",
    "ObjectChanged",
    "ObjectExists",
    "ObjectMissing",
    "Page",
    "RootMissing",
    "Store",
    "StoredObject",
    "Stores",
]
