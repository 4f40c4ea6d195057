"""Opening the stores that the settings allow."""

from contextlib import AbstractAsyncContextManager

from api.settings import Settings
from db.storage import S3Config, Stores
from db.storage.stores import open_stores


def stores(settings: Settings) -> AbstractAsyncContextManager[Stores]:
    s3 = settings.s3
    access = S3Config(
        endpoint=s3.endpoint,
        public_endpoint=s3.public_endpoint,
        region=s3.region,
        access_key=s3.access_key,
        secret_key=s3.secret_key,
        session_token=s3.session_token,
        addressing=s3.addressing,
        list_by_key=s3.list_by_key,
        links=s3.links,
        connections=s3.connections,
        connect=settings.timeouts.connect,
        read=s3.read,
        deadline=s3.deadline,
    )
    return open_stores(
        settings.allowed_roots, access if s3.given else None, s3.buckets, disk_seconds=settings.timeouts.disk
    )
