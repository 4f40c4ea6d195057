"""Storage of objects: one protocol with several implementations, which share a test suite. No exception of a vendor
leaves this folder.

A store is opened at a dataset's input path; the paths of its objects are relative to it, with `/` between the parts.
"""

from db.storage.disks import Disk, Disks, DiskTimeout
from db.storage.errors import ObjectChanged, ObjectExists, ObjectMissing, RootMissing
from db.storage.local import LocalStore
from db.storage.objects import Head, Page, Scope, Store, StoredObject
from db.storage.s3_config import S3Config
from db.storage.stores import Stores
