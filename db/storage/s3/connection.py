"""A process's connection to its S3."""

import asyncio
import hashlib
import time
from base64 import b64encode
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import lru_cache
from typing import Any, Final, TypeVar

import aioboto3
from botocore.config import Config
from botocore.exceptions import ClientError

from db.errors import DomainError
from db.storage.errors import ObjectMissing, RootMissing
from db.storage.s3.errors import CONNECTION_ERRORS, Refused, Unreachable, error_of
from db.storage.s3_config import S3Config

T = TypeVar("T")
E = TypeVar("E", bound=DomainError)
CHECK_AGE: Final = 10.0  # seconds after which the existence of a bucket is checked again


class S3:
    """A connection to a server's S3. It has the clients; stores are cheap."""

    def __init__(self, config: S3Config, client: Any, signer: Any) -> None:
        self.config = config
        self.client = client
        self.signer = signer
        self.concurrency = max(config.connections // 2, 1)
        self.slots = asyncio.Semaphore(self.concurrency)
        self.has_conditional_delete = True  # until this S3 refuses one
        self.answered_at: dict[str, float] = {}  # by bucket: when it last certainly existed

    async def call(self, operation: str, **arguments: Any) -> Mapping[str, Any]:
        """One operation, within the deadline. Raises Refused, Unreachable, RootMissing, ObjectMissing."""
        try:
            async with asyncio.timeout(self.config.deadline):
                answer: Mapping[str, Any] = await getattr(self.client, operation)(**arguments)
        except ClientError as error:
            raise error_of(error.response) from error
        except CONNECTION_ERRORS as error:
            raise Unreachable from error
        self.answered_at[arguments["Bucket"]] = time.monotonic()
        return answer

    async def run_all(self, operations: Sequence[Callable[[], Awaitable[T]]], returned: type[E]) -> list[T | E]:
        """As many at once as there are slots. Errors of the type `returned` are items of the result.

        When as many in a row as there are slots found no store, the rest is not tried: all would wait as long.
        """
        failures: list[E] = []

        async def run(operation: Callable[[], Awaitable[T]]) -> T | E:
            async with self.slots:
                if len(failures) >= self.concurrency:
                    return failures[-1]
                try:
                    result = await operation()
                except returned as error:
                    if isinstance(error, RootMissing):
                        failures.append(error)
                    return error
            failures.clear()
            return result

        return list(await asyncio.gather(*map(run, operations)))

    async def check_bucket(self, bucket: str) -> None:
        """Raises RootMissing if the bucket does not exist: then nothing can be said about objects in it."""
        if time.monotonic() - self.answered_at.get(bucket, -CHECK_AGE) < CHECK_AGE:
            return
        try:
            await self.call("head_bucket", Bucket=bucket)
        except (Refused, ObjectMissing):
            raise RootMissing from None


@asynccontextmanager
async def connect(config: S3Config) -> AsyncGenerator[S3, None]:
    """Clients are expensive and hold connections: one S3 for the life of a process."""

    def digest_by_md5(params: dict[str, Any], **_: object) -> None:
        """DeleteObjects needs a digest of its body: every store knows MD5, few know what the client would use."""
        digest = hashlib.md5(params["body"], usedforsecurity=False).digest()
        params["headers"]["Content-MD5"] = b64encode(digest).decode()
        params["context"]["checksum"] = {}

    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(_client(config, config.endpoint))
        signer = client
        if config.public_endpoint:
            signer = await stack.enter_async_context(_client(config, config.public_endpoint))
        client.meta.events.register("before-call.s3.DeleteObjects", digest_by_md5)
        yield S3(config, client, signer)


@lru_cache(maxsize=1)
def _session() -> Any:
    """Without keys: it only contains descriptions of the protocol, which take a second to read."""
    return aioboto3.Session()


def _client(settings: S3Config, endpoint: str | None) -> Any:
    config = Config(
        signature_version="s3v4",
        s3={"addressing_style": settings.addressing},
        request_checksum_calculation="when_required",  # stores of other vendors do not know the new checksums
        response_checksum_validation="when_required",
        connect_timeout=settings.connect,
        read_timeout=settings.read,
        retries={"mode": "standard", "total_max_attempts": settings.attempts},
        max_pool_connections=settings.connections,
    )
    return _session().client(
        "s3",
        endpoint_url=endpoint,
        region_name=settings.region,
        aws_access_key_id=settings.access_key,
        aws_secret_access_key=settings.secret_key,
        aws_session_token=settings.session_token,
        config=config,
    )
