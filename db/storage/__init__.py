"""Where bytes live. One protocol, several stores, one test suite; vendor exceptions stop here.

A store is opened at a dataset's input path; the paths of its objects are text below that, `/` between the parts.
"""

from db.storage.access import Access
from db.storage.disks import Disk, Disks, NoAnswer
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
    "Disk",
    "Disks",
    "Head",
    "LocalStore",
    "MemoryStore",
    "NoAnswer",
    "ObjectChanged",
    "ObjectExists",
    "ObjectMissing",
    "Page",
    "RootMissing",
    "Store",
    "StoredObject",
    "Stores",
]
