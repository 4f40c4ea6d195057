"""Versions: published revisions of a working set. See docs/decisions/0001: a version is one row, its samples are the
live and past rows of its revision.

publish   a revision gets a name, a file     split    which samples are put aside for evaluation
switch    the working set becomes a version  remove   a version goes
restore   rows as they were before, for switching and for undoing
"""

from db.history.versions.manifest_requests import ManifestRequested, write_manifest
from db.history.versions.publish import Published, publish
from db.history.versions.remove import Removed, remove
from db.history.versions.split import Split
from db.history.versions.switch import Switched, switch

__all__ = [
    "ManifestRequested",
    "Published",
    "Removed",
    "Split",
    "Switched",
    "publish",
    "remove",
    "switch",
    "write_manifest",
]
