"""What requests with files may take of the server."""

import asyncio
import json
from contextlib import AsyncExitStack

import pytest

from api.settings import Limits, Settings, Timeouts
from db.identity.tokens import Scope as TokenScope
from db.postgres.engine import Database
from tests.api.connections.raw_connection import TIMEOUT, RawConnection, limited, post, raw_connection
from tests.api.graphql.toy_schema import ToySchema
from tests.client import Client, serving, token

FORM = ("Content-Type: multipart/form-data; boundary=x", "GraphQL-Require-Preflight: 1", "Expect: 100-continue")


def form(client: Client) -> bytes:
    return post(client, b"", *FORM, length=5_000_000).replace(b"Content-Type: application/json\r\n", b"")


async def begin_uploads(stack: AsyncExitStack, client: Client, count: int) -> list[RawConnection]:
    """Connections that stay open, on each of which the server waits for the body of an upload."""
    connections = [await stack.enter_async_context(raw_connection(client.url)) for _ in range(count)]
    for raw in connections:
        raw.writer.write(form(client))
        assert await raw.status() == 100
    return connections


@pytest.mark.parametrize("scope", [TokenScope.READ, TokenScope.LABEL])
async def test_an_upload_is_refused_before_its_body_is_requested(
    url: str, database: Database, scope: TokenScope
) -> None:
    async with raw_connection(url) as raw:
        raw.writer.write(form(Client(url, await token(database, scope))))
        assert await raw.status() == 200
        assert b"FORBIDDEN" in await asyncio.wait_for(raw.reader.read(4096), TIMEOUT)


async def test_uploads_that_do_not_begin_block_nobody(settings: Settings, database: Database) -> None:
    async with serving(limited(settings, uploads=2), ToySchema()) as url, AsyncExitStack() as stack:
        ann, bob = Client(url, await token(database)), Client(url, await token(database), TIMEOUT)
        await begin_uploads(stack, ann, 4)
        assert await _upload(bob) == 200


async def test_a_token_uses_at_most_half_of_the_uploads(settings: Settings, database: Database) -> None:
    async with serving(limited(settings, uploads=2), ToySchema()) as url, AsyncExitStack() as stack:
        ann, bob = Client(url, await token(database)), Client(url, await token(database), TIMEOUT)
        for raw in await begin_uploads(stack, ann, 2):
            raw.writer.write(b"--x\r\n")
        assert await _upload(bob) == 200


async def test_an_upload_that_trickles_is_too_slow(settings: Settings, database: Database) -> None:
    """It is held to a rate, however long an upload may take."""
    changed = settings.with_changes(timeouts=settings.timeouts.with_changes(body=0.3, upload=3_600.0))
    async with serving(changed, ToySchema()) as url, raw_connection(url) as raw:
        raw.writer.write(form(Client(url, await token(database))))
        assert await raw.status() == 100
        raw.writer.write(b"--x\r\n")
        assert await raw.status() == 408


async def _upload(client: Client) -> int:
    fields = {"operations": json.dumps({"query": "{ hello }"}), "map": "{}"}
    response = await client.request(
        files={name: (None, value) for name, value in fields.items()}, headers={"graphql-require-preflight": "1"}
    )
    assert response.json() == {"data": {"hello": "hello world"}}
    return response.status_code


def test_the_defaults_leave_room_for_others() -> None:
    limits, timeouts = Limits(), Timeouts()
    assert limits.address_connections * 4 <= limits.connections
    assert limits.token_requests + limits.sockets <= limits.connections // 2
    assert timeouts.write <= timeouts.keep_alive
