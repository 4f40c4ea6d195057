"""S3 and what is compatible with it. The only user of aioboto3; whatever it raises stops here.

A store answers for the objects below a prefix of a bucket. Everything that is asked is tried again when it fails in
passing, and has a deadline as a whole; what is read is complete, of one version, or an error. No text of the store
goes further than this folder: it may name hosts, keys and accounts.
"""

from db.storage.s3.connection import S3, connect
from db.storage.s3.store import S3Store

__all__ = ["S3", "S3Store", "connect"]
