"""Where bytes live. One protocol, several stores, one test suite; vendor exceptions stop here.

A store is opened at a dataset's input path; the paths of its objects are text below that, `/` between the parts.
"""

from collections.abc import Sequence
from pathlib import Path

from db.paths import local_root
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

__all__ = [
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
    "open_store",
]


def open_store(url: str, *, allowed_roots: Sequence[Path]) -> Store:
    """The store at a dataset's input or output path. Raises INVALID_PATH where the owner no longer allows it."""
    return LocalStore(local_root(url, allowed_roots))
