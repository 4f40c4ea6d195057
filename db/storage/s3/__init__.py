"""S3 and what is compatible with it. The only user of aioboto3; no exception of it leaves this folder.

A store has the objects below a prefix of a bucket. Every operation is retried after transient failures, and has a
deadline as a whole; what is read is complete and of one version, or an error. No text of the store leaves this folder:
it may contain hosts, keys and accounts.
"""

from db.storage.s3.connection import S3, connect
from db.storage.s3.store import S3Store

__all__ = ["S3", "S3Store", "connect"]
