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
from db.storage.access import S3Config
from db.storage.objects import ObjectMissing, RootMissing
from db.storage.s3.errors import BROKEN, Refused, Unreachable, refusal

T = TypeVar("T")
E = TypeVar("E", bound=DomainError)
SURE: Final = 10.0  # seconds for which a bucket that was there is believed to be


class S3:
    """A connection to a server's S3. It holds clients; stores are cheap."""

    def __init__(self, access: S3Config, client: Any, signer: Any) -> None:
        self.access = access
        self.client = client
        self.signer = signer
        self.side = max(access.connections // 2, 1)
        self.slots = asyncio.Semaphore(self.side)
        self.conditions = True  # whether this S3 knows conditional deletes; unlearned once it says no
        self.seen: dict[str, float] = {}  # when a bucket was last certainly there

    async def call(self, operation: str, **arguments: Any) -> Mapping[str, Any]:
        """One operation, within the deadline. Raises Refused, Unreachable, RootMissing, ObjectMissing."""
        try:
            async with asyncio.timeout(self.access.deadline):
                answer: Mapping[str, Any] = await getattr(self.client, operation)(**arguments)
        except ClientError as error:
            raise refusal(error.response) from error
        except BROKEN as error:
            raise Unreachable from error
        self.seen[arguments["Bucket"]] = time.monotonic()
        return answer

    async def side_by_side(self, asking: Sequence[Callable[[], Awaitable[T]]], borne: type[E]) -> list[T | E]:
        """As many at once as there are slots; what was refused stands in its place.

        When as many in a row as there are slots found no store, nobody is sent after them: they would all wait as long.
        """
        lost: list[E] = []

        async def ask(one: Callable[[], Awaitable[T]]) -> T | E:
            async with self.slots:
                if len(lost) >= self.side:
                    return lost[-1]
                try:
                    told = await one()
                except borne as refused:
                    if isinstance(refused, RootMissing):
                        lost.append(refused)
                    return refused
            lost.clear()
            return told

        return list(await asyncio.gather(*map(ask, asking)))

    async def check(self, bucket: str) -> None:
        """The bucket is there, so that what was not found in it is missing. Raises RootMissing."""
        if time.monotonic() - self.seen.get(bucket, -SURE) < SURE:
            return
        try:
            await self.call("head_bucket", Bucket=bucket)
        except (Refused, ObjectMissing):
            raise RootMissing from None


@asynccontextmanager
async def connect(access: S3Config) -> AsyncGenerator[S3, None]:
    """Clients are costly to make and hold connections: one S3 for the life of a process."""
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(_client(access, access.endpoint))
        signer = client
        if access.public_endpoint:
            signer = await stack.enter_async_context(_client(access, access.public_endpoint))
        client.meta.events.register("before-call.s3.DeleteObjects", _digest_by_md5)
        yield S3(access, client, signer)


@lru_cache(maxsize=1)
def _session() -> Any:
    """Without keys: it only holds descriptions of the protocol, which take a second to read."""
    return aioboto3.Session()


def _client(access: S3Config, endpoint: str | None) -> Any:
    config = Config(
        signature_version="s3v4",
        s3={"addressing_style": access.addressing},
        request_checksum_calculation="when_required",  # other vendors' stores know nothing of the new checksums
        response_checksum_validation="when_required",
        connect_timeout=access.connect,
        read_timeout=access.read,
        retries={"mode": "standard", "total_max_attempts": access.attempts},
        max_pool_connections=access.connections,
    )
    return _session().client(
        "s3",
        endpoint_url=endpoint,
        region_name=access.region,
        aws_access_key_id=access.access_key,
        aws_secret_access_key=access.secret_key,
        aws_session_token=access.session_token,
        config=config,
    )


def _digest_by_md5(params: dict[str, Any], **_: object) -> None:
    """DeleteObjects demands a digest of its body: every store knows MD5, few know what the client would take."""
    digest = hashlib.md5(params["body"], usedforsecurity=False).digest()
    params["headers"]["Content-MD5"] = b64encode(digest).decode()
    params["context"]["checksum"] = {}
