"""A client leaves while its operation waits in the database, for a lock that the test holds."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import asyncpg
import httpx2
import pytest

from api.settings import Limits, Settings
from db.history import transactions
from db.postgres.engine import Database, driver_url
from tests.api.graphql.test_websocket import greeted
from tests.client import Client, serving, token
from tests.db.dataset_rows import make
from tests.waiting import TIMEOUT, wait_until

READ = "{ datasets(first: 5) { nodes { name } } }"
WRITE = """mutation ($d: ID!) {
    createLabels(input: {datasetId: $d, labels: [{name: "cat"}]}) { labels { name } change { revision } } }"""
EVENTS = {"accept": "text/event-stream"}
WAITING = """SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND application_name = 'labelgraph' AND wait_event_type = 'Lock'"""
KEPT = "SELECT count(*) FROM idempotency WHERE field = '' AND response IS NOT NULL"

Body = dict[str, Any]
Sending = Callable[[Client, Body], AbstractAsyncContextManager[None]]


@asynccontextmanager
async def over_http(client: Client, body: Body, **headers: str) -> AsyncIterator[None]:
    """Sends a request, whose client leaves at the end of the block."""
    sending = asyncio.create_task(client.request(json=body, headers=headers))
    try:
        yield
    finally:
        sending.cancel()
        await asyncio.wait([sending])
        assert sending.cancelled()


@asynccontextmanager
async def over_sse(client: Client, body: Body) -> AsyncIterator[None]:
    async with httpx2.AsyncClient(timeout=TIMEOUT) as http:
        headers = client.headers | EVENTS
        async with http.stream("POST", f"{client.url}/graphql", json=body, headers=headers) as response:
            assert response.status_code == 200
            yield


@asynccontextmanager
async def over_one_stream(client: Client, body: Body) -> AsyncIterator[None]:
    """The single connection mode of server-sent events."""
    stream = (await client.request("PUT")).text
    started = body | {"extensions": {**body.get("extensions", {}), "operationId": "1"}}
    async with (
        httpx2.AsyncClient(timeout=TIMEOUT) as http,
        http.stream("GET", f"{client.url}/graphql", params={"token": stream}, headers=EVENTS) as response,
    ):
        assert response.status_code == 200
        await client.request(json=started, headers={"x-graphql-event-stream-token": stream})
        yield


@asynccontextmanager
async def over_websocket(client: Client, body: Body) -> AsyncIterator[None]:
    async with greeted(client) as socket:
        await socket.subscribe("1", **body)
        yield


@asynccontextmanager
async def until_complete(client: Client, body: Body) -> AsyncIterator[None]:
    """The client of a WebSocket stays, and wants no answer any more."""
    async with greeted(client) as socket:
        await socket.subscribe("1", **body)
        yield
        await socket.send({"type": "complete", "id": "1"}, {"type": "ping"})
        assert await socket.receive() == {"type": "pong"}


STREAMS = [over_sse, over_one_stream, over_websocket, until_complete]


@pytest.fixture
async def client(settings: Settings, database: Database) -> AsyncIterator[Client]:
    """Of a server that lets each token have one stream, or socket, at a time."""
    alone = settings.with_changes(worker=False, limits=Limits(sockets=1))
    async with serving(alone) as url:
        yield Client(url, await token(database, name="ann"))


@asynccontextmanager
async def locked(url: str, tables: str = "dataset, label") -> AsyncIterator[asyncpg.Connection]:
    """Nobody else reads or writes these tables during the block."""
    connection = await asyncpg.connect(driver_url(url))
    try:
        async with connection.transaction():
            await connection.execute(f"LOCK TABLE {tables} IN ACCESS EXCLUSIVE MODE")
            yield connection
    finally:
        await connection.close()


async def is_gone(client: Client) -> bool:
    """Whether the server has noticed that the client's stream or socket is gone."""
    return (await client.request("PUT")).status_code == 201


@pytest.mark.parametrize("sending", [over_http, *STREAMS])
async def test_the_statement_of_a_query_is_canceled(client: Client, database_url: str, sending: Sending) -> None:
    await client.execute("{ viewer { name } }")  # the token is known from now on
    async with locked(database_url) as connection:
        async with sending(client, {"query": READ}):
            await wait_until(lambda: waits(connection, 1))
        await wait_until(lambda: waits(connection, 0))
    assert await client.execute(READ) == {"datasets": {"nodes": []}}


@pytest.mark.parametrize("sending", [over_http, *STREAMS])
async def test_a_mutation_is_finished_and_its_answer_kept(
    client: Client, database: Database, database_url: str, sending: Sending
) -> None:
    dataset = f"Dataset:{(await make(database, name='pets')).id}"
    body = {"query": WRITE, "variables": {"d": dataset}, "extensions": {"idempotencyKey": "k"}}
    async with locked(database_url) as connection:
        async with sending(client, body):
            await wait_until(lambda: waits(connection, 1))
        await wait_until(lambda: is_gone(client))
        assert await waits(connection, 1)
    await wait_until(lambda: kept(database))
    again = (await client.request(json=body)).json()
    assert again == {"data": {"createLabels": {"labels": [{"name": "cat"}], "change": {"revision": 1}}}}


async def test_the_same_request_is_told_that_the_first_is_running_and_then_gets_its_answer(
    client: Client, database: Database, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transactions, "KEY_WAIT", 0.0)
    dataset = f"Dataset:{(await make(database, name='pets')).id}"
    body = {"query": WRITE, "variables": {"d": dataset}, "extensions": {"idempotencyKey": "k"}}
    async with locked(database_url) as connection:
        async with over_http(client, body):
            await wait_until(lambda: waits(connection, 1))
        early = await client.request(json=body)
        assert (early.status_code, early.headers["retry-after"]) == (503, "5")
        [error] = early.json()["errors"]
        assert error["extensions"] == {"code": "REQUEST_IN_PROGRESS", "details": {"retryAfter": 5}}
    await wait_until(lambda: kept(database))
    again = (await client.request(json=body)).json()
    assert again == {"data": {"createLabels": {"labels": [{"name": "cat"}], "change": {"revision": 1}}}}


async def waits(connection: asyncpg.Connection, statements: int) -> bool:
    """Whether so many statements of the server wait for the lock."""
    return bool(await connection.fetchval(WAITING) == statements)


async def kept(database: Database) -> bool:
    return bool(await database.value(KEPT) == 1)
