"""Where bytes live. One protocol, several stores, one test suite; vendor exceptions stop here.

A store is opened at a dataset's input path; the paths of its objects are text below that, `/` between the parts.
"""

from db.storage.access import S3Config
from db.storage.disks import Disk, Disks, DiskTimeout
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
from db.storage.stores import Stores

__all__ = [
    "Disk",
    "DiskTimeout",
    "Disks",
    "Head",
    "LocalStore",
    "MemoryStore",
    "ObjectChanged",
    "ObjectExists",
    "ObjectMissing",
    "Page",
    "RootMissing",
    "S3Config",
    "Store",
    "StoredObject",
    "Stores",
]
